"""Replays with a real sidecar: what is printed, skipped, repeated and filled in."""

import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import psutil
import pytest

from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.replay import COMMAND, INTERRUPTED, PIPE_CLOSED, PlaceholderFiller, replay

V1_LOG = """{"type":"set_mock","content":{"secrets":{"user":{"username":"foo","password":"barbarbar"}}}}
{"type":"ping"}
not json

{"type":"get_user_secret","content":{"encryption_key":"in-the-clear"}}
{"type":"send_cv","content":{"reference_number":"a","note":"x"}}
{"type":"has_cached_reference","content":"a"}"""
ECHO = (
    "import json,sys\n"
    "print(json.dumps({'type':'ready'}),flush=True)\n"
    "for line in sys.stdin:\n"
    "    print(json.dumps({'type':'event','content':1}))\n"
    "    print(json.dumps({'type':'ok','content':json.loads(line)}),flush=True)\n"
)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIDECAR_HOME", str(tmp_path / "home"))


def run(
    log: str | Path,
    *,
    skip: str = "",
    repeat: int = 1,
    secrets: Path | None = None,
    command: tuple[str, ...] = COMMAND,
) -> tuple[int, list[str]]:
    """Replays a log; gives the exit code and what was printed, durations as `0ms`."""
    if isinstance(log, str):
        text, log = log, Path("session.log")
        log.write_text(text)
    out = StringIO()
    code = replay(log, skip=frozenset(skip.split(",")), repeat=repeat, secrets=secrets, out=out, command=command)
    return code, [re.sub(r"^\d+ms +", "0ms ", line) for line in out.getvalue().splitlines()]


def test_a_log_of_v1_replays() -> None:
    """A v1 log has no `_log`, secrets in clear, and a line that is no JSON: it is reported, and the rest is sent."""
    assert run(V1_LOG) == (
        0,
        [
            "replaying 5 commands",
            "0ms IN: set_mock                   OUT: ok",
            "0ms IN: ping                       OUT: pong",
            "error: line 3 is not a JSON object: JSON is malformed: invalid character (byte 4)",
            "0ms IN: get_user_secret            OUT: ok: **********",
            "0ms IN: send_cv                    OUT: ok: true",
            "0ms IN: has_cached_reference       OUT: ok: true",
        ],
    )


def test_a_byte_order_mark_is_no_part_of_a_log() -> None:
    """An editor may have put it there."""
    assert run("\ufeff" + V1_LOG) == run(V1_LOG)


def test_commands_can_be_skipped_and_the_session_repeated() -> None:
    """Each repetition is a session of its own: nothing is cached in it."""
    log = '{"type":"has_cached_reference","content":"a"}\n{"type":"ping"}\n'
    log += '{"type":"set_cached_reference","content":"a"}\n'
    once = [
        "replaying 2 commands",
        "0ms IN: has_cached_reference       OUT: ok: false",
        "0ms IN: set_cached_reference       OUT: ok",
    ]
    code, lines = run(log, skip="ping,x", repeat=2)
    assert (code, lines[: -len(once) + 1]) == (0, once * 2)
    assert [line.split(" times: p50 ")[0].split() for line in lines[-len(once) + 1 :]] == [
        ["has_cached_reference", "2"],
        ["set_cached_reference", "2"],
    ]


def test_a_log_of_ours_replays_without_its_notes() -> None:
    """`_log` is not sent, the content's bytes are kept, and an unreadable line is reported."""
    code, said = run(
        '{"type":"a","content":{"n":1.10},"id":1,"_log":{"seq":1,"at":"x"}}\n'
        '{"type":"","_log":{"unreadable":true,"bytes":7,"seq":2,"at":"x"}}\n',
        command=(sys.executable, "-c", ECHO),
    )
    assert (code, said) == (
        0,
        [
            "replaying 1 commands",
            '0ms IN: a                          OUT: ok: {"type":"a","content":{"n":1.1},"id":1}',
            "error: line 2 was not a request when it was logged (7 bytes, not kept)",
        ],
    )


def test_placeholders_are_filled_from_a_file() -> None:
    """By key name; without the file they are sent as they are, and a hint says what to do."""
    log = '{"type":"set_mock","content":{"secrets":{"user":{"username":"**********","password":"**********"}}}}\n'
    log += '{"type":"get_user_secret","content":{"encryption_key":"x"}}\n'
    secrets = Path("secrets.json")
    secrets.write_text('{"username":"ann","password":"p\\"w"}')
    secrets.chmod(0o600)
    assert run(log, secrets=secrets)[1][2] == ("0ms IN: get_user_secret            OUT: ok: **********")
    code, said = run(log)
    assert code == 0
    assert said[-1].startswith("hint: the log holds ********** in place of secrets")
    assert '{"username": "...", "password": "..."}' in said[-1]
    secrets.chmod(0o644)
    assert run(log, secrets=secrets)[1][0].startswith("warning: secrets.json is readable by other users")


def test_filling_changes_nothing_else() -> None:
    """Placeholders that are part of a value, or have no known key, stay; so do all other bytes."""
    line = b'{"a":"x\\"", "api_key" : "**********","n":1.10,"b":"**********","c":["**********-1"]}'
    filled, unknown = PlaceholderFiller({"api_key": "s"}).fill(line)
    assert filled == line.replace(b'"api_key" : "**********"', b'"api_key" : "s"')
    assert unknown == ["b"]


