"""PDFs of CVs: from the message itself, or from a file in the one folder that the settings allow."""

import asyncio
import binascii
import errno
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from sidecar_protocol.cvs import reference_of
from sidecar_protocol.errors import WireError

from sidecar import files
from sidecar.errors import InvalidContent, LimitExceeded

if TYPE_CHECKING:
    from sidecar_protocol.cv_documents import SendFullCv

MAX_BYTES: Final = 32 << 20
"""Bytes of one PDF."""
_SIGNATURE: Final = b"%PDF-"
_SIGNATURE_WITHIN: Final = 1024
"""Bytes in which PDF readers search for the signature."""
_FOLDER: Final = "SIDECAR_CV_FOLDER"


@dataclass(frozen=True, slots=True)
class CvDocument:
    """A CV and its PDF, ready to be sent."""

    reference: str
    metadata: str
    pdf: bytes
    content_type: str
    filename: str


class DocumentLoader:
    """Checks `send_full_cv` and gets its PDF."""

    def __init__(self, folder: str) -> None:
        """`folder` is where files may be read; empty for none."""
        self._folder = Path(folder).expanduser().absolute() if folder else None

    def check(self, content: "SendFullCv") -> str:
        """Checks what needs no file; gives the reference. Raises WireError, which names the field."""
        reference = _reference(content)
        if _is_path(content.cv):
            self._place(content.cv)
        else:
            _decoded(content.cv)
        return reference

    async def load(self, content: "SendFullCv") -> CvDocument:
        """The document with its PDF. Raises WireError, which names the field."""
        reference = _reference(content)
        if _is_path(content.cv):
            pdf = await asyncio.to_thread(_read, *self._place(content.cv))
        else:
            pdf = _decoded(content.cv)
        return CvDocument(reference, content.metadata.decode(), pdf, content.content_type, content.filename)

    def _place(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The folder, and the way from there to a file."""
        if self._folder is None:
            raise _wrong(f"no file can be sent: {_FOLDER} names no folder; send base64, or set it")
        given = PurePosixPath(path)
        if given.is_absolute():
            if not given.is_relative_to(self._folder):
                raise _wrong(f"the path is outside {_FOLDER}")
            given = given.relative_to(self._folder)
        if not given.parts or ".." in given.parts:
            raise _wrong(f"the path is outside {_FOLDER}")
        if "\x00" in path:
            raise _wrong(f"{_FOLDER} has no such file")
        return self._folder, given.parts


def _read(folder: Path, parts: tuple[str, ...]) -> bytes:
    try:
        with os.fdopen(files.open_below(folder, parts), "rb") as file:
            pdf = file.read(MAX_BYTES + 1)
    except OSError as failure:
        raise _wrong(_said(failure)) from None
    return _checked(pdf)


def _reference(content: "SendFullCv") -> str:
    try:
        return reference_of(content.metadata)
    except WireError as wrong:
        wrong.prefix_fields("metadata")
        raise


def _is_path(cv: str) -> bool:
    return "." in cv  # which base64 never has, and the name of a PDF always


def _decoded(cv: str) -> bytes:
    text = "".join(cv.split())  # many an encoder breaks lines
    if len(text) // 4 * 3 > MAX_BYTES + 2:
        raise _too_large()
    try:
        pdf = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise _no_base64() from None
    if len(text) != -(-len(pdf) // 3) * 4:  # Python 3.11 takes padding that is too long
        raise _no_base64()
    return _checked(pdf)


def _checked(pdf: bytes) -> bytes:
    if len(pdf) > MAX_BYTES:
        raise _too_large()
    if pdf.find(_SIGNATURE, 0, _SIGNATURE_WITHIN) < 0:
        raise _wrong(f"not a PDF: {_SIGNATURE.decode()} is missing at its beginning")
    return pdf


def _said(failure: OSError) -> str:
    match failure.errno:
        case errno.ELOOP:
            return "a symbolic link is not followed"
        case errno.ENOENT | errno.ENOTDIR | errno.ENAMETOOLONG:
            return f"{_FOLDER} has no such file"
        case errno.EINVAL:
            return "not a regular file"
    return f"the file can't be read: {(failure.strerror or '').lower()}"


def _wrong(said: str) -> InvalidContent:
    return InvalidContent(f"cv: {said}", "cv")


def _no_base64() -> InvalidContent:
    return _wrong("neither base64 nor a path: that would have a dot, as in ann.pdf")


def _too_large() -> LimitExceeded:
    return LimitExceeded(f"cv: the PDF is larger than {MAX_BYTES >> 20} MiB", field="cv")
