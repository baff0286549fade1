"""The message that sends a CV. Its content is free and reaches the server byte for byte."""

import msgspec

from sidecar_protocol.errors import ErrorCode, WireError


class Cv(msgspec.Struct, frozen=True, rename={"camel": "referenceNumber", "snake": "reference_number"}):
    """The one member of a CV that the sidecar reads; `camel` is v1's code, `snake` v1's README."""

    camel: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    snake: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(Cv).decode
_decode_string = msgspec.json.Decoder(str).decode


def reference_of(cv: bytes) -> str:
    """A CV's reference. Raises WireError `invalid_content`, in v1's words."""
    try:
        seen = _decode(cv)
    except msgspec.ValidationError:
        raise _invalid("cv expected to be an object", "content") from None
    name, value = ("reference_number", seen.snake) if seen.camel is msgspec.UNSET else ("referenceNumber", seen.camel)
    if value is msgspec.UNSET:
        raise _invalid("referenceNumber field does not exists", "referenceNumber")
    try:
        reference = _decode_string(value)
    except msgspec.ValidationError:
        raise _invalid(f"{name} is expected to be a string", name) from None
    if not reference:
        raise _invalid("reference number cannot be an empty string", name)
    return reference


def _invalid(said: str, field: str) -> WireError:
    return WireError(ErrorCode.INVALID_CONTENT, said, field=field)
