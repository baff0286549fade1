"""Bodies of `multipart/form-data` as their parts, in linear time. The body is held already."""

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

from sidecar_protocol.errors import ErrorCode

from sidecar.server.http.refusals import Refused

MAX_PARTS: Final = 20
MAX_HEAD: Final = 8_192
"""Bytes of a part's own headers."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form."""

    content: bytes
    content_type: str
    filename: str


def parts_of(body: bytes, content_type: str) -> dict[str, Part]:
    """The parts by their names. Raises Refused."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise _refused("expected multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="replace"), MAX_PARTS + 1)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _refused(f"the form does not end, or has more than {MAX_PARTS} parts")
    return dict(_part(piece) for piece in pieces[1:-1])


def _part(piece: bytes) -> tuple[str, Part]:
    head, found, content = piece.partition(b"\r\n\r\n")
    if not found or len(head) > MAX_HEAD:
        raise _refused("a part of the form has no end to its headers")
    headers = BytesHeaderParser().parsebytes(head.lstrip() + b"\r\n\r\n")
    name = headers.get_param("name", header="Content-Disposition")
    if not isinstance(name, str):
        raise _refused("a part of the form has no name")
    return name, Part(content, headers.get("Content-Type", ""), str(headers.get_filename("")))


def _refused(message: str) -> Refused:
    return Refused.because(ErrorCode.INVALID_CONTENT, message)
