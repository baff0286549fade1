"""One line of bytes <-> one message. msgspec reads the envelope, because only it keeps a content as the bytes received.

`decoding` builds the models; it is imported when a message first needs it.
"""

import re
from collections.abc import Callable, Container
from typing import Any, Final

import msgspec

from sidecar_protocol.bounds import DEEPEST, check, deeper
from sidecar_protocol.encoding import encode as encode_bytes
from sidecar_protocol.encoding import encode_line
from sidecar_protocol.errors import ErrorCode, ErrorDetail, WireError
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready, RequestId
from sidecar_protocol.requests import CONTENTS, HOLDS_RAW, NULL_IS_ABSENT, OPTIONAL, RAW, TEXT, shape_of
from sidecar_protocol.wire_types import UNSET, Raw

MAX_NESTING: Final = 1_000
NO_CONTENT: Final = UNSET
"""Content of a reply that has nothing to say."""

Reply = Ready | Ok | Pong | Error | Event


class NotJson(ValueError):
    """Text that should have been JSON of ours; the sentence quotes nothing of it."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One line, with its envelope read and its content still as the bytes received."""

    type: str
    id: RequestId | None = None
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def content_bytes(self) -> bytes:
        """The content as the bytes received; empty for none."""
        return b"" if self.content is msgspec.UNSET else bytes(self.content)


class _AnyId(msgspec.Struct, frozen=True):
    """The id of a request that is otherwise invalid."""

    id: RequestId | None = None


class _MockWithin(msgspec.Struct, frozen=True):
    """The member of a v1.0 login that asks for mock mode."""

    mock: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_request = msgspec.json.Decoder(Request).decode
_decode_id = msgspec.json.Decoder(_AnyId).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]).decode
_decode_whole = msgspec.json.Decoder(msgspec.Raw).decode
_decode_mock = msgspec.json.Decoder(_MockWithin).decode
_decode_text = msgspec.json.Decoder(str).decode
_contents: dict[str, Callable[[msgspec.Raw], Any]] = {}

_AT = re.compile(r" - at `\$\.?(\w*)`$")
_NULL = msgspec.Raw(b"null")
_ENVELOPE = 32
"""Bytes of a line that are neither type nor content, about."""
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
        raise _refused(line, wrong) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise _unreadable(line, wrong) from None


