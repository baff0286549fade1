"""The sidecar's capabilities, for `hello`."""

from typing import TYPE_CHECKING

from sidecar_protocol import PROTOCOL_VERSION, codec
from sidecar_protocol.requests import CONTENTS

from sidecar import __version__
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar_protocol.session import HelloReply


def capabilities(settings: Settings) -> "HelloReply":
    """Version, message types, limits and browsers."""
    from sidecar_protocol.session import HelloReply, Limits

    from sidecar.browser.discovery import available_browsers  # late: few parents ask

    return HelloReply(
        version=__version__,
        protocol=PROTOCOL_VERSION,
        message_types=tuple(CONTENTS),
        limits=Limits(
            max_line_bytes=settings.max_line,
            max_in_flight=settings.max_in_flight,
            max_nesting=codec.MAX_NESTING,
        ),
        browsers=available_browsers(settings),
    )
