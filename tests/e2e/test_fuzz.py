"""Messages of every type and hostile input, mutated: the same each time, and as much as a minute allows."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_protocol import codec
from sidecar_protocol.errors import WireError
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.wire_types import REDACTED

from benchmarks.hostility import KINDS
from sidecar.recording.redaction.redactor import Redactor
from tests.harness import Child
from tests.sidecar.recording.redaction.test_redactor import MESSAGES
from tests.spelled import IN_BASE64, PACKED, SPELLINGS

settings.register_profile("fuzz", derandomize=True, database=None, deadline=None, max_examples=200)
FUZZ = settings(
    settings.get_profile("fuzz"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

BUSY = ("send_job", "test_task", "run_task", "start_task", "create_task", "update_task", "create_schedule")
"""What would start a browser, now or later."""
OUTWARD = ("set_credentials", "set_multiple_credentials", "set_webhooks", "redeliver", "issue_token")
"""What would speak to hosts, and a mutated name is anybody's."""
HOSTILE = [line for kind in KINDS.values() if not kind.browser for line in kind.lines(24)[:2]]
SAMPLES = [json.dumps({"type": kind, "content": content, "id": 7}).encode() for kind, content in MESSAGES.items()]
SAMPLES += [json.dumps({"type": kind, "content": {"id": "a", "b": [1.5, None]}}).encode() for kind in CONTENTS]
PIECES = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"-0",
    b'"id":',
    b'"type":"ping"',
    b"\xff",
]
PIECES += [
    b"\\ud800",
    "é💥".encode(),
    b"[" * 1_100,
    b'\\"' * 50,
    b" - at `$.a`",
    b"unknown field `",
    b"\r",
    b"\x00",
    b"{{a}}",
]


@st.composite
def mutated(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    """One of these lines with some of it cut out, doubled, replaced or put elsewhere; never more than one line."""
    line = draw(st.sampled_from(lines)).rstrip(b"\n")
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.integers(0, 30)))
        piece = draw(st.sampled_from([b"", line[start:end] * 2, line[-30:], *PIECES]))
        line = line[:start] + piece + line[end:]
    return line.replace(b"\n", b" ")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One process for all examples, with an input log; it must have lived through all of them, and said nothing."""
    folder = tmp_path_factory.mktemp("fuzz")
    with Child(folder, env={"SIDECAR_LOG_INPUT": str(folder / "input.log")}) as running:
        yield running
        assert running.ask({"type": "ping"}) == [{"type": "pong"}]
        assert running.end() == 0
        assert running.stderr == ""
        numbers = [json.loads(line)["_log"].get("seq") for line in (folder / "input.log").read_bytes().splitlines()]
        assert numbers == list(range(1, len(numbers) + 1))


def _is_quiet(line: bytes) -> bool:
    return not any(f'"{kind}"'.encode() in line or b"\\u" in line[:60] for kind in (*BUSY, *OUTWARD))


QUIET = [line for line in (*SAMPLES, *HOSTILE) if _is_quiet(line)]


@FUZZ
@given(lines=st.lists(mutated(QUIET).filter(_is_quiet), min_size=1, max_size=12))
def test_each_line_has_exactly_one_reply(child: Child, lines: list[bytes]) -> None:
    """Within seconds, and never `internal`, whatever the line is."""
    opening = {
        "type": "set_mock",
        "content": {"secrets": {"user": {"username": "a", "password": "b"}}},
        "id": "opening",
    }
    ending = {"type": "set_mock", "id": "ending"}  # a barrier: it is answered when all else is
    child.send(opening, *lines, ending)
    replies: list[dict[str, Any]] = []
    while not replies or replies[-1].get("id") != "ending":
        reply = child.read()
        if reply["type"] != "event":
            replies.append(reply)
    assert len(replies) == len(lines) + 2
    assert [one for one in replies if one.get("error", {}).get("code") == "internal"] == []


@FUZZ
@given(line=mutated([*SAMPLES, *HOSTILE]))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    """Nothing but a WireError is raised, and the input log has one line of JSON for it."""
    with contextlib.suppress(WireError):
        codec.decode_content(codec.decode(line))
    assert b"\n" not in Redactor().redact_line(line)
    orjson.loads(Redactor().redact_line(line))


SECRETS = ["hunter2-é", 'p"a\\ss&w%41rd', "correct horse battery staple", "0123456789abcdef" * 8, "ключ-к-двери"]


@FUZZ
@given(
    line=mutated([*SAMPLES, *HOSTILE]),
    secret=st.sampled_from(SECRETS),
    name=st.sampled_from(sorted(SPELLINGS)),
    around=st.sampled_from(["", *"x 9=%é/+&", *("\\" * size for size in (1, 2, 3, 4, 8))]),
)
def test_no_known_secret_is_left_in_any_spelling(line: bytes, secret: str, name: str, around: str) -> None:
    """A value is found in a logged line and in a text, at any place and next to any text."""
    redactor = Redactor()
    for value in SECRETS:
        redactor.add_secret(value)
    spelled = SPELLINGS[name](secret)
    text = f"{around}{spelled}{around}"
    assert spelled not in redactor.redact_text(text)
    assert REDACTED in redactor.redact_text(text)
    inside = re.sub(rb'"(?=[^"]*"\s*[,}\]])', lambda _: b'"' + json.dumps(text)[1:-1].encode(), line, count=1)
    logged = redactor.redact_request(inside)
    assert json.dumps(spelled)[1:-1].encode() not in (logged or b"")
    if logged not in (None, inside) and name not in PACKED:
        assert not redactor.is_clean(inside)


@FUZZ
@given(
    secret=st.sampled_from(SECRETS),
    name=st.sampled_from(sorted(IN_BASE64)),
    before=st.binary(max_size=7),
    after=st.binary(max_size=7),
)
def test_no_known_secret_is_left_in_base64(secret: str, name: str, before: bytes, after: bytes) -> None:
    """Wherever in it the value begins and ends: no letter is left that holds six bits of it."""
    redactor = Redactor()
    redactor.add_secret(secret)
    raw = secret.encode()
    left = redactor.redact_text(f"<{IN_BASE64[name](before + raw + after).decode()}>").split(REDACTED)
    assert len(left) == 2
    assert len(left[0]) <= 1 + len(before) * 8 // 6
    assert len(left[1]) <= 1 + len(after) * 8 // 6 + 4
