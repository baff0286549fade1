"""A pipe that is written to without waiting for its reader, within bounds."""

import os
import threading

from sidecar.recording.pipe_writer import PipeWriter


def pipe() -> tuple[int, int]:
    """Its reading and its writing end."""
    return os.pipe()


def test_all_bytes_arrive_in_order() -> None:
    """Far more than a pipe holds, from a writer that is ahead of the reader, and beyond the bound of what may wait."""
    source, target = pipe()
    writer = PipeWriter(target, max_waiting=1 << 20)
    received: list[bytes] = []

    def read() -> None:
        while data := os.read(source, 1 << 16):
            received.append(data)

    sent = [bytes([number]) * (100_000 + number) for number in range(100)]
    writer.write(sent[0])
    writer.write(sent[1])  # nothing reads yet
    reader = threading.Thread(target=read)
    reader.start()
    for data in sent[2:]:
        writer.write(data[:50_000], b"", data[50_000:])
    writer.close()
    reader.join(20)
    os.close(source)
    assert b"".join(received) == b"".join(sent)
    assert not writer.failed


def test_a_reader_that_is_gone_ends_it() -> None:
    """Writing goes on without an error, and is remembered as failed."""
    source, target = pipe()
    writer = PipeWriter(target)
    os.close(source)
    writer.write(b"x")
    writer.write(b"y")
    assert writer.failed
    writer.close()


def test_a_reader_that_takes_nothing_is_given_up() -> None:
    """`write` waits for room no longer than the bound."""
    source, target = pipe()
    writer = PipeWriter(target, max_waiting=1000, max_wait=0.05)
    writer.write(b"x" * (1 << 20))
    assert writer.failed
    writer.close()
    os.close(source)
