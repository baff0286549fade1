"""The bound on the sources that are looked through: what is beyond it is hidden whole, encrypted, and costs nothing."""

import json
import re
import time
from pathlib import Path

import pytest
from sidecar_protocol.wire_types import REDACTED

from sidecar.javascript.sources import MAX_SOURCE, MAX_TOTAL, SourceScanner
from sidecar.jobs.browser_job_runner import validate
from sidecar.jobs.payloads import contains_secrets, decode_message
from sidecar.recording.redaction.redactor import Redactor, contains_typed_text

QUOTED = f'"{REDACTED}"'
PIECE = "}/a/;'left';"
SELECTORS = "page.click('#a');"
"""Nothing in it is secret."""
ROOT = Path(__file__).parents[3]


def content(*actions: str) -> bytes:
    """That of a job."""
    return json.dumps({"steps": [{"url": "https://shop.nl", "actions": list(actions)}]}).encode()


def times(piece: str, size: int) -> str:
    """A source of no more than this many characters."""
    return piece * (size // len(piece))


def holds_secrets(content: bytes) -> bool:
    """Whether the content of a `send_job` is one to encrypt."""
    job = decode_message("send_job", content)
    return contains_secrets(job, validate(job, files=True))


def test_a_source_up_to_the_bound_is_looked_through() -> None:
    """What it holds is known, and the rest of it is shown."""
    source = f"{times(SELECTORS, MAX_SOURCE - 100)}page.fill('#p', 'hunter2-secret')"
    sources = SourceScanner()
    assert [literal.value for literal in sources.literals(source)] == ["hunter2-secret"]
    assert SourceScanner().redact(source) == source.replace("'hunter2-secret'", QUOTED)
    assert not sources.limit_exceeded


def test_a_longer_one_is_hidden_whole_and_encrypted() -> None:
    """A long source is hidden whole, even without secrets, since it is not analysed."""
    source = times(SELECTORS, MAX_SOURCE + 100)
    job = content(source)
    assert contains_typed_text(job)
    assert holds_secrets(job)
    assert not holds_secrets(content(times(SELECTORS, MAX_SOURCE)))
    line = b'{"type":"send_job","content":%b}' % job
    shown = json.loads(Redactor().redact_request(line) or b"")
    assert shown["content"]["steps"][0]["actions"] == [QUOTED]


def test_many_that_are_too_much_together_are_hidden_and_encrypted() -> None:
    """The first ones are shown, those beyond the bound are not."""
    source = times(SELECTORS, MAX_SOURCE)
    many = MAX_TOTAL // len(source) + 2
    job = content(*[source] * many)
    assert holds_secrets(job)
    line = b'{"type":"send_job","content":%b}' % job
    actions = json.loads(Redactor().redact_request(line) or b"")["content"]["steps"][0]["actions"]
    assert actions[0] == source
    assert actions[-1] == QUOTED
    assert len(actions) == many


def test_sources_within_sources_count() -> None:
    """A source that is all strings of sources is gone through no more than the bound says."""
    within = times("} / 'a' + 'b';", MAX_SOURCE // 2)
    sources = SourceScanner()
    nested = f'page.evaluate({json.dumps(within)} + {json.dumps(within)[:9000]}")'
    for _ in range(50):
        for _ in sources.literals(nested):
            pass
    assert sources.limit_exceeded


@pytest.mark.parametrize("each", [4_000_000, 10_000])
def test_input_beyond_the_limit_is_not_analysed(each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One long action, or many: no more is gone through, so a line costs no more than its copies."""
    gone_through: list[int] = []
    affords = SourceScanner._spend

    def counted(sources: SourceScanner, length: int) -> bool:
        affordable = affords(sources, length)
        gone_through.append(length * affordable)
        return affordable

    monkeypatch.setattr(SourceScanner, "_spend", counted)
    for size in (1_000_000, 4_000_000):
        gone_through.clear()
        length = min(each, size)
        job = content(*[times(PIECE, length)] * (size // length))
        began = time.process_time()
        assert contains_typed_text(job)
        redactor = Redactor()
        redactor.add_secrets_from(job)
        shown = redactor.redact_request(b'{"type":"send_job","content":%b}' % job)
        assert shown is not None
        assert b"left" not in shown
        assert sum(gone_through) <= 4 * MAX_TOTAL * (each <= MAX_SOURCE)
        assert time.process_time() - began < 10


def test_only_one_module_calls_the_tokeniser() -> None:
    """Nothing else of the sidecar calls the tokeniser."""
    calling = re.compile(r"from sidecar\.javascript(?:\.tokens)? import [^\n]*\b(?:tokens|hidden|literals)\b")
    users = [path.name for path in (ROOT / "sidecar").rglob("*.py") if calling.search(path.read_text())]
    assert users == ["sources.py"]
