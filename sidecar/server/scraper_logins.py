"""The logins that the primary server keeps for a scraper, as RT-CV scraper client v2 hands them out."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from sidecar_protocol.secrets import UserSecret

from sidecar.rtcv.login import RtcvBackend
from sidecar.rtcv.scraper_users import decrypt
from sidecar.server.session import Session

if TYPE_CHECKING:
    from sidecar.rtcv.scraper_env import KeyPair
    from sidecar.rtcv.servers import RtcvServers


class ScraperLogins:
    """Fetched once for each login of the session, also one by message."""

    def __init__(self, session: Session) -> None:
        self.read_keys: Callable[[], KeyPair | None] = _no_keys
        """Gives the keys that passwords are encrypted for. Raises SettingsError."""
        self._session = session
        self._fetched: tuple[RtcvBackend, Sequence[UserSecret]] | None = None

    @property
    def are_mocked(self) -> bool:
        """Whether a mock session is in force, whose secret `users` has them."""
        return self._session.is_mock

    async def fetch(self) -> Sequence[UserSecret]:
        """The logins. Raises MissingCredentials, EnvError, SettingsError and a server's failures."""
        backend = self._session.backend
        if self._fetched is None or self._fetched[0] is not backend:
            answer = await cast("RtcvServers", backend).primary.scraper_users()
            users = decrypt(answer, self.read_keys())
            for user in users:
                self._session.add_secret(user.password)
            self._fetched = backend, users
        return self._fetched[1]


def _no_keys() -> None:
    """Without keys, encrypted passwords can't be read."""
