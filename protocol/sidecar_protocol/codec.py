"""One line of bytes <-> one message. Decoders are built once, at first use of a type."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from sidecar_protocol.base import decode_hook, encode_hook
from sidecar_protocol.bounds import DEEPEST, Excess, check, deeper
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready, RequestId
from sidecar_protocol.requests import CONTENTS, HOLDS_RAW, NULL_IS_ABSENT, OPTIONAL

LONGEST_SENTENCE: Final = 500
"""Characters of what is said of wrong content, and of the place that it names."""
MAX_NESTING: Final = 1_000
NOTHING: Final = msgspec.UNSET
"""Content of a reply that has nothing to say."""

Reply = Ready | Ok | Pong | Error | Event


class Request(msgspec.Struct, frozen=True, gc=False):
    """One line, its envelope read and its content still the bytes that came."""

    type: str
    id: RequestId | None = None
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _AnyId(msgspec.Struct, frozen=True):
    """What can be saved of a request that is wrong elsewhere."""

    id: RequestId | None = None


_decode_request = msgspec.json.Decoder(Request).decode
_decode_id = msgspec.json.Decoder(_AnyId).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]).decode
_encode = msgspec.json.Encoder(enc_hook=encode_hook).encode
_contents: dict[str, Callable[[Any], Any]] = {}

_AT = " - at `"
_PLACE = re.compile(r"(?:key` in `)?\$((?:\.\w++|\[(?:\d++|\.{3})\])*+)`")
"""What stands behind `_AT`: names of our own, and places in lists and mappings."""
_FIELDS = {"Object contains unknown field `": "unknown field", "Object missing required field `": "missing"}
_QUOTE = re.compile("['\"`]")
_TOO_LONG_A_LIST = re.compile(r"Expected `(?:array|object)` of length <= ")
_UNBOUNDED = (None, msgspec.Raw, str)
"""Types of contents of which nothing is built."""

_NULL = msgspec.Raw(b"null")
_OK = b'{"type":"ok"}\n'
_OK_TRUE = b'{"type":"ok","content":true}\n'
_OK_FALSE = b'{"type":"ok","content":false}\n'
_PONG = b'{"type":"pong"}\n'


def decode(line: bytes) -> Request:
    """Reads one line's envelope. Raises WireError: `parse_error` or `invalid_request`."""
    try:
        if not line.isascii():
            line.decode()  # strict; msgspec takes the bytes of a string on trust
        if len(line) > MAX_NESTING * 2 and deeper(line, MAX_NESTING):
            raise RecursionError
        return _decode_request(line)
    except msgspec.ValidationError as wrong:
        said, field = explain(wrong)
        raise WireError(ErrorCode.INVALID_REQUEST, f"{field}: {said}" if field else said, field=field or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise WireError(ErrorCode.PARSE_ERROR, _why_unreadable(line, wrong)) from None


def salvage_id(line: bytes) -> RequestId | None:
    """The id of a line whose envelope is wrong, so that its error finds the way back."""
    try:
        return _decode_id(line).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_content(request: Request) -> Any:
    """Reads a request's content into its type.

    Raises WireError: `unknown_type`, `invalid_content`, or `limit_exceeded` before anything of it is built.
    """
    kind, content = request.type, request.content
    read = _contents.get(kind) or _build(kind)
    if kind in OPTIONAL and (content is NOTHING or content == _NULL):
        return OPTIONAL[kind]
    if content is NOTHING:
        raise WireError(ErrorCode.INVALID_CONTENT, "content is missing", field="content")
    if CONTENTS[kind] not in _UNBOUNDED:
        check(bytes(content), CONTENTS[kind], MAX_NESTING if kind in HOLDS_RAW else DEEPEST)
    try:
        return read(content)
    except msgspec.ValidationError as wrong:
        said, field = explain(wrong)
        code = ErrorCode.INVALID_CONTENT
        if isinstance(wrong.__cause__, Excess):
            code, field = ErrorCode.LIMIT_EXCEEDED, ".".join(filter(None, (field, wrong.__cause__.field)))
        elif _TOO_LONG_A_LIST.match(str(wrong)):
            code = ErrorCode.LIMIT_EXCEEDED
        field = field or "content"
        raise WireError(code, f"{field}: {said}", field=field) from None


def encode(reply: Reply) -> bytes:
    """Writes one reply as one line."""
    return _encode(reply) + b"\n"


def encode_ok(request_id: RequestId | None, content: Any) -> bytes:
    """Writes `ok`; the replies that are sent most are not encoded anew."""
    if request_id is None:
        if content is NOTHING:
            return _OK
        if content is True:
            return _OK_TRUE
        if content is False:
            return _OK_FALSE
        return encode(Ok(content))
    return encode(Ok(content, request_id))


def encode_pong(request_id: RequestId | None) -> bytes:
    """Writes `pong`."""
    return _PONG if request_id is None else encode(Pong(request_id))


def encode_error(request_id: RequestId | None, detail: ErrorDetail) -> bytes:
    """Writes `error`: the sentence twice, for v1 parents and for typed ones."""
    return encode(Error(detail.message, detail, NOTHING if request_id is None else request_id))


def _build(kind: str) -> Callable[[Any], Any]:
    if kind not in CONTENTS:
        raise WireError(ErrorCode.UNKNOWN_TYPE, f"unknown message type {kind}")
    wanted = CONTENTS[kind]
    if wanted is None:
        read: Callable[[Any], Any] = _ignore
    elif wanted is msgspec.Raw:
        read = _as_it_came
    else:
        read = msgspec.json.Decoder(wanted, dec_hook=decode_hook).decode
    if kind in NULL_IS_ABSENT:
        read = _forgiving(read)
    return _contents.setdefault(kind, read)


def _ignore(_: msgspec.Raw) -> None:
    return None


def _as_it_came(content: msgspec.Raw) -> msgspec.Raw:
    return content


def _forgiving(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Reads what is refused once more, without the members that are null."""

    def read_again(content: msgspec.Raw) -> Any:
        try:
            return read(content)
        except msgspec.ValidationError:
            present = _without_nulls(content)
            if present is None:
                raise
            return read(present)

    return read_again


def _without_nulls(content: msgspec.Raw) -> bytes | None:
    """An object, or a list of them, without its null members; None where it has none. What lies deeper is kept."""
    try:
        members = _decode_members(content)
    except msgspec.ValidationError:
        return None
    objects = members if isinstance(members, list) else [members]
    present = [{key: value for key, value in one.items() if value != _NULL} for one in objects]
    if present == objects:
        return None
    return msgspec.json.encode(present if isinstance(members, list) else present[0])


def explain(wrong: msgspec.ValidationError) -> tuple[str, str]:
    """msgspec's sentence -> our sentence, and the place that it speaks of: empty for the whole value.

    Neither is longer than `LONGEST_SENTENCE`. A wrong value, which may be a secret, is quoted whole or not at all, so
    that whoever takes secrets out of sentences finds it.
    """
    said, path = _parted(str(wrong))
    for beginning, meaning in _FIELDS.items():
        if said.startswith(beginning):
            key = said.removeprefix(beginning)[:-1]
            said, path = meaning, f"{path}.{key if len(key) < LONGEST_SENTENCE else '…'}"
    said = said[:1].lower() + said[1:].replace("`", "")
    if len(said) > LONGEST_SENTENCE:
        said = f"{_QUOTE.split(said, maxsplit=1)[0][:LONGEST_SENTENCE].rstrip()} …"
    path = path.removeprefix(".")
    return said, path if len(path) <= LONGEST_SENTENCE else f"…{path[-LONGEST_SENTENCE:]}"


def _parted(text: str) -> tuple[str, str]:
    said, at, place = text.rpartition(_AT)
    match = _PLACE.fullmatch(place) if at else None
    return (said, match[1]) if match else (text, "")


def _why_unreadable(line: bytes, wrong: Exception) -> str:
    if isinstance(wrong, RecursionError):
        return f"the line is nested over {MAX_NESTING} levels"
    if isinstance(wrong, UnicodeDecodeError):
        return f"the line is not UTF-8: {wrong.reason} at byte {wrong.start}"
    if not line.strip():
        return "the line is blank"
    said = str(wrong).removeprefix("JSON is malformed: ")
    return f"the line is not JSON: {said[:1].lower()}{said[1:]}"