JOB = {
    "steps": [
        {
            "url": "https://shop.nl",
            "actions": ["page.fill('#p', 'it`s')", {"fill": {"selector": "#q", "value": "tea"}}],
        },
        {"url": "https://shop.nl", "actions": [{"keyboard_type": "cup"}, "page.keyboard.type(`a${1}b`)"]},
    ],
    "context": {"extra_http_headers": {"X-One": "first-one", "Accept": "any"}},
    "webhooks": ["https://hooks.nl/T00/B00/token-of-it"],
}


def test_what_a_job_types_is_filled_in_in_its_order() -> None:
    """A list under a key has what the log hid under it, one after the other; actions under `actions`."""
    line = json.dumps({"type": "send_job", "content": JOB}).encode()
    logged = Redactor().redact_line(line)
    known = {
        "actions": ["it`s", "a", "b"],
        "value": "tea",
        "keyboard_type": ["cup"],
        "X-One": "first-one",
        "Accept": "any",
        "webhooks": ["T00/B00/token-of-it"],
    }
    filled, unknown = PlaceholderFiller(known).fill(logged)
    meant = json.loads(line)["content"]
    meant["steps"][0]["actions"][0] = "page.fill('#p', \"it\\`s\")"
    assert (json.loads(filled)["content"], unknown) == (meant, [])
    filled, unknown = PlaceholderFiller({**known, "actions": ["it`s"]}).fill(logged)
    assert unknown == ["actions", "actions"]


@pytest.mark.parametrize(
    ("log", "repeat", "secrets", "sentence"),
    [
        ("missing.log", 1, None, "can't replay missing.log: no such file or directory"),
        (".", 1, None, "can't replay .: it is a folder"),
        ("missing.log", 0, None, "repeatReplay must be greater than 0"),
        ("here.log", 1, "missing.json", "can't read missing.json: no such file or directory"),
        ("here.log", 1, "here.log", 'here.log is not a JSON object of key names and values, like {"api_key": "..."}'),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_sentence(
    log: str, repeat: int, secrets: str | None, sentence: str
) -> None:
    """A log that can't be replayed is reported in a sentence, with exit code 2."""
    Path("here.log").write_text("[]")
    assert run(Path(log), repeat=repeat, secrets=Path(secrets) if secrets else None) == (2, [sentence])


@pytest.mark.parametrize(
    "program", ["raise SystemExit(3)", f"{ECHO.splitlines()[0]}\nprint('{{}}');raise SystemExit(3)"]
)
def test_a_dead_sidecar_ends_the_replay(program: str) -> None:
    """At its start or later: exit code 1."""
    code, said = run('{"type":"ping"}', command=(sys.executable, "-c", program))
    assert (code, said[-1]) == (1, "error: the sidecar ended with exit code 3")


def test_long_and_odd_replies_stay_in_their_line() -> None:
    """A reply is cut to the width, and can't steer a terminal."""
    odd = json.dumps({"type": "a", "content": "\x9b31m" + "x" * 500})
    _, said = run(odd, command=(sys.executable, "-c", ECHO))
    assert len(said[1]) <= 200
    assert "\x9b" not in said[1]
    assert said[1].endswith("…")


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours and its own width."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("session.log").write_text('{"type":"ping"}\n')
    out = StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    assert replay(Path("session.log"), skip=frozenset(), repeat=1, secrets=None, out=out) == 0
    assert "\x1b[32m" in out.getvalue()


def test_a_closed_reader_is_no_failure(tmp_path: Path) -> None:
    """As in `| head -1`: no traceback, and the exit code of any command in such a place."""
    log = tmp_path / "long.log"
    log.write_text('{"type":"ping"}\n' * 20_000)
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar", "-replay", log], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"replaying 20000 commands\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == PIPE_CLOSED


def test_a_pipe_is_no_log(tmp_path: Path) -> None:
    """A named pipe without a writer is refused, since opening it would never end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert run(pipe) == (2, [f"can't replay {pipe}: it is not a regular file"])


def test_a_failed_command_is_a_failed_replay() -> None:
    """The exit code is 1 where a command was answered with an error, and the last line counts them."""
    code, lines = run('{"type":"ping"}\n{"type":"nothing"}\n{"type":"send_cv","content":{}}\n{"type":"ping"}')
    assert code == 1
    assert lines[-1] == "2 of 4 commands failed"


HANGS = (
    "import json,sys,time\n"
    "print(json.dumps({'type':'ready'}),flush=True)\n"
    "for line in sys.stdin:\n"
    "    if 'hang' in line: print('held',file=sys.stderr,flush=True); time.sleep(600)\n"
    "    print(json.dumps({'type':'pong' if 'ping' in line else 'error'}),flush=True)\n"
)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_replay_says_what_was_done(tmp_path: Path, times: int) -> None:
    """Ctrl-C, as a terminal sends it, once or by somebody impatient: no traceback, exit code 130, no child left."""
    log = tmp_path / "some.log"
    log.write_text('{"type":"ping"}\n{"type":"nothing"}\n{"type":"hang"}\n{"type":"ping"}\n')
    code = f"""
import sys
from pathlib import Path
from sidecar.recording.replay import replay
sys.exit(replay(Path({str(log)!r}), skip=frozenset(), repeat=1, secrets=None, out=sys.stdout,
                command=[sys.executable, "-c", {HANGS!r}]))
"""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, process_group=0
    ) as process:
        assert process.stderr
        assert process.stderr.readline() == "held\n"
        (child,) = psutil.Process(process.pid).children()
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED == 130
    assert out.splitlines()[-1] == "interrupted; 1 of 2 commands failed"
    assert "Traceback" not in errors
    child.wait(10)
