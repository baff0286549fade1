"""The Python client: spawns the sidecar and talks to it. For scrapers' authors; standard library only.

    from sidecar.client import Sidecar, SidecarFailure

    with Sidecar() as sidecar:
        sidecar.login("https://rtcv.example.com", key_id, key)
        user = sidecar.get_user_secret(encryption_key)
        if sidecar.send_cv({"referenceNumber": "abc-1", ...}) is None:
            print("was sent before")

Every method waits for its answer and gives its content, or raises `SidecarFailure` with the reason. Threads may share a
client, and `submit` does not wait: such requests run side by side, so where one must see what another did, wait for it.
`AsyncSidecar` has the same methods for asyncio. The types of what is sent and answered are in `sidecar.client.requests`
and `sidecar.client.results`.
"""

from typing import TYPE_CHECKING, Any

from sidecar.client.errors import SidecarEnded, SidecarFailure
from sidecar.client.job import Job
from sidecar.client.sync_client import Sidecar

if TYPE_CHECKING:
    from sidecar.client.async_client import AsyncSidecar
    from sidecar.client.async_job import AsyncJob

__all__ = ["AsyncJob", "AsyncSidecar", "Job", "Sidecar", "SidecarEnded", "SidecarFailure"]


def __getattr__(name: str) -> Any:
    """Imports asyncio for those that use it."""
    if name == "AsyncSidecar":
        from sidecar.client.async_client import AsyncSidecar

        return AsyncSidecar
    if name == "AsyncJob":
        from sidecar.client.async_job import AsyncJob

        return AsyncJob
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
