"""The fastest stand-in for an RT-CV server that is still one: it accepts every login and finds a match for every CV.

`python -m benchmarks.server --latency-ms 20` prints its URL as its first line and stops when its stdin is closed.
"""

import argparse
import asyncio
import sys

SCAN = b"/api/v1/scraper/scanCV"
ANSWERS = {
    b"/api/v1/health": b'{"status":true}',
    b"/api/v1/auth/keyinfo": b'{"id":"222222222222222222222222","roles":[{"role":1}]}',
    b"/api/v1/scraper/scannedReferenceNrs/since/days/30": b"[]",
    SCAN: b'{"success":true,"hasMatches":true,"matches":[]}',
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests on it are answered one after the other."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Stores the transport for replies."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers when the request is complete; a client sends the next one only after that."""
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or len(body) < _content_length(head):
            return
        self._received = b""
        path = head.split(b" ", 2)[1]
        answer = ANSWERS[path]
        whole = HEAD % len(answer) + answer
        if path == SCAN and self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, whole)
        else:
            self._transport.write(whole)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    return int(lowered[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def main() -> None:
    """Serves on a free port of 127.0.0.1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each CV takes")
    latency = parser.parse_args().latency_ms / 1000
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, backlog=512)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
