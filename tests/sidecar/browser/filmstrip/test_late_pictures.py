"""Pictures of last pages hold up no next job."""

import asyncio

from sidecar.browser.filmstrip.late_pictures import LULL_SECONDS, MAX_SAVED, SHARE, LatePictures


class Hours:
    """A clock that a test moves."""

    at = 100.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.at


class Job:
    """Something that runs."""


async def test_in_a_lull_every_picture_is_taken() -> None:
    """However much pictures have taken before."""
    pictures = LatePictures(Hours())
    for _ in range(3):
        pictures.took(60)
        assert await pictures.may_be_taken()


async def test_while_jobs_follow_each_other_pictures_take_a_share() -> None:
    """The first jobs have theirs; a later one only when enough time has passed for the pictures before it."""
    hours, running = Hours(), Job()
    pictures = LatePictures(hours)
    pictures.job_begins(running)
    taken = 0
    for _ in range(1_000):
        hours.at += 0.1
        if await pictures.may_be_taken():
            taken += 1
            pictures.took(0.1)
    assert taken <= (MAX_SAVED + SHARE * 100) / 0.1 + 2
    assert taken > SHARE * 100 / 0.1 / 2


async def test_a_job_that_begins_ends_the_lull() -> None:
    """It ends it at once, and the share decides; a job that no longer exists does not run."""
    pictures, job = LatePictures(Hours()), Job()
    pictures.took(60)
    asyncio.get_running_loop().call_later(LULL_SECONDS / 10, pictures.job_begins, job)
    assert not await pictures.may_be_taken()
    del job
    assert await pictures.may_be_taken()


async def test_a_job_with_its_result_does_not_count() -> None:
    """It is the one that is photographed."""
    pictures, job = LatePictures(Hours()), Job()
    pictures.took(60)
    pictures.job_begins(job)
    assert not await pictures.may_be_taken()
    pictures.job_ends(job)
    assert await pictures.may_be_taken()
