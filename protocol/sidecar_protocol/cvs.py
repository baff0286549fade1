"""The messages that send CVs. A CV is free and reaches the server byte for byte."""

from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar_protocol.bounds import longer
from sidecar_protocol.errors import ErrorCode, WireError


class Cv(msgspec.Struct, frozen=True, rename={"camel": "referenceNumber", "snake": "reference_number"}):
    """The one member of a CV that the sidecar reads; `camel` is v1's code, `snake` v1's README."""

    camel: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    snake: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


MAX_CVS: Final = 10_000
"""The number of CVs in one `send_cvs_list`."""


class CvList(msgspec.Struct, frozen=True):
    """A list of CVs that can be sent, and how many others were left out."""

    cvs: Sequence[bytes]
    duplicates: int
    without_reference: int

    @property
    def body(self) -> bytes:
        """The list as JSON, each CV byte for byte."""
        return b"[" + b",".join(self.cvs) + b"]"


class CvsListReply(msgspec.Struct, frozen=True):
    """The content of the reply to `send_cvs_list`: how many CVs were sent, and how many were not, and why."""

    sent: int
    duplicates: int
    without_reference: int

    def wire_members(self) -> dict[str, int]:
        """The members by their names on the wire."""
        return msgspec.structs.asdict(self)


class _Details(msgspec.Struct, frozen=True, rename={"code": "zip"}):
    code: str = ""


class _Place(msgspec.Struct, frozen=True, rename={"details": "personalDetails"}):
    details: _Details = _Details()


_ZIP_LENGTHS = (4, 6)
"""Characters of a Dutch zip code, without its letters and with them."""
_decode_place = msgspec.json.Decoder(_Place).decode
_decode = msgspec.json.Decoder(Cv).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode


def reference_of(cv: bytes) -> str:
    """A CV's reference. Raises WireError `invalid_content`, in v1's words."""
    reference, name = _found(cv)
    if reference is None:
        raise _invalid("referenceNumber field does not exists", "referenceNumber")
    if not reference:
        raise _invalid("reference number cannot be an empty string", name)
    return reference


def list_of(content: bytes) -> CvList:
    """The CVs of a list, each reference once, without those that have none.

    Raises WireError: `invalid_content` names the member that is no CV, `limit_exceeded` comes before anything is built.
    """
    if longer(content, MAX_CVS):
        raise WireError(ErrorCode.LIMIT_EXCEEDED, f"content: more than {MAX_CVS} CVs", field="content")
    try:
        given = _decode_list(content)
    except msgspec.ValidationError:
        raise _invalid("cvs expected to be an array", "content") from None
    kept: dict[str, bytes] = {}
    without = 0
    for number, cv in enumerate(given):
        try:
            reference, _ = _found(cv)
        except WireError as wrong:
            wrong.prefix_fields(f"[{number}]")
            raise
        if reference:
            kept.setdefault(reference, bytes(cv))
        else:
            without += 1
    return CvList(tuple(kept.values()), len(given) - len(kept) - without, without)


def with_zip_codes(content: bytes) -> bytes:
    """A list of CVs without those that have no usable zip code; other JSON as it is. Raises ValueError."""
    try:
        given = _decode_list(content)
    except msgspec.ValidationError:
        return content
    except msgspec.DecodeError as wrong:
        raise ValueError(str(wrong)) from None
    return b"[" + b",".join(bytes(cv) for cv in given if _has_zip(cv)) + b"]"


def _has_zip(cv: bytes) -> bool:
    """Whether `personalDetails.zip` is four digits, which two letters may follow. What is no CV is left as it is."""
    try:
        code = _decode_place(cv).details.code.strip()
    except msgspec.ValidationError:
        return not cv.lstrip().startswith(b"{")
    return len(code) in _ZIP_LENGTHS and code[:4].isascii() and code[:4].isdigit()


def _found(cv: bytes) -> tuple[str | None, str]:
    """A CV's reference, None where it has none, and the name that it has there."""
    try:
        seen = _decode(cv)
    except msgspec.ValidationError:
        raise _invalid("cv expected to be an object", "content") from None
    name, value = ("reference_number", seen.snake) if seen.camel is msgspec.UNSET else ("referenceNumber", seen.camel)
    if value is msgspec.UNSET:
        return None, name
    try:
        return _decode_string(value), name
    except msgspec.ValidationError:
        raise _invalid(f"{name} is expected to be a string", name) from None


def _invalid(said: str, field: str) -> WireError:
    return WireError(ErrorCode.INVALID_CONTENT, said, field=field)
