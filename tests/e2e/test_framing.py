"""Lines over real descriptors of every kind and of every size, slow readers, and bytes without sense."""

import json
import os
import pty
import random
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_protocol import PROTOCOL_VERSION
from sidecar_protocol.requests import CONTENTS

import sidecar
from tests.harness import NODE, SECONDS, Child, encoded, environment, error

MiB = 1 << 20
PING = b'{"type":"ping"}\n'
PONG = {"type": "pong"}


def too_long(limit: int) -> dict[str, Any]:
    """The reply to a line over the limit."""
    return error("line_too_long", f"the line is longer than {limit} bytes")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A sidecar of its own, which ends well."""
    with Child(tmp_path) as running:
        yield running
        assert running.end() == 0
        assert running.stderr == ""


def test_ready_is_the_first_line(child: Child) -> None:
    """v1's line with the new keys, and nothing else is said by itself."""
    assert child.ready == {
        "type": "ready",
        "content": "waiting for credentials",
        "protocol": PROTOCOL_VERSION,
        "version": sidecar.__version__,
        "pid": child.pid,
    }
    assert child.silent()


def test_replies_are_written_compactly(child: Child) -> None:
    """One line each, without spaces, `type` first."""
    child.send({"type": "ping"}, {"type": "ping", "id": 1}, {"type": "set_cached_reference", "content": "é"})
    lines = [child.read_line() for _ in range(3)]
    assert lines == [b'{"type":"pong"}\n', b'{"type":"pong","id":1}\n', b'{"type":"ok"}\n']


def test_a_line_may_come_byte_by_byte(child: Child) -> None:
    """Where writes are cut does not matter."""
    for byte in PING:
        child.write(bytes([byte]))
    assert child.read() == PONG


def test_a_last_line_without_newline_counts(child: Child) -> None:
    """What stands before the end of input is a line."""
    child.write(b'{"type":"ping"}\n{"type":"ping"}')
    assert child.end() == 0
    assert child.rest() == [PONG, PONG]


def test_nothing_in_is_nothing_out(child: Child) -> None:
    """Without a line there is no answer but `ready`."""
    assert child.end() == 0
    assert child.rest() == []


@pytest.mark.parametrize("limit", [1024, 1 << 16, (1 << 16) + 1, 300_000])
def test_a_line_over_the_limit_is_skipped(tmp_path: Path, limit: int) -> None:
    """It gets one error; a line of just the limit is read, and the next line after a longer one too."""
    fits = b'{"type":"ping"}'.ljust(limit)
    with Child(tmp_path, "--max-line", str(limit)) as child:
        assert child.ask(fits, fits + b" ", b"x" * 5 * limit, fits, fits + b" ", {"type": "ping"}) == [
            PONG,
            too_long(limit),
            too_long(limit),
            PONG,
            too_long(limit),
            PONG,
        ]
        child.write(b"y" * 2 * limit)  # one that the end of input ends
        assert child.read() == too_long(limit)
        assert child.end() == 0
        assert child.rest() == []


def test_a_line_over_the_default_limit_is_not_held(child: Child) -> None:
    """64 MiB are read; of a line of 200 MiB no more than that is ever in memory."""
    limit = 64 * MiB
    block = b" " * MiB
    child.write(b'{"type":"ping"}')
    for _ in range(200):
        child.write(block)
    child.write(b"\n" + PING)
    assert [child.read(), child.read()] == [too_long(limit), PONG]
    assert child.memory("VmHWM") < limit + 100 * MiB


# --- kinds of descriptors


def talk(stdin: int, stdout: int, tmp_path: Path, theirs: tuple[int, int]) -> tuple[Child, list[dict[str, Any]]]:
    """Spawns a sidecar on the child's ends, says two lines over ours and reads three."""
    child = Child(tmp_path, stdin=theirs[0], stdout=theirs[1])
    for end in set(theirs):
        os.close(end)
    child.stdin, child.stdout = stdin, stdout
    child.send({"type": "ping", "id": 1}, {"type": "ping"})
    return child, child.read_many(3)


