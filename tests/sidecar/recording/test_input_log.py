"""The input log: its mode, numbers and times, lines of every form, and disks that fail."""

import json
import logging
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import Clock
from sidecar.recording.input_log import InputLog
from sidecar.recording.redaction.redactor import Redactor
from tests.sidecar.recording.redaction.test_redactor import JSON

AT = "2026-11-22T03:04:05.678Z"
CLOCK = Clock(now=lambda: 1795316645.678)


def record(path: Path, *lines: bytes, readable: bool = True) -> list[Any]:
    """Logs the lines as one batch; gives what the file holds then, a CR being the end of a line as LF is."""
    journal = InputLog(path, Redactor(), CLOCK)
    journal.record(lines, [readable] * len(lines))
    journal.close()
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_are_numbered_and_timed(tmp_path: Path) -> None:
    """Each line is the input and `_log`, over several batches."""
    journal = InputLog(tmp_path / "log", Redactor(), CLOCK)
    journal.record([b'{"type":"ping"}', b' {"type":"ping","id":1} \r'], [True, True])
    journal.record([b'{"type":"set_cached_reference","content":"}"}'], [True])
    journal.close()
    assert [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()] == [
        {"type": "ping", "_log": {"seq": 1, "at": AT}},
        {"type": "ping", "id": 1, "_log": {"seq": 2, "at": AT}},
        {"type": "set_cached_reference", "content": "}", "_log": {"seq": 3, "at": AT}},
    ]


def test_the_log_is_for_its_owner_only(tmp_path: Path) -> None:
    """A new log is 0600, and one that was open to others is closed to them and appended to."""
    for path in (tmp_path / "new", tmp_path / "old"):
        if path.name == "old":
            path.write_text('{"type":"ping"}\n')
            path.chmod(0o666)
        lines = record(path, b'{"type":"ping"}')
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(lines) == (2 if path.name == "old" else 1)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    """The log never lands in what somebody else's link points to, and never waits for a reader."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "missing/log"):
        with pytest.raises(OSError, match=name):
            InputLog(tmp_path / name, Redactor(), CLOCK)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        (b"{}", {}),
        (b" { } ", {}),
        (b'{"content":1}', {"content": 1}),
        (b'{"type":"ping","_log":{"seq":9,"mine":true}}', {"type": "ping"}),
        (b'{"type":"x","password":"hunter2"}', {"type": "x", "password": "**********"}),
    ],
)
def test_odd_objects_are_logged_as_such(tmp_path: Path, line: bytes, logged: dict[str, Any]) -> None:
    """An empty object, one without a type, one with a `_log` of its own."""
    for readable in (True, False) if b"type" in line else (False,):
        path = tmp_path / str(readable)
        assert record(path, line, readable=readable) == [logged | {"_log": {"seq": 1, "at": AT}}]


@pytest.mark.parametrize("line", [b"", b"not json: password=hunter2", b"[1]", b"\xff", b'{"type":"x","token":"hun'])
def test_what_cannot_be_read_leaves_no_content(tmp_path: Path, line: bytes) -> None:
    """There is a line for it, and its length."""
    about = {"unreadable": True, "bytes": len(line), "seq": 1, "at": AT}
    assert record(tmp_path / "log", line, readable=False) == [{"type": "", "_log": about}]


def test_a_secret_is_gone_in_the_same_batch(tmp_path: Path) -> None:
    """A key that comes with the credentials is not logged by the lines that came along with them."""
    credentials = b'{"type":"set_credentials","content":{"api_key":"hunter2hunter2"}}'
    cv = b'{"type":"send_cv","content":{"about":"hunter2hunter2","n":1}}'
    lines = record(tmp_path / "log", *[b'{"type":"ping"}'] * 100, credentials, cv, *[b'{"type":"ping"}'] * 100, cv)
    assert len(lines) == 203
    assert "hunter2" not in (tmp_path / "log").read_text()
    assert [line["_log"]["seq"] for line in lines] == list(range(1, 204))


def test_a_torn_line_stays_alone(tmp_path: Path) -> None:
    """A log whose last writer was killed in the middle of a line goes on with a new one."""
    path = tmp_path / "log"
    path.write_bytes(b'{"type":"pi')
    journal = InputLog(path, Redactor(), CLOCK)
    journal.record([b'{"type":"ping"}'], [True])
    journal.close()
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"type":"pi'
    assert json.loads(whole)["type"] == "ping"


def test_a_full_disk_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The session goes on without its log."""

    def refuse(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    journal = InputLog(tmp_path / "log", Redactor(), CLOCK)
    monkeypatch.setattr(os, "write", refuse)
    with caplog.at_level(logging.WARNING):
        journal.record([b'{"type":"ping"}'], [True])
        journal.record([b'{"type":"ping"}'], [True])
    monkeypatch.undo()
    journal.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"input is no longer logged to {tmp_path / 'log'}: No space left on device"
    ]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a part gets the rest in another call."""
    really = os.write
    monkeypatch.setattr(os, "write", lambda file, data: really(file, bytes(data[:10])))
    assert len(record(tmp_path / "log", b'{"type":"ping"}', b'{"type":"ping"}')) == 2


def test_what_was_recorded_is_forced_to_disk_by_another_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording itself never waits for the disk."""
    synced: list[str] = []
    done = threading.Event()

    def sync(file: int) -> None:
        synced.append(threading.current_thread().name)
        done.set()

    monkeypatch.setattr(os, "fdatasync", sync)
    journal = InputLog(tmp_path / "log", Redactor(), CLOCK)
    for _ in range(100):
        journal.record([b'{"type":"ping"}'], [True])
    assert done.wait(10)
    assert set(synced) == {"input-log"}
    journal.close()
    assert len(synced) <= 4


@given(
    message=st.dictionaries(st.text(max_size=5), JSON, max_size=4).filter(lambda m: "_log" not in m),
    blanks=st.sampled_from(["", " ", "\r", "\t \r"]),
    escaped=st.booleans(),
)
def test_a_logged_line_is_the_input_and_its_note(
    tmp_path_factory: pytest.TempPathFactory, message: dict[str, Any], blanks: str, escaped: bool
) -> None:
    """For any request: without its `_log` the logged line is what the redactor makes of the input."""
    message = {"type": "x"} | message
    line = (blanks + json.dumps(message, ensure_ascii=escaped) + blanks).encode(errors="surrogatepass")
    redacted = Redactor().redact_request(line)
    (logged,) = record(tmp_path_factory.mktemp("any") / "log", line, readable=redacted is not None)
    note = logged.pop("_log")
    assert note["seq"] == 1
    assert logged == (json.loads(redacted) if redacted is not None else {"type": ""})
