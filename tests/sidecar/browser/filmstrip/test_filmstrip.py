"""What is noted of a job, and that it costs no more than its share."""

import asyncio
from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.filmstrip.filmstrip import MAX_PICTURES, SHARE, Film, Filmstrip
from sidecar.errors import ActionFailed


class Hours:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.at


class StuckPage:
    """Takes its pictures on command."""

    url = "http://h/"
    viewport_size = None

    def __init__(self) -> None:
        self.asked = 0
        self.ready = asyncio.Event()

    async def take(self, *_: Any) -> bytes | None:
        """One picture."""
        self.asked += 1
        await self.ready.wait()
        return b"picture"


@pytest.fixture
def hours() -> Hours:
    """The time of the job."""
    return Hours()


async def test_pictures_take_a_share_of_the_job(hours: Hours) -> None:
    """None while the job is young; one when there is time; the time waited is at most the share."""
    page, film = StuckPage(), Film()
    page.ready.set()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    await strip.action_done(page, "click", hours.at)  # type: ignore[arg-type]
    assert (page.asked, film.left_out) == (0, 1)
    hours.at += 10
    await strip.action_done(page, "click", hours.at - 1)  # type: ignore[arg-type]
    assert film.steps[0]["actions"][1] == {"label": "click", "at": 9_000, "ms": 1_000, "picture": 0}


async def test_a_busy_page_delays_the_job_once(hours: Hours) -> None:
    """A picture that takes too long is waited for as long as the share allows, and no other is begun meanwhile."""
    page, film = StuckPage(), Film()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    hours.at += 1
    began = asyncio.get_running_loop().time()
    await strip.action_done(page, "a", hours.at)  # type: ignore[arg-type]
    assert asyncio.get_running_loop().time() - began < SHARE * 1.0 + 0.5
    for label in ("b", "c"):
        hours.at += 5
        await strip.action_done(page, label, hours.at)  # type: ignore[arg-type]
    assert page.asked == 1
    page.ready.set()
    await strip.finish()
    assert film.pictures == [b"picture"]
    assert film.steps[0]["actions"][0]["picture"] == 0
    assert film.left_out == 2


@pytest.mark.parametrize(("seconds", "kept"), [(0.9, 0), (1.1, 1)])
async def test_a_job_of_a_second_has_a_picture(hours: Hours, seconds: float, kept: int) -> None:
    """The end of a job with none waits longer than its share, unless the job was short."""
    page, film = StuckPage(), Film()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    hours.at += seconds
    strip.reading(page)  # type: ignore[arg-type]
    asyncio.get_running_loop().call_later(SHARE * seconds + 0.1, page.ready.set)
    await strip.finish()
    assert (len(film.pictures), film.left_out) == (kept, 1 - kept)


async def test_the_number_of_a_jobs_pictures_is_bounded(hours: Hours) -> None:
    """A failed job has one more picture, of its failure, with the known state of its page."""
    page, film = StuckPage(), Film()
    page.ready.set()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    for _ in range(MAX_PICTURES + 5):
        hours.at += 100
        await strip.action_done(page, "click", hours.at)  # type: ignore[arg-type]
    assert len(film.pictures) == MAX_PICTURES
    await strip.failed(page, ActionFailed("no #x", step="one", action="click '#x'"), None, (["said"], ["wrong"]))  # type: ignore[arg-type]
    assert len(film.pictures) == MAX_PICTURES + 1
    assert film.failure is not None
    assert film.failure["picture"] == MAX_PICTURES
    assert film.failure["action"] == "click '#x'"
    assert (film.steps[0]["console"], film.steps[0]["errors"], film.steps[0]["failed"]) == (["said"], ["wrong"], True)


async def test_a_picture_that_fails_is_none(hours: Hours) -> None:
    """The job goes on."""

    class Broken(StuckPage):
        async def take(self, *_: Any) -> bytes | None:
            raise RuntimeError("no frame")

    page, film = Broken(), Film()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    strip.reading(page)  # type: ignore[arg-type]
    result = StepResult(
        name="one", url="http://h/", status=200, title="T", duration_ms=1, values=(), console=(), errors=()
    )
    await strip.step_done(result, last=True)
    await strip.finish()
    assert film.pictures == []
    assert film.steps[0]["title"] == "T"
