"""Rows of RT-CV scraper client v1: messages, variables and commands, as its README has them.

A span of JSON is a line for the child, which is logged in before unless one of them does that. In the third cell JSON
is an answer, in order (one of an error may leave `error` out), `GET …` or `POST …` a request that the server must have
got, a name that ends in `.log` a file that must not be empty, and any other span what a replay prints.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.coming_from.minutes import run, run_minute
from tests.e2e.coming_from.page import Row, rows
from tests.fakes import ApiKey, Secret
from tests.harness import Child, Rtcv, rtcv

SECTION = "RT-CV scraper client v1"
THEIR_SERVER = "http://localhost:4000"
LOGIN = {
    "type": "set_credentials",
    "content": {"server_location": THEIR_SERVER, "api_key_id": "1" * 24, "api_key": "ddd"},
}
LOGINS = {"set_credentials", "set_multiple_credentials", "set_mock"}
SECRETS = {
    "key-of-value": b'{"any":["JSON"]}',
    "users": b'[{"username":"foo","password":"foo"},{"username":"bar","password":"bar"}]',
    "user": b'{"username":"foo","password":"bar"}',
}
LOG = "scraper_client_input.log"
LOGGED = b"""{"type":"set_mock","content":{}}
{"type":"ping"}
{"type":"has_cached_reference","content":"abcd"}
{"type":"send_cv","content":{"referenceNumber":"abcd"}}
{"type":"set_cached_reference","content":"abcd"}
"""
"""What v1 wrote: the lines as they came."""


def server() -> Any:
    """A server that knows the README's key and secrets."""
    secrets = {name: Secret(value, "my-very-secret-encryption-key") for name, value in SECRETS.items()}
    return rtcv(keys=[ApiKey(id="1" * 24, key="ddd", secrets=secrets)])


def login(place: str) -> bytes:
    """The README's login, to the server that stands in for its own."""
    return json.dumps(LOGIN).replace(THEIR_SERVER, place).encode()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One sidecar for all rows of messages: each logs in to a server of its own, and knows no reference there."""
    with Child(tmp_path_factory.mktemp("messages")) as running:
        yield running
        assert running.end() == 0


@pytest.mark.parametrize("row", rows(SECTION), ids=str)
def test_row(row: Row, tmp_path: Path, child: Child) -> None:
    """Both forms do what the row says."""
    for number, form in enumerate(row.forms):
        folder = tmp_path / str(number)
        folder.mkdir()
        if form[0].startswith("{"):
            check_messages(form, row.happens, child)
        elif form[0].startswith("export "):
            check_variables(form, row.happens, folder)
        else:
            check_command(form, row.happens, folder)


def check_messages(lines: tuple[str, ...], happens: tuple[str, ...], child: Child) -> None:
    """Each line is answered as it says; the server got what it says."""
    with server() as real:
        place = real.server.url
        given = [line.replace(THEIR_SERVER, place).encode() for line in lines]
        if not LOGINS & {json.loads(line)["type"] for line in lines}:
            assert child.ask(login(place)) == [{"type": "ok"}]
        answers = child.ask(*given)
    expected = [json.loads(span) for span in happens if span.startswith("{")]
    assert [shown(*both) for both in zip(answers, expected, strict=True)] == expected
    check_requests([span for span in happens if not span.startswith("{")], real)


def shown(answer: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """An answer without the typed form of its error, where the row leaves that out."""
    return answer if "error" in expected else {name: value for name, value in answer.items() if name != "error"}


def check_requests(spans: list[str], real: Rtcv) -> None:
    """The server got each of them."""
    for span in spans:
        method, path, *body = span.split(" ", 2)
        assert method in ("GET", "POST"), f"not checked: {span}"
        got = [one for one in real.server.requests if (one.method, one.path) == (method, path)]
        assert got, span
        assert not body or json.loads(body[0]) in [one.json for one in got]


def check_variables(lines: tuple[str, ...], happens: tuple[str, ...], folder: Path) -> None:
    """The child that has them in its environment writes the files."""
    env = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    with server() as real, Child(folder, env=env) as child:
        assert child.ask(login(real.server.url), {"type": "ping"}) == [{"type": "ok"}, {"type": "pong"}]
        assert child.end() == 0
    for span in happens:
        assert span.endswith(".log"), f"not checked: {span}"
        assert (folder / span).stat().st_size


def check_command(commands: tuple[str, ...], happens: tuple[str, ...], folder: Path) -> None:
    """The command, under their name or ours, replays v1's log."""
    (folder / LOG).write_bytes(LOGGED)
    [command] = commands
    name, *arguments = shlex.split(command)
    assert name in ("rtcv_scraper_client", "sidecar"), command
    (folder / name).symlink_to(Path(sys.prefix) / "bin" / "sidecar")
    printed = run([str(folder / name), *arguments], folder)
    for span in happens:
        assert span in printed, printed
    assert (printed.count("IN: ") == len(happens)) == ("-replaySkipCommands" in arguments)


def test_minute(tmp_path: Path) -> None:
    """Its lines work as they stand, with a scraper that finds its client in the PATH."""
    (tmp_path / LOG).write_bytes(LOGGED)
    scraper = tmp_path / "your-scraper"
    scraper.write_text("""#!/bin/sh\necho '{"type":"ping"}' | rtcv_scraper_client\n""")
    scraper.chmod(0o755)
    printed = run_minute(SECTION, tmp_path)
    assert re.findall(r"IN: (\w+) +OUT: (\w+)", printed) == [
        (json.loads(line)["type"], "pong" if b"ping" in line else "ok") for line in LOGGED.splitlines()
    ]
    assert printed.endswith('{"type":"pong"}\n')
