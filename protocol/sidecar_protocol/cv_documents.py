"""The message that sends a CV together with its PDF."""

from typing import Annotated, Final

from sidecar_protocol.models import Bound, Model
from sidecar_protocol.wire_types import Raw

PDF: Final = "application/pdf"
_NAME: Final = 255
"""Characters of a file name or a content type."""


class SendFullCv(Model):
    """A CV whose document is a PDF. Source: later versions of the RT-CV scraper client."""

    raw_parts = (("metadata",),)

    metadata: Raw
    """The content of `send_cv`: an object with a reference. It reaches the server byte for byte."""
    cv: str
    """The PDF in base64; or its path in the folder that `SIDECAR_CV_FOLDER` names, which contains a dot: `ann.pdf`."""
    content_type: Annotated[str, Bound(max_length=_NAME, pattern=r"^[\w.+-]+/[\w.+-]+(; ?[\w.+-]+=[\w.+-]+)*$")] = PDF
    filename: Annotated[str, Bound(max_length=_NAME, pattern=r'^[^\x00-\x1f\x7f/\\"]+$')] = "cv.pdf"
    """The file name for the server."""