def test_sockets(tmp_path: Path) -> None:
    """Node gives its children a pair of sockets each for stdin and stdout."""
    (ours_in, theirs_in), (ours_out, theirs_out) = socket.socketpair(), socket.socketpair()
    ends = [one.detach() for one in (ours_in, ours_out, theirs_in, theirs_out)]
    child, lines = talk(ends[0], ends[1], tmp_path, (ends[2], ends[3]))
    with child:
        assert lines[1:] == [{"type": "pong", "id": 1}, PONG]
        assert child.end() == 0
        assert child.rest() == []


def test_one_socket_for_both(tmp_path: Path) -> None:
    """As inetd does; half of it is closed at the end of input, and answers still come."""
    ours, theirs = socket.socketpair()
    with ours:
        end = theirs.detach()
        child, lines = talk(os.dup(ours.fileno()), os.dup(ours.fileno()), tmp_path, (end, end))
        with child:
            assert lines[1:] == [{"type": "pong", "id": 1}, PONG]
            child.write(PING)
            ours.shutdown(socket.SHUT_WR)
            assert child.wait() == 0
            assert child.rest() == [PONG]


def test_a_terminal(tmp_path: Path) -> None:
    """A person can type lines, and end the input with control-D."""
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    child, lines = talk(os.dup(ours), ours, tmp_path, (theirs, os.dup(theirs)))
    with child:
        assert lines[1:] == [{"type": "pong", "id": 1}, PONG]
        os.close(child.stdin)
        os.close(child.stdout)
        child.stdin = child.stdout = -1
        assert child.wait() == 0


def test_a_terminal_in_its_own_mode(tmp_path: Path) -> None:
    """With echo and line editing as a shell leaves them; control-D is the end."""
    ours, theirs = pty.openpty()
    out, answers = os.pipe()
    child, lines = talk(os.dup(ours), out, tmp_path, (theirs, answers))
    with child:
        assert lines[1:] == [{"type": "pong", "id": 1}, PONG]
        os.write(ours, b"\x04")
        assert child.wait() == 0
        os.close(ours)


def test_regular_files(tmp_path: Path) -> None:
    """`sidecar < session.jsonl > out.jsonl`, begun at the offset that the descriptors stand at."""
    session, out = tmp_path / "session.jsonl", tmp_path / "out.jsonl"
    session.write_bytes(b"skipped\n" + PING * 20_000 + b'{"type":"ping","id":"last"}')
    out.write_bytes(b"kept\n")
    stdin, stdout = os.open(session, os.O_RDONLY), os.open(out, os.O_WRONLY | os.O_APPEND)
    os.lseek(stdin, len(b"skipped\n"), os.SEEK_SET)
    with Child(tmp_path, stdin=stdin, stdout=stdout) as child:
        os.close(stdin)
        os.close(stdout)
        assert child.wait() == 0
    kept, ready, *pongs, last = out.read_bytes().splitlines()
    assert (kept, json.loads(ready)["type"], len(pongs), set(pongs)) == (b"kept", "ready", 20_000, {b'{"type":"pong"}'})
    assert last == b'{"type":"pong","id":"last"}'


@pytest.mark.parametrize("redirection", ["</dev/null", "<&-", "<&- 2>&-"])
def test_no_input_at_all(tmp_path: Path, redirection: str) -> None:
    """A sidecar without input says `ready` and ends."""
    with Child(tmp_path, command=shell(redirection)) as child:
        assert child.ready["type"] == "ready"
        assert child.wait() == 0
        assert child.rest() == []
        assert child.stderr == ""


@pytest.mark.parametrize("redirection", [">/dev/null", ">&-", ">&- 2>&-"])
def test_no_output_at_all(tmp_path: Path, redirection: str) -> None:
    """One whose answers go nowhere reads its input to the end."""
    log = tmp_path / "log"
    command = shell(f"--log-input {log} {redirection}")
    done = subprocess.run(command, input=PING * 3, cwd=tmp_path, env=environment(tmp_path), timeout=SECONDS)
    assert done.returncode == 0
    assert len(log.read_bytes().splitlines()) == 3


def test_a_full_disk_ends_the_process(tmp_path: Path) -> None:
    """Where answers can't be written, there is no use in going on."""
    full = os.open("/dev/full", os.O_WRONLY)
    with Child(tmp_path, stdout=full) as child:
        os.close(full)
        child.send({"type": "ping"})
        assert child.wait() == 0


