"""A bounded wait says so as TimeoutError, wherever it stands."""

import asyncio

import pytest

from sidecar.clock import within


async def test_a_wait_that_takes_too_long_is_a_timeout() -> None:
    """The plain case."""
    with pytest.raises(TimeoutError):
        async with within(0.01) as limit:
            await asyncio.Event().wait()
    assert limit.expired()


async def test_a_wait_that_ends_in_time_is_no_timeout() -> None:
    """A wait that ends in time, or has no limit, raises nothing."""
    for seconds in (5, None):
        async with within(seconds) as limit:
            await asyncio.sleep(0)
        assert not limit.expired()


async def test_clean_up_after_a_cancellation_is_bounded_too() -> None:
    """What follows a bounded wait in a cancelled task happens: the bound is no second cancellation."""
    followed = []

    async def cleaned() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                async with within(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                followed.append("the rest of the clean-up")

    task = asyncio.create_task(cleaned())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert followed == ["the rest of the clean-up"]


async def test_a_cancellation_from_outside_stays_one() -> None:
    """A cancellation from outside stays one, even if the limit is reached in the same turn of the loop."""

    async def waited() -> None:
        async with within(0):
            await asyncio.Event().wait()

    task = asyncio.create_task(waited())
    await asyncio.sleep(0)  # the bound is reached in the next turn, and so is this:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_cancellation_within_a_bound_is_not_taken_for_it() -> None:
    """The bound is far off: the task ends as cancelled."""

    async def waited() -> None:
        async with within(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(waited())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
