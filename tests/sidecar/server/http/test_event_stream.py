"""What is kept of events, and what a listener that comes late is sent."""

from sidecar.server.http import event_stream
from sidecar.server.http.event_stream import KEPT_EVENTS, EventStream


def after(stream: EventStream, last_id: str) -> str:
    """What a listener with this Last-Event-ID is sent at once."""
    position, gap = stream._begin(last_id)
    batch, _ = stream._after(position)
    return (gap + batch).decode()


def test_the_last_are_kept() -> None:
    """Those that went are counted; numbers of another process mean nothing; memory is bounded in bytes, too."""
    stream = EventStream("here")
    for number in range(KEPT_EVENTS + 5):
        stream.add("progress", b'{"n":%d}\n' % number)
    assert after(stream, "") == ""
    assert after(stream, f"here-{stream.last}") == ""
    assert after(stream, f"here-{stream.last - 1}") == (
        f'id: here-{stream.last}\nevent: progress\ndata: {{"n":{KEPT_EVENTS + 4}}}\n\n'
    )
    assert after(stream, "here-2").startswith('event: gap\ndata: {"missed":3}\n\nid: here-6\n')
    for strange in ("there-1", "here-", "here-x", "1", "here-" + "9" * 5_000, "-"):
        assert after(stream, strange) == 'event: gap\ndata: {"missed":null}\n\n'
    stream.add("progress", b"x" * (event_stream.KEPT_BYTES + 1))
    assert after(stream, f"here-{stream.last - 2}").startswith('event: gap\ndata: {"missed":1}')