def shell(redirection: str) -> list[str]:
    """The command line that starts a sidecar with redirected descriptors."""
    return ["/bin/sh", "-c", f'exec "{sys.executable}" -m sidecar {redirection}']


def test_node_reads_every_line(tmp_path: Path) -> None:
    """The real thing: node's own way of spawning, with more output than its sockets hold."""
    script = """
      const { spawn } = require("child_process")
      const child = spawn(process.argv[1], ["-m", "sidecar"], {stdio: ["pipe", "pipe", "inherit"]})
      let lines = 0
      child.stdout.on("data", (data) => { lines += data.toString("latin1").split("\\n").length - 1 })
      child.on("close", (code) => console.log(code, lines))
      child.stdin.end('{"type":"ping"}\\n'.repeat(50000))
    """
    command = [NODE, "-e", script, sys.executable]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), timeout=SECONDS, capture_output=True)
    assert done.stdout == b"0 50001\n"


# --- stdout is for the protocol only


def test_stray_prints_go_to_stderr(tmp_path: Path) -> None:
    """Descriptor 1 is stderr, for this process and its children; no child inherits the protocol's own."""
    code = """
import subprocess, sys
from sidecar.server import message_registry
def ping(*_):
    print("stray", flush=True)
    subprocess.run(["/bin/sh", "-c", "echo child; cat; ls -l /proc/self/fd"])
    return message_registry.codec.NO_CONTENT
message_registry.MESSAGES["ping"] = message_registry.Message(ping, encode=message_registry._pong)
sys.argv = ["sidecar"]
from sidecar.__main__ import main
main()
"""
    with Child(tmp_path, command=[sys.executable, "-c", code]) as child:
        stdin, stdout, stderr = (Path(f"/proc/{child.pid}/fd/{number}").readlink() for number in range(3))
        assert (stdin, stdout) == (Path("/dev/null"), stderr)
        assert child.ask({"type": "ping"}) == [PONG]
        assert child.end() == 0
        assert child.rest() == []
        stray, said, *listed = child.stderr.splitlines()
        assert (stray, said) == ("stray", "child")
        assert not any("pipe:" in line for line in listed)


# --- a parent that is slow to read


def test_a_parent_that_never_reads_stops_us(tmp_path: Path) -> None:
    """Input is taken until the bounds are full, memory stays bounded, and then every answer comes, in order."""
    count = 200_000
    lines = b"".join(b'{"type":"ping","id":%d}\n' % number for number in range(count))
    with Child(tmp_path) as child:
        taken = child.offer(lines)
        assert taken < 4 * MiB < len(lines)
        assert child.memory() < 100 * MiB
        rest = threading.Thread(target=feed, args=(child.stdin, lines[taken:]))
        rest.start()
        assert [child.read_line() for _ in range(count)] == [b'{"type":"pong","id":%d}\n' % n for n in range(count)]
        rest.join(SECONDS)
        child.stdin = -1
        assert child.wait() == 0


@pytest.mark.parametrize("with_ids", [False, True])
def test_unread_long_answers_stop_reading(tmp_path: Path, with_ids: bool) -> None:
    """Short requests with long answers don't pile up unread replies."""
    count = 200 if with_ids else 120  # more than may be in memory
    secret = {"type": "set_mock", "content": {"secrets": {"a": {"k" * MiB: 1}}}}
    ask: dict[str, Any] = {"type": "get_secret", "content": {"key": "a"}}
    with Child(tmp_path) as child:
        assert child.ask(secret) == [{"type": "ok"}]
        lines = b"".join(encoded({**ask, "id": number} if with_ids else ask) for number in range(count))
        assert child.offer(lines) == len(lines)
        assert child.memory("VmHWM") < (180 if with_ids else 100) * MiB
        child.close_stdin()
        for _ in range(count):
            assert len(child.read_line()) > MiB
        assert child.wait() == 0
        assert child.rest() == []


def test_a_busy_lane_does_not_collect_bad_lines(tmp_path: Path) -> None:
    """Lines that wait for their place behind a slow request are bounded, also when they are only refusals."""
    with Child(tmp_path, command=[sys.executable, "-c", SLOW]) as child:
        child.send({"type": "ping"})
        taken = child.offer(b"\n" * 20 * MiB)
        assert taken < 2 * MiB
        assert child.memory() < 150 * MiB