def request_of(kind: str, request_id: RequestId, content: bytes | None) -> Request:
    """A request whose content is JSON, None for one without. Raises WireError: `parse_error`."""
    if content is None:
        return Request(kind, request_id)
    try:
        if not content.isascii():
            content.decode()
        if len(content) > MAX_NESTING * 2 and deeper(content, MAX_NESTING):
            raise RecursionError
        return Request(kind, request_id, _decode_whole(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise WireError(ErrorCode.PARSE_ERROR, _why_unreadable(content, wrong, "body")) from None


def size_of(request: Request) -> int:
    """About how many bytes a request has as a line."""
    return len(request.type) + (0 if request.content is msgspec.UNSET else len(bytes(request.content))) + _ENVELOPE


def encode_request(request: Request) -> bytes:
    """Writes a request as one line, without its newline; line breaks between the content's values become spaces."""
    members = [b'{"type":', encode_bytes(request.type)]
    if request.id is not None:
        members += [b',"id":', encode_bytes(request.id)]
    if request.content is not msgspec.UNSET:
        members += [b',"content":', bytes(request.content).replace(b"\n", b" ")]  # within a text none is valid
    return b"".join([*members, b"}"])


def extract_id(line: bytes) -> RequestId | None:
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
    if kind in OPTIONAL and (content is msgspec.UNSET or content == _NULL):
        return _default(kind)
    if content is msgspec.UNSET:
        from sidecar_protocol.line_hints import content_hint  # late: only mistakes need it

        raise WireError(ErrorCode.INVALID_CONTENT, "content is missing", field="content", hint=content_hint(kind))
    try:
        return read(content)
    except WireError as wrong:
        if wrong.message.startswith("content: expected"):
            from sidecar_protocol.line_hints import content_type_hint  # late: only mistakes need it

            wrong.details.setdefault("hint", content_type_hint(kind, bytes(content)))
        raise


def decode_kept(kind: str, content: bytes) -> Any:
    """Reads a content that was kept, as `decode_content` does."""
    return decode_content(Request(kind, None, msgspec.Raw(content)))


def cut(text: bytes, place: tuple[str, ...], parts: list[Raw]) -> bytes:
    """Cuts the value at a place out of an object, as the bytes received, and puts its number among the parts there.

    Text that has no such place stays as it is. Raises NotJson.
    """
    name, *deeper_in = place
    try:
        members = _decode_object(text)
    except msgspec.ValidationError:
        return text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotJson("not JSON") from None
    for key in members if name == "*" else members.keys() & {name}:
        if deeper_in:
            members[key] = msgspec.Raw(cut(bytes(members[key]), tuple(deeper_in), parts))
        else:
            parts.append(Raw(members[key]))
            members[key] = msgspec.Raw(b"%d" % (len(parts) - 1))
    return msgspec.json.encode(members)


def member(text: bytes, name: str) -> Raw:
    """A member of an object, as the bytes that came; null where it has none. Raises NotJson."""
    parts: list[Raw] = []
    cut(text, (name,), parts)
    return parts[0] if parts else Raw(b"null")


def members(text: bytes) -> dict[str, Raw]:
    """The members of an object, each as the bytes that came. Raises NotJson, also for other JSON."""
    try:
        return {name: Raw(value) for name, value in _decode_object(text).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise _not_json(wrong) from None


def raw(text: bytes) -> Raw:
    """JSON of any kind as the bytes that came, without what surrounds it. Raises NotJson."""
    try:
        return Raw(_decode_whole(text))
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise _not_json(wrong) from None


def narrowed(text: bytes, names: Container[str]) -> bytes:
    """An object, or a list of them, with those members alone, and other JSON as it is. Raises NotJson."""
    try:
        members = _decode_members(text)
    except msgspec.ValidationError:
        return text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise NotJson(str(wrong)) from None
    if isinstance(members, dict):
        return msgspec.json.encode({name: value for name, value in members.items() if name in names})
    return msgspec.json.encode([{key: one[key] for key in one if key in names} for one in members])


def plain(text: bytes | str) -> Any:
    """JSON as plain values, integers of any size whole. Raises NotJson, which quotes nothing of it."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise _not_json(wrong) from None


def encode(reply: Reply) -> bytes:
    """Writes one reply as one line."""
    return encode_line(reply)


def encode_ok(request_id: RequestId | None, content: Any) -> bytes:
    """Writes `ok`; the most frequent replies are encoded in advance."""
    if request_id is None:
        if content is NO_CONTENT:
            return _OK
        if content is True:
            return _OK_TRUE
        if content is False:
            return _OK_FALSE
        return encode(Ok(content))
    return encode(Ok(content, request_id))


def encode_pong(request_id: RequestId | None) -> bytes:
    """Writes `pong`."""
    return _PONG if request_id is None else b'{"type":"pong","id":%s}\n' % encode_bytes(request_id)


def encode_error(request_id: RequestId | None, detail: ErrorDetail) -> bytes:
    """Writes `error`: the sentence twice, for v1 parents and for typed ones."""
    return encode(Error(detail.message, detail, NO_CONTENT if request_id is None else request_id))


def _build(kind: str) -> Callable[[msgspec.Raw], Any]:
    if kind not in CONTENTS:
        raise unknown_type(kind)
    name = CONTENTS[kind]
    if name is None:
        read: Callable[[msgspec.Raw], Any] = _ignore
    elif name == TEXT:
        read = _text
    else:
        read = Raw if name == RAW else _modelled(kind)
    if kind == "set_credentials":
        read = _login_or_mock(read)
    return _contents.setdefault(kind, read)


def _ignore(_: msgspec.Raw) -> None:
    return None


def _text(content: msgspec.Raw) -> str:
    try:
        return _decode_text(content)
    except msgspec.ValidationError as wrong:
        raise WireError(ErrorCode.INVALID_CONTENT, f"content: {_explained(wrong)[0]}", field="content") from None


def _default(kind: str) -> Any:
    shape = shape_of(kind)
    return shape and shape()


def _login_or_mock(read: Callable[[msgspec.Raw], Any]) -> Callable[[msgspec.Raw], Any]:
    """v1.0 asked for mock mode by `mock` in the place of a server; that is read as a `set_mock`."""
    read_mock = _modelled("set_mock", "mock")

    def read_either(content: msgspec.Raw) -> Any:
        try:
            mock = _decode_mock(content).mock
        except msgspec.ValidationError:  # a list of servers, or nothing usable
            return read(content)
        return read(content) if mock is msgspec.UNSET or mock == _NULL else read_mock(mock)

    return read_either


def _modelled(kind: str, within: str = "") -> Callable[[msgspec.Raw], Any]:
    from sidecar_protocol.decoding import decode_as, names_of  # late: it brings pydantic

    shape = shape_of(kind)
    names = names_of(shape)
    levels = MAX_NESTING if kind in HOLDS_RAW else DEEPEST

    def read_checked(content: msgspec.Raw) -> Any:
        text = bytes(content)
        check(text, names, levels)
        return decode_as(shape, text, within)

    return _forgiving(read_checked) if kind in NULL_IS_ABSENT else read_checked


def _forgiving(read: Callable[[msgspec.Raw], Any]) -> Callable[[msgspec.Raw], Any]:
    """Reads what is refused once more, without the members that are null."""

    def read_again(content: msgspec.Raw) -> Any:
        try:
            return read(content)
        except WireError as wrong:
            present = _without_nulls(content) if wrong.code is ErrorCode.INVALID_CONTENT else None
            if present is None:
                raise
            return read(msgspec.Raw(present))

    return read_again


def _not_json(wrong: Exception) -> NotJson:
    if isinstance(wrong, RecursionError):
        return NotJson("it is nested too deeply")
    return NotJson(str(wrong).replace("`", "").replace("$", "value"))


def _without_nulls(content: msgspec.Raw) -> bytes | None:
    """An object, or a list of them, without its null members; None if it has none. Deeper members are kept."""
    try:
        members = _decode_members(content)
    except msgspec.ValidationError:
        return None
    objects = members if isinstance(members, list) else [members]
    present = [{key: value for key, value in one.items() if value != _NULL} for one in objects]
    if present == objects:
        return None
    return msgspec.json.encode(present if isinstance(members, list) else present[0])


def _refused(line: bytes, wrong: msgspec.ValidationError) -> WireError:
    """The error of a line that is no request. msgspec stops at the first wrong member: the rest may be invalid JSON."""
    try:
        _decode_whole(line)
    except (msgspec.DecodeError, RecursionError) as unreadable:
        return _unreadable(line, unreadable)
    said, field = _explained(wrong)
    from sidecar_protocol.line_hints import request_hint  # late: only mistakes need it

    hint = request_hint(line) if field in ("", "type") else None
    return WireError(ErrorCode.INVALID_REQUEST, f"{field}: {said}" if field else said, field=field or None, hint=hint)


def unknown_type(kind: str) -> WireError:
    """The error for a type that no message has, in v1's words."""
    from sidecar_protocol.line_hints import type_hint  # late: only mistakes need it

    return WireError(ErrorCode.UNKNOWN_TYPE, f"unknown message type {kind}", hint=type_hint(kind))


def _unreadable(line: bytes, wrong: Exception) -> WireError:
    from sidecar_protocol.line_hints import parse_hint  # late: only mistakes need it

    said = _why_unreadable(line, wrong)
    return WireError(ErrorCode.PARSE_ERROR, said, hint=None if "nested" in said else parse_hint(line, said))


def _explained(wrong: msgspec.ValidationError) -> tuple[str, str]:
    """The error of an envelope, and the member that it names; empty for the whole envelope."""
    text = str(wrong)
    at = _AT.search(text)
    said = text[: at.start()] if at else text
    missing = said.removeprefix("Object missing required field `")
    if missing != said:
        return "missing", missing[:-1]
    return said[:1].lower() + said[1:].replace("`", ""), at[1] if at else ""


def _why_unreadable(line: bytes, wrong: Exception, what: str = "line") -> str:
    if isinstance(wrong, RecursionError):
        return f"the {what} is nested over {MAX_NESTING} levels"
    if isinstance(wrong, UnicodeDecodeError):
        return f"the {what} is not UTF-8: {wrong.reason} at byte {wrong.start}"
    if not line.strip():
        return f"the {what} is blank"
    said = str(wrong).removeprefix("JSON is malformed: ")
    return f"the {what} is not JSON: {said[:1].lower()}{said[1:]}"
