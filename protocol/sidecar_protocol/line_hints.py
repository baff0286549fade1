"""What to do about a line that is no request: the usual causes. Imported at the first such line."""

import re
from typing import Final

from sidecar_protocol.codec import NotJson, members
from sidecar_protocol.nearest_name import nearest
from sidecar_protocol.requests import CONTENTS, TEXT, shape_of

_LOOKED_AT: Final = 100_000
"""Bytes of a line that are looked through for a cause."""
_AT_BYTE: Final = re.compile(r"byte (\d+)\)?$")
_MEMBER: Final = re.compile(rb'^\s*"[^"\\]{0,100}"\s*:')
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_HTTP: Final = re.compile(rb"^(GET|POST|PUT|HEAD|DELETE|OPTIONS) \S{1,2000} HTTP/\d")
_WORDS: Final = (
    (re.compile(rb"True\b|False\b|None\b"), "JSON has true, false and null: is this Python's repr? Use json.dumps"),
    (re.compile(rb"-?(NaN|Infinity|nan|inf)\b"), "JSON has no NaN and no Infinity; write null"),
    (re.compile(rb"undefined\b"), "JSON has no undefined; write null"),
    (re.compile(rb"//|/\*|#"), "JSON has no comments"),
    (re.compile(rb"\xe2\x80[\x98-\x9f]"), "strings need straight double quotes; these are a word processor's"),
    (re.compile(rb"'|`"), "strings need double quotes: is this Python's repr? Use json.dumps"),
    (re.compile(rb"\+\d"), "a number has no plus sign"),
    (re.compile(rb"-?0\d"), "a number has no leading zero"),
    (re.compile(rb"[\x00-\x1f]"), r"within a string a tab is written \t, a line break \n"),
)
_SAID: Final = (
    ("invalid escaped character", "within a string a backslash is written twice"),
    ("expected ',' or '}'", "a comma belongs between members"),
    ("expected ',' or ']'", "a comma belongs between the items of a list"),
    ("expected ':'", "a colon belongs between a member's name and its value"),
)
"""What the parser says -> what to do, where nothing that stands there says more."""
_COMMENT: Final = (b"//", b"/*", b"#")
_ONE_LINE: Final = "a message is one line: is yours pretty-printed?"
_EXAMPLE: Final = 'a message is an object on one line, such as {"type":"ping"}'


def parse_hint(line: bytes, said: str) -> str | None:
    """What to do about a line that is not JSON; `said` is the parser's sentence, which may end with a byte's number."""
    start = line[:_LOOKED_AT].strip()
    if not start:
        return "leave out blank lines: each line is answered"
    return _encoding_hint(start, said) or _json_hint(line, start, said)


def _encoding_hint(start: bytes, said: str) -> str | None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start[:8]:
        return "write UTF-8: this looks like UTF-16, which PowerShell writes by default"
    if start.startswith(b"\xef\xbb\xbf"):
        return "leave out the byte-order mark"
    if "not UTF-8" in said:
        return "write UTF-8: is this Latin-1 or Windows-1252?"
    return None


def _json_hint(line: bytes, start: bytes, said: str) -> str | None:
    if _HTTP.match(start):
        return "this is the start of an HTTP request; " + _EXAMPLE
    if "trailing comma" in said:
        return "leave out the comma before the closing bracket"
    if start in (b"{", b"[", b"}", b"]", b"},", b"],", b"}]") or _MEMBER.match(start):
        return _ONE_LINE
    if "surrogate" in said or ("truncated" in said and _SURROGATE.search(start)):
        return "no half of a surrogate pair may stand alone"
    if "truncated" in said:
        return _ONE_LINE
    return _hint_at(line, said) or (None if start[:1] in b"{[" else _EXAMPLE)


def request_hint(line: bytes) -> str | None:
    """What to do about a line that is JSON and no request."""
    try:
        keys = members(line)
    except NotJson:
        return "send each message as a line of its own" if line.lstrip()[:1] == b"[" else _EXAMPLE
    if "type" in keys:
        return _EXAMPLE if keys["type"][:1] != b'"' else None
    if len(keys) == 1 and (name := next(iter(keys))) in CONTENTS:
        return f'write {{"type":"{name}","content":…}}'
    near = next((name for name in ("method", "action", "command", "event", "kind") if name in keys), "")
    near = near or nearest("type", keys)
    if near:
        return f"`{near}` is called `type` here"
    if "steps" in keys:
        return 'this looks like the content of a send_job; write {"type":"send_job","content":{"steps":[…]}}'
    return _EXAMPLE


def type_hint(kind: str) -> str:
    """What to do about a type that no message has."""
    near = nearest(kind, CONTENTS)
    return f"did you mean `{near}`?" if near else "`hello` answers with all message types"


def content_hint(kind: str) -> str:
    """What to do about a message without its content."""
    return f'write {{"type":"{kind}","content":…}}; `sidecar schema {kind}` shows what it holds'


def content_type_hint(kind: str, content: bytes) -> str:
    """What to do about a content of another JSON type than the message's."""
    if content[:1] == b'"' and content[1:2] in (b"{", b"["):
        return "send the JSON itself, not a text of it"
    if CONTENTS[kind] == TEXT:
        return f'write {{"type":"{kind}","content":"…"}}'
    fields = getattr(shape_of(kind), "model_fields", {})
    needed = [one.validation_alias or name for name, one in fields.items() if one.is_required()]
    if needed:
        members = ",".join(f'"{name}":…' for name in needed)
        return f'write {{"type":"{kind}","content":{{{members}}}}}; `sidecar schema {kind}` shows what else it holds'
    return f"`sidecar schema {kind}` shows what it holds"


def _hint_at(line: bytes, said: str) -> str | None:
    """What stands where the parser has stopped."""
    at = _AT_BYTE.search(said)
    if not at or int(at[1]) > len(line):
        return None
    position = int(at[1])
    if "trailing characters" in said and not line[max(position - 1, 0) : position + 9].lstrip().startswith(_COMMENT):
        left = line[max(position - 1, 0) :].strip()
        if left[:1] in (b"}", b"]") and not left.strip(b"}] \t\r"):
            return "a closing bracket is too many"
        return "leave out the comma after the message" if left == b"," else "write a line break after each message"
    # msgspec names the byte of the wrong character or the one after it
    for found in (line[position : position + 10], line[max(position - 1, 0) : position + 9]):
        for cause, hint in _WORDS:
            if cause.match(found):
                return hint
    if "keys must be strings" in said:
        return "names of members need double quotes"
    return next((hint for words, hint in _SAID if words in said), None)
