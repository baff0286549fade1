"""Mock mode: answers like a server, sends nothing, keeps nothing."""

from typing import TYPE_CHECKING

from sidecar_protocol.wire_types import Raw

if TYPE_CHECKING:
    from sidecar_protocol.session import MockOptions

    from sidecar.rtcv.documents import CvDocument

_NULL = Raw(b"null")


class MockServer:
    """Returns the configured secrets, and the configured answer for every CV."""

    def __init__(self, options: "MockOptions") -> None:
        self._secrets = options.secrets or {}
        self._cv_matches = options.cv_matches

    async def secret(self, key: str, encryption_key: str) -> Raw:  # noqa: ARG002
        """The value under the key; null where there is none."""
        return self._secrets.get(key, _NULL)

    async def scan_cv(self, cv: bytes) -> bool:  # noqa: ARG002
        """The mock's `cv_matches`."""
        return self._cv_matches

    async def scan_document(self, document: "CvDocument") -> bool:  # noqa: ARG002
        """The mock's `cv_matches`, too."""
        return self._cv_matches

    async def post_cvs(self, cvs: bytes) -> None:
        """Goes nowhere."""

    async def forward(self, result: bytes, idempotency_key: str) -> None:
        """Goes nowhere."""

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""
