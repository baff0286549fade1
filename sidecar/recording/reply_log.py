"""The replies and events of a session as lines of JSON, their secrets replaced."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from sidecar_protocol import codec
from sidecar_protocol.codec import Request
from sidecar_protocol.replies import RequestId

from sidecar.recording.redaction.redactor import Redactor, unreadable_line

SECRET_REQUESTS: Final = frozenset({"get_secret", "get_users_secret", "get_user_secret", "issue_token"})
"""Requests whose whole reply is secret."""
_NO_REPLIES: Final = (b'{"type":"event"', b'{"type":"ready"')
_WITHOUT_ID: Final = frozenset(
    {b'{"type":"ok"}', b'{"type":"ok","content":true}', b'{"type":"ok","content":false}', b'{"type":"pong"}'}
)
"""The replies that are sent most."""


_Asked = tuple[int, str, float]
"""Number and type of a request, and when it came, in monotonic seconds."""


class ReplyLog:
    """Finds the request of each reply, and writes the reply down with how long it took."""

    def __init__(self, redactor: Redactor, write: Callable[[bytes], None]) -> None:
        self._redactor = redactor
        self._write = write
        self._in_order: deque[_Asked] = deque()
        self._by_id: dict[RequestId, deque[_Asked]] = {}

    def expect(self, first: int, lines: Sequence[bytes], requests: Sequence[Request | None], now: float) -> None:
        """Lines have come, which will be answered; `first` is the number of the first, and None is no request."""
        if all(request is not None and request.id is None for request in requests):
            self._in_order.extend((seq, request.type, now) for seq, request in enumerate(requests, first))  # type: ignore[union-attr]
            return
        seq = first
        for line, request in zip(lines, requests, strict=True):
            if request is None:
                request_id = codec.extract_id(line) if line else None
                asked = (seq, "", now)
            else:
                request_id = request.id
                asked = (seq, request.type, now)
            if request_id is None:
                self._in_order.append(asked)
            else:
                self._by_id.setdefault(request_id, deque()).append(asked)
            seq += 1

    def record(self, sent: bytes, read: int, at: str, now: float) -> None:
        """Takes whole lines as they are sent; `read` is the number of requests that had been read by then."""
        lines: list[bytes] = []
        when = b'"read":%d,"at":"%s"' % (read, at.encode())
        ends: dict[float, bytes] = {}
        """What follows the number of a request that came at a time: many come at once."""
        for line in sent.split(b"\n"):
            if line in _WITHOUT_ID and self._in_order:
                asked: _Asked | None = self._in_order.popleft()
            elif line:
                asked = self._asked(line)
                line = self._redacted(line, asked)
            else:
                continue
            if asked is None:
                lines.append(b'%s,"_log":{%s}}\n' % (line[:-1], when))
                continue
            began = asked[2]
            end = ends.get(began)
            if end is None:
                end = ends[began] = b',%s,"ms":%.3f}}\n' % (when, (now - began) * 1000)
            lines.append(b'%s,"_log":{"seq":%d%s' % (line[:-1], asked[0], end))
        self._write(b"".join(lines))

    def _asked(self, line: bytes) -> _Asked | None:
        """The request that a line answers; None for `ready` and events."""
        if line.startswith(_NO_REPLIES):
            return None
        request_id = json.loads(line).get("id") if b'"id":' in line else None
        if request_id is None:
            return self._in_order.popleft() if self._in_order else None
        waiting = self._by_id.get(request_id)
        if not waiting:
            return None
        asked = waiting.popleft()
        if not waiting:
            del self._by_id[request_id]
        return asked

    def _redacted(self, line: bytes, asked: _Asked | None) -> bytes:
        if asked and asked[1] in SECRET_REQUESTS and line.startswith(b'{"type":"ok"'):
            reply = json.loads(line)
            content = self._redactor.redact_body(json.dumps(reply.get("content")), secret=True)
            return json.dumps({**reply, "content": json.loads(content)}, ensure_ascii=False).encode()
        if not self._redactor.knows_secrets and self._redactor.is_clean(line):
            return line
        return self._redactor.redact_request(line) or unreadable_line(line)
