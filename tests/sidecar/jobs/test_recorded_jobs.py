"""Jobs of a session that is recorded: their results do not wait for what is recorded of them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from sidecar.browser.filmstrip.filmstrip import Film
from sidecar.browser.filmstrip.late_pictures import LatePictures
from sidecar.browser.job_network import Artifact, RecordedNetwork
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, SidecarError
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import make_job

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 20.0


class Recording:
    """Takes what is recorded of jobs, once it is let to."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.hars: list[bytes] = []
        self.ends: list[tuple[Film, SidecarError | None]] = []

    def network(self) -> RecordedNetwork:
        """The network of one job."""
        takers = (self._take_har, self._take_film, lambda *_: None, lambda _: False)
        return RecordedNetwork(1, *takers, str, Clock().monotonic, LatePictures(Clock().monotonic))

    def _take_har(self, har: bytes) -> None:
        assert self.goes_on.wait(SECONDS)
        self.hars.append(har)

    def _take_film(self, film: Film, error: SidecarError | None, _: Sequence[Artifact]) -> None:
        self.ends.append((film, error))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[BrowserPool]:
    """Two jobs at once."""
    pool = BrowserPool(Settings(concurrency=2), Clock())
    yield pool
    await pool.close()


def make_runner(pool: BrowserPool, folder: Path, recording: Recording) -> BrowserJobRunner:
    """Runs jobs that are recorded."""
    return BrowserJobRunner(pool, lambda: folder, Clock(), network_of=lambda _: recording.network())


async def test_the_result_comes_before_the_recording(pool: BrowserPool, site: str, tmp_path: Path) -> None:
    """The next job has its result meanwhile; the end waits for the recordings of both."""
    recording = Recording()
    runner = make_runner(pool, tmp_path, recording)
    for _ in range(2):
        async with asyncio.timeout(SECONDS / 2):
            result = await runner.run(make_job(f"{site}/second.html", extract={"title": "h1"}))
        assert result.steps[0].title == "Second page"
    assert (recording.hars, recording.ends) == ([], [])
    recording.goes_on.set()
    await runner.close()
    assert [orjson.loads(har)["log"]["entries"][0]["request"]["url"] for har in recording.hars] == [
        f"{site}/second.html"
    ] * 2
    assert [(len(film.pictures), film.failure, error) for film, error in recording.ends] == [(1, None, None)] * 2


async def test_a_failed_job_is_recorded_before_it_is_reported(pool: BrowserPool, site: str, tmp_path: Path) -> None:
    """Its error may be explained by what was recorded."""
    recording = Recording()
    recording.goes_on.set()
    runner = make_runner(pool, tmp_path, recording)
    with pytest.raises(ActionFailed):
        await runner.run(make_job(f"{site}/second.html", actions=["throw new Error('no')"]))
    assert len(recording.hars) == 1
    ((film, error),) = recording.ends
    assert film.failure is not None
    assert isinstance(error, ActionFailed)


async def test_what_fails_after_the_result_costs_the_recording_alone(
    pool: BrowserPool, site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job has succeeded; a warning says what the recording lacks."""
    recording = Recording()
    monkeypatch.setattr(recording, "_take_har", lambda _: (_ for _ in ()).throw(OSError("no space")))
    runner = make_runner(pool, tmp_path, recording)
    result = await runner.run(make_job(f"{site}/second.html"))
    assert result.steps[0].status == 200
    await runner.close()
    assert "the recording of a job lacks what its pages have loaded: OSError" in caplog.text
    assert [error for _, error in recording.ends] == [None]


async def test_a_cancelled_job_leaves_nothing_behind(pool: BrowserPool, site: str, tmp_path: Path) -> None:
    """Its page is closed when the cancellation is answered."""
    recording = Recording()
    runner = make_runner(pool, tmp_path, recording)
    job = asyncio.ensure_future(runner.run(make_job(f"{site}/second.html", actions=["new Promise(() => {})"])))
    await asyncio.sleep(1)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (recording.hars, recording.ends) == ([], [])
    recording.goes_on.set()
    assert (await runner.run(make_job(f"{site}/second.html"))).steps[0].status == 200
    await runner.close()
    assert len(recording.ends) == 1
