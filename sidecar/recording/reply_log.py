"""The replies and events of a session as lines of JSON, their secrets replaced."""

import json
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from sidecar_protocol.replies import RequestId

from sidecar.recording.redaction.redactor import Redactor, unreadable_line

SECRET_REQUESTS: Final = frozenset({"get_secret", "get_users_secret", "get_user_secret", "issue_token"})
"""Requests whose whole reply is secret."""
_NO_REPLIES: Final = (b'{"type":"event"', b'{"type":"ready"')
_WITHOUT_ID: Final = frozenset({b'{"type":"ok"}', b'{"type":"ok","content":true}', b'{"type":"pong"}'})
"""The replies that are sent most."""


class _Asked(NamedTuple):
    seq: int
    type: str
    began: float


class ReplyLog:
    """Finds the request of each reply, and writes the reply down with how long it took."""

    def __init__(self, redactor: Redactor, write: Callable[[bytes], None]) -> None:
        self._redactor = redactor
        self._write = write
        self._in_order: deque[_Asked] = deque()
        self._by_id: dict[RequestId, deque[_Asked]] = {}

    def expect(self, seq: int, kind: str, request_id: RequestId | None, now: float) -> None:
        """A request has come, which will be answered."""
        asked = _Asked(seq, kind, now)
        if request_id is None:
            self._in_order.append(asked)
        else:
            self._by_id.setdefault(request_id, deque()).append(asked)

    def record(self, sent: bytes, read: int, at: str, now: float) -> None:
        """Takes whole lines as they are sent; `read` is the number of requests that had been read by then."""
        lines = []
        when = b'"read":%d,"at":"%s"' % (read, at.encode())
        for line in sent.split(b"\n"):
            if line:
                asked = self._asked(line)
                redacted = self._redacted(line, asked)[:-1]
                if asked:
                    took = (now - asked.began) * 1000
                    lines.append(b'%s,"_log":{"seq":%d,%s,"ms":%.3f}}\n' % (redacted, asked.seq, when, took))
                else:
                    lines.append(b'%s,"_log":{%s}}\n' % (redacted, when))
        self._write(b"".join(lines))

    def _asked(self, line: bytes) -> _Asked | None:
        """The request that a line answers; None for `ready` and events."""
        if line in _WITHOUT_ID:
            return self._next()
        if line.startswith(_NO_REPLIES):
            return None
        request_id = json.loads(line).get("id") if b'"id":' in line else None
        if request_id is None:
            return self._next()
        waiting = self._by_id.get(request_id)
        if not waiting:
            return None
        asked = waiting.popleft()
        if not waiting:
            del self._by_id[request_id]
        return asked

    def _next(self) -> _Asked | None:
        return self._in_order.popleft() if self._in_order else None

    def _redacted(self, line: bytes, asked: _Asked | None) -> bytes:
        if asked and asked.type in SECRET_REQUESTS and line.startswith(b'{"type":"ok"'):
            reply = json.loads(line)
            content = self._redactor.redact_body(json.dumps(reply.get("content")), secret=True)
            return json.dumps({**reply, "content": json.loads(content)}, ensure_ascii=False).encode()
        if line in _WITHOUT_ID or (not self._redactor.knows_secrets and self._redactor.is_clean(line)):
            return line
        return self._redactor.redact_request(line) or unreadable_line(line)
