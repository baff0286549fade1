"""Recorded sessions and what they must answer: each pair of files, and each folder, in replay_logs/ is a case.

See its README.md.
"""

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from sidecar.recording.replay_recording import ReplayOptions, replay_recording
from tests.fakes import KEY, KEY_ID, ApiKey, StandInRtcv
from tests.site.server import TestSite

FOLDER: Final = Path(__file__).parent.parent / "replay_logs"
CASES: Final = sorted(path.name.removesuffix(".expected.jsonl") for path in FOLDER.glob("*.expected.jsonl"))
RECORDINGS: Final = sorted(path.parent.name for path in FOLDER.glob("*/manifest.json"))
IN_BROWSERS: Final = (
    "later",
    "scrape",
    "recorded_async_job_with_webhook",
    "recorded_failing_site",
    "recorded_login_and_scrape",
    "recorded_page_with_sockets",
    "recorded_task_with_fetch",
)
"""Cases that need a browser."""
SECOND_KEY: Final = ApiKey(id=KEY_ID[::-1], key=KEY[::-1])
SECONDS: Final = 60
"""Seconds that a whole case may take."""

_TYPES: Final[Mapping[str, Any]] = {"<any>": object, "<string>": str, "<number>": (int, float)}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.browser] if name in IN_BROWSERS else []) for name in CASES]
)
async def test_a_recorded_session_is_answered_as_before(name: str, tmp_path: Path) -> None:
    """Every line gets the expected answer: in order, those with an id whenever they are ready."""
    session = (FOLDER / f"{name}.jsonl").read_bytes()
    expected = (FOLDER / f"{name}.expected.jsonl").read_text()
    async with AsyncExitStack() as running:
        for place, value in await _stand_ins(session, running):
            session = session.replace(place.encode(), value.encode())
            expected = expected.replace(place, value)
        answers = await _run(session, tmp_path)
    assert _by_id(answers) == _by_id(_marked(json.loads(line)) for line in expected.splitlines())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.browser] if name in IN_BROWSERS else []) for name in RECORDINGS]
)
def test_a_recording_is_replayed_as_it_was(name: str) -> None:
    """`sidecar replay --check`: without its servers, now."""
    printed = io.StringIO()
    assert replay_recording(FOLDER / name, ReplayOptions(check=True), printed) == 0, printed.getvalue()
    assert " 0 replies" not in printed.getvalue()


def test_no_recording_is_left_out() -> None:
    """Every session has its answers, and every file of answers its session."""
    sessions = {path.name.removesuffix(".jsonl") for path in FOLDER.glob("*.jsonl")}
    assert {name for name in sessions if not name.endswith(".expected")} == set(CASES)
    assert len(CASES) >= 6
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(RECORDINGS)
    assert len(RECORDINGS) >= 11


async def _stand_ins(session: bytes, running: AsyncExitStack) -> list[tuple[str, str]]:
    """Starts the servers that the session names; gives what their placeholders stand for."""
    values = []
    if b"{{server}}" in session:
        values.append(("{{server}}", (await running.enter_async_context(StandInRtcv())).url))
    if b"{{server2}}" in session:
        values.append(("{{server2}}", (await running.enter_async_context(StandInRtcv(keys=[SECOND_KEY]))).url))
    if b"{{site}}" in session:
        values.append(("{{site}}", await running.enter_async_context(TestSite())))
    return values


async def _run(session: bytes, folder: Path) -> list[Any]:
    """Gives the whole session to a sidecar at once; everything it answers until it ends by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CLIENT_INPUT")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=folder,
        env=environment | {"SIDECAR_HOME": str(folder / "home")},
    )
    try:
        answers, _ = await asyncio.wait_for(process.communicate(session), SECONDS)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0
    return [json.loads(line) for line in answers.splitlines()]


def _by_id(lines: Iterator[Any] | list[Any]) -> dict[str, list[Any]]:
    """Lines under their id, in order; under `-` those that have none, whose order is a promise."""
    grouped: dict[str, list[Any]] = {}
    for line in lines:
        grouped.setdefault(json.dumps(line.get("id", "-")), []).append(line)
    return grouped


def _marked(value: Any) -> Any:
    """Returns the JSON with its marks made comparable."""
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_marked(inner) for inner in value]
    return _Marked(value) if isinstance(value, str) and "<" in value else value


class _Marked(str):
    """A string with marks: `<any>`, `<string>` and `<number>` alone, `<any>` also as a part."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if str(self) in _TYPES:
            return isinstance(other, _TYPES[str(self)])
        parts = map(re.escape, self.split("<any>"))
        return isinstance(other, str) and re.fullmatch(".*".join(parts), other, re.DOTALL) is not None

    __hash__ = str.__hash__