SLOW = """
import asyncio, sys
from dataclasses import replace
from sidecar.server import message_registry
async def ping(*_):
    await asyncio.Event().wait()
message_registry.MESSAGES["ping"] = replace(message_registry.MESSAGES["ping"], handler=ping)
sys.argv = ["sidecar"]
from sidecar.__main__ import main
main()
"""
"""A sidecar whose `ping` is never answered."""


def feed(descriptor: int, data: bytes) -> None:
    """Writes everything, then closes."""
    left = memoryview(data)
    while left:
        if not select.select([], [descriptor], [], SECONDS)[1]:
            return
        left = left[os.write(descriptor, left[: 1 << 16]) :]
    os.close(descriptor)


# --- bytes without sense


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process that has to live through every example."""
    with Child(tmp_path_factory.mktemp("survivor"), "--max-line", "4096", "--shutdown-timeout", "1") as running:
        yield running
        assert running.end() == 0
        assert "Traceback" not in running.stderr


ANY_REPLY = {"type", "id", "content", "error"}
"""What an answer may have."""


SAMPLES = [
    {"type": "ping", "id": 1},
    {"type": "hello", "content": {"notifications": False}},
    {"type": "cancel", "content": {"id": 1}, "id": "c"},
    {"type": "set_mock", "content": {"secrets": {"user": {"username": "a", "password": "b"}}, "cv_matches": True}},
    {"type": "get_secret", "content": {"key": "user", "encryption_key": "k"}},
    {"type": "get_users_secret", "content": {"encryption_key": "k"}},
    {"type": "set_cached_reference", "content": "abc"},
    {"type": "has_cached_reference", "content": "abc"},
    {"type": "send_cv", "content": {"referenceNumber": "abc", "rows": [1, 2.5, None, "é", {"a": []}]}},
    {"type": "set_credentials", "content": {"server_location": "", "api_key_id": "a", "api_key": "b"}},
    {"type": "set_multiple_credentials", "content": []},
    {"type": "send_job", "content": {"steps": [{"url": ""}], "options": ["PDF"], "timeout_ms": 5}},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([*CONTENTS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def mutated(sample: dict[str, Any], path: list[int], value: Any) -> dict[str, Any]:
    """A copy of a message with another value at the end of a path through it."""
    copy: dict[str, Any] = json.loads(json.dumps(sample))
    place: Any = copy
    for index, step in enumerate(path):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if index == len(path) - 1 or not isinstance(place[key], dict | list):
            place[key] = value
            break
        place = place[key]
    return copy


def spoiled(message: dict[str, Any], seed: int) -> bytes:
    """A message's line with some bytes changed, dropped or doubled."""
    chance = random.Random(seed)
    line = bytearray(json.dumps(message, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass"))
    for _ in range(chance.randint(0, 3)):
        place = chance.randrange(len(line))
        line[place : place + chance.randint(0, 2)] = chance.choice(
            [b"", b"\0", b"\xff", b"[", b"}", b'"', b"\\", b"\\ud800", b"\xed\xa0\x80", bytes(chance.randbytes(3))]
        )
    return bytes(line)


MUTATED = st.builds(
    spoiled,
    st.builds(mutated, st.sampled_from(SAMPLES), st.lists(st.integers(0, 9), min_size=1, max_size=4), JSON),
    st.integers(0, 1 << 32),
)
LINE = (
    st.binary(max_size=300)
    | st.binary(min_size=4090, max_size=4100)
    | JSON.map(lambda j: json.dumps(j).encode())
    | MUTATED
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(batch=st.lists(LINE.map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=8))
def test_any_line_gets_one_well_formed_answer(survivor: Child, batch: list[bytes]) -> None:
    """Whatever bytes come, each line has exactly one answer, and the process lives."""
    survivor.send(*batch)
    for _ in batch:
        reply = json.loads(survivor.read_line())
        assert reply["type"] in ("ok", "pong", "error")
        assert reply.keys() <= ANY_REPLY
        assert isinstance(reply.get("id", 1), int | str)
        if reply["type"] == "error":
            assert isinstance(reply["error"], dict)
            assert reply["error"]["message"] == reply["content"]
            assert reply["error"]["code"] != "internal"
    assert survivor.ask({"type": "ping", "id": "alive"}) == [{"type": "pong", "id": "alive"}]
