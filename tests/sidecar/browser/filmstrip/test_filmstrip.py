"""What is noted of a job, and that it costs no more than its share."""

import asyncio
from typing import Any

import pytest
from sidecar_protocol.jobs import StepResult

from sidecar.browser.filmstrip.filmstrip import LAST_SECONDS, MAX_PICTURES, SHARE, Film, Filmstrip
from sidecar.browser.filmstrip.late_pictures import LatePictures
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
    page, film, shown = StuckPage(), Film(), list[int]()
    page.ready.set()
    strip = Filmstrip(film, page, hours, lambda: shown.append(len(film.pictures)))  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    await strip.action_done(page, "click", hours.at)  # type: ignore[arg-type]
    assert (page.asked, film.left_out) == (0, 1)
    hours.at += 10
    await strip.action_done(page, "click", hours.at - 1)  # type: ignore[arg-type]
    assert shown == [1]
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


@pytest.mark.parametrize("is_busy", [False, True])
async def test_every_job_has_a_picture_of_its_last_page(hours: Hours, *, is_busy: bool) -> None:
    """Its end waits longer than its share, however short it was, also when the page is busy with another picture."""
    page, film = StuckPage(), Film()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    hours.at += 2 if is_busy else 0.01
    if is_busy:
        await strip.action_done(page, "a", hours.at)  # type: ignore[arg-type]
    strip.reading(page, last=True)  # type: ignore[arg-type]
    asyncio.get_running_loop().call_later(0.2, page.ready.set)
    await strip.finish()
    assert (page.asked, len(film.pictures), film.left_out) == (1 + is_busy, 1 + is_busy, 0)
    assert film.steps[0]["picture"] == int(is_busy)


async def test_the_last_picture_is_waited_for_a_second(hours: Hours) -> None:
    """A page that gives none delays the end of its job no longer."""
    page, film = StuckPage(), Film()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    strip.reading(page, last=True)  # type: ignore[arg-type]
    began = asyncio.get_running_loop().time()
    await strip.finish()
    assert LAST_SECONDS - 0.1 < asyncio.get_running_loop().time() - began < LAST_SECONDS + 0.5
    assert (film.pictures, film.left_out) == ([], 1)


async def test_a_late_picture_is_taken_after_a_success_alone(hours: Hours) -> None:
    """A page is read without being photographed; a failure's reply, or a cancellation, waits for no picture of it."""
    page, film = StuckPage(), Film()
    strip = Filmstrip(film, page, hours, late_end=True)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    strip.reading(page, last=True)  # type: ignore[arg-type]
    await strip.finish()
    assert (page.asked, film.pictures) == (0, [])
    asyncio.get_running_loop().call_later(LAST_SECONDS + 0.2, page.ready.set)
    await strip.finish(late=True)
    assert (page.asked, film.pictures, film.left_out) == (1, [b"picture"], 0)


async def test_a_late_picture_is_left_out_where_it_would_hold_up_others(hours: Hours) -> None:
    """Other jobs run, and pictures have had their share: it is counted as left out, and the page is let go."""
    page, film, late = StuckPage(), Film(), LatePictures(hours)
    late.took(60)
    late.job_begins(page)
    strip = Filmstrip(film, page, hours, late_pictures=late, late_end=True)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    strip.reading(page, last=True)  # type: ignore[arg-type]
    await strip.finish(late=True)
    assert (page.asked, film.pictures, film.left_out) == (0, [], 1)


async def test_the_number_of_a_jobs_pictures_is_bounded(hours: Hours) -> None:
    """That of the last page comes on top, and one of a failure, with the known state of its page."""
    page, film = StuckPage(), Film()
    page.ready.set()
    strip = Filmstrip(film, page, hours)  # type: ignore[arg-type]
    strip.step_started("one", "http://h/")
    for _ in range(MAX_PICTURES + 5):
        hours.at += 100
        await strip.action_done(page, "click", hours.at)  # type: ignore[arg-type]
    assert len(film.pictures) == MAX_PICTURES
    strip.reading(page, last=False)  # type: ignore[arg-type]
    await strip.finish()
    assert len(film.pictures) == MAX_PICTURES
    strip.reading(page, last=True)  # type: ignore[arg-type]
    await strip.finish()
    assert film.steps[0]["picture"] == MAX_PICTURES
    await strip.failed(page, ActionFailed("no #x", step="one", action="click '#x'"), None, (["said"], ["wrong"]))  # type: ignore[arg-type]
    assert len(film.pictures) == MAX_PICTURES + 2
    assert film.failure is not None
    assert film.failure["picture"] == MAX_PICTURES + 1
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
    strip.reading(page, last=True)  # type: ignore[arg-type]
    result = StepResult(
        name="one", url="http://h/", status=200, title="T", duration_ms=1, values=(), console=(), errors=()
    )
    await strip.step_done(result, last=True)
    await strip.finish()
    assert film.pictures == []
    assert film.steps[0]["title"] == "T"
