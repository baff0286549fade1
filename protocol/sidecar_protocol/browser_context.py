"""The options of a job's browser context: window, identity, network; the `context` of `send_job`."""

from typing import Annotated, Literal

from sidecar_protocol.models import Bound, Model, Sparse
from sidecar_protocol.wire_types import Secret

ResourceType = Literal[
    "stylesheet", "image", "media", "font", "script", "texttrack", "xhr", "fetch", "eventsource", "websocket",
    "manifest", "other",
]  # fmt: skip
Permission = Literal[
    "geolocation", "notifications", "clipboard-read", "clipboard-write", "camera", "microphone", "midi",
    "background-sync", "accelerometer", "gyroscope", "magnetometer", "storage-access",
]  # fmt: skip
Side = Annotated[int, Bound(ge=1, le=16_384)]
"""CSS pixels."""
ShortText = Annotated[str, Bound(min_length=1, max_length=2_000)]


class Viewport(Model):
    """The window's inner size."""

    width: Side
    height: Side


class Proxy(Model):
    """The proxy that all requests of the job go through."""

    server: ShortText
    """`http://`, `https://`, `socks4://` or `socks5://` with host and port; `host:port` means http."""
    bypass: ShortText | None = None
    """Hosts that are reached directly, separated by commas: `.example.com, 10.0.0.1`."""
    username: ShortText | None = None
    password: Secret | None = None


class HttpCredentials(Model):
    """The answer to a server that asks for HTTP authentication."""

    username: Annotated[str, Bound(max_length=2_000)]
    password: Secret
    origin: ShortText | None = None
    """The only origin, `https://host:port`, that gets them; by default every server that asks."""


class Geolocation(Model):
    """The device's location, which pages see if the permission `geolocation` is granted."""

    latitude: Annotated[float, Bound(ge=-90, le=90)]
    longitude: Annotated[float, Bound(ge=-180, le=180)]
    accuracy: Annotated[float, Bound(ge=0, le=1_000_000)] = 0
    """Metres."""


class BrowserContextOptions(Sparse):
    """Fields are named as Playwright's; what is absent is as the browser has it."""

    viewport: Viewport | None = None
    """The window's size; default 1280 x 720."""
    user_agent: ShortText | None = None
    locale: Annotated[str, Bound(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    """A locale such as `de-AT`: `navigator.language`, `Accept-Language`, and the format of numbers and dates."""
    timezone_id: Annotated[str, Bound(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$", max_length=64)] | None = None
    """An IANA name, as in `Europe/Vienna`."""
    proxy: Proxy | None = None
    extra_http_headers: Annotated[dict[str, Secret], Bound(max_length=100)] | None = None
    """Sent with every request."""
    http_credentials: HttpCredentials | None = None
    ignore_https_errors: bool = False
    """Whether untrusted certificates are accepted."""
    block: Annotated[tuple[ResourceType, ...], Bound(max_length=12)] = ()
    """Kinds of resources that are not loaded."""
    java_script_enabled: bool = True
    color_scheme: Literal["light", "dark", "no-preference"] | None = None
    device_scale_factor: Annotated[float, Bound(ge=0.1, le=10)] | None = None
    is_mobile: bool = False
    """Whether `meta viewport` counts and touch is on. Not in FIREFOX."""
    has_touch: bool = False
    geolocation: Geolocation | None = None
    permissions: Annotated[tuple[Permission, ...], Bound(max_length=20)] = ()
    """The permissions that pages have without asking."""
