"""The session's state: login, webhooks, zone, notifications."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from sidecar.errors import InvalidContent, MissingCredentials, SidecarError
from sidecar.json_strings import strings
from sidecar.rtcv.login import MOCK, Login, References, RtcvBackend
from sidecar.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sidecar_protocol.session import Credentials, MockOptions
    from sidecar_protocol.webhooks import Webhook

LogIn = Callable[["Sequence[Credentials]"], Awaitable[Login]]
Mock = Callable[["MockOptions"], Awaitable[Login]]


class Session:
    """One parent's session. A login that fails leaves it as it was."""

    def __init__(
        self,
        *,
        before_login: References,
        add_secret: Callable[[str], None],
    ) -> None:
        self.asked_for_events = False
        """Whether the last `hello` did."""
        self.has_listeners = False
        """Whether a client has listened to events in another way."""
        self.webhooks: tuple[Webhook, ...] = ()
        self.zone = ""
        self._before_login = before_login
        self._add_secret = add_secret
        self._login: Login | None = None

    @property
    def notifications(self) -> bool:
        """Whether events are wanted."""
        return self.asked_for_events or self.has_listeners

    @property
    def references(self) -> References:
        """The references of the login in force; before any login, a set that belongs to no server."""
        return self._login.references if self._login else self._before_login

    @property
    def backend(self) -> RtcvBackend:
        """The login in force. Raises MissingCredentials."""
        if self._login is None:
            raise MissingCredentials
        return self._login.backend

    @property
    def account_id(self) -> str:
        """Which login is in force; empty for none."""
        return self._login.account_id if self._login else ""

    @property
    def is_mock(self) -> bool:
        """Whether a mock session is in force."""
        return self.account_id == MOCK

    async def log_in(self, credentials: "Sequence[Credentials]", log_in: LogIn) -> None:
        """Checks every server and switches to them. Raises InvalidContent, RemoteFailed, RemoteUnreachable."""
        check_credentials(credentials)
        for one in credentials:
            self._add_secret(one.api_key.reveal())
        await self._switch(await log_in(credentials))

    async def mock(self, options: "MockOptions", mock: Mock) -> None:
        """Switches to mock mode, with nothing remembered."""
        for value in (options.secrets or {}).values():
            self.add_json_secret(value)
        await self._switch(await mock(options))

    def add_secret(self, secret: str) -> None:
        """Keeps a secret out of every log from now on."""
        self._add_secret(secret)

    def add_json_secret(self, value: bytes) -> None:
        """Keeps every string of a secret's JSON out of every log from now on."""
        for leaf in strings(value):
            self._add_secret(leaf)

    async def close(self) -> None:
        """Lets go of the servers."""
        if self._login:
            await self._login.backend.close()

    async def _switch(self, login: Login) -> None:
        before, self._login = self._login, login
        if before:
            await before.backend.close()


def webhooks_of(settings: Settings) -> "tuple[Webhook, ...]":
    """The webhooks with which every session begins. Raises SettingsError, also for a `push_url` that can't be."""
    check_push_url(settings)
    if not settings.webhook:
        return ()
    from sidecar_protocol.webhooks import Webhook

    from sidecar.net.urls import check_url  # late: yarl takes 15 ms to import

    urls = settings.webhook.split()
    for url in urls:
        try:
            check_url(url, allow_private=settings.allow_private_network)
        except SidecarError as wrong:
            raise SettingsError(f"--webhook: {wrong.message}") from None
    return tuple(Webhook(url=url) for url in urls)


def check_push_url(settings: Settings) -> None:
    """Raises SettingsError for a URL that no push can be posted to."""
    if not settings.push_url:
        return
    from sidecar.net.urls import check_url

    try:
        check_url(settings.push_url, allow_private=settings.allow_private_network)
    except SidecarError as wrong:
        raise SettingsError(f"--push-url: {wrong.message}") from None


def check_credentials(credentials: "Sequence[Credentials]") -> None:
    """Checks what v1 checked before it sent anything, in its order and its words. Raises InvalidContent."""
    primaries = 0
    for index, one in enumerate(credentials):
        place = f"[{index}]." if len(credentials) > 1 else ""
        for mistake in credentials_mistakes(one, place):
            raise mistake
        primaries += one.primary
        if primaries > 1:
            raise InvalidContent("can only have one primary connection", f"{place}primary")
    if not credentials:
        raise InvalidContent("you cannot define no connections")
    if len(credentials) > 1 and not primaries:
        raise InvalidContent("when defineing multiple connections, one must be set as primary", "primary")


def credentials_mistakes(one: "Credentials", place: str) -> Iterator[InvalidContent]:
    """The mistakes of one server, in v1's order and words; `place` is what its fields' names begin with."""
    if not one.server_location:
        yield InvalidContent("server_location cannot be empty", f"{place}server_location")
    elif not one.server_location.startswith(("http://", "https://")):
        yield InvalidContent(
            "server_location must start with a supported protocol like: http:// or https://",
            f"{place}server_location",
        )
    if not one.api_key_id:
        yield InvalidContent("api_key_id cannot be empty", f"{place}api_key_id")
    elif not one.api_key_id.isprintable():
        yield InvalidContent("api_key_id cannot hold control characters", f"{place}api_key_id")
    if not one.api_key:
        yield InvalidContent("api_key cannot be empty", f"{place}api_key")
    if not _is_path(one.results_path):
        yield InvalidContent("results_path must be a path that starts with /", f"{place}results_path")


def _is_path(path: str) -> bool:
    return path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" #")
