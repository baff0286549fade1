"""A job's way with its sandbox: taken ahead, given back, and what its actions have asked of the pages."""

import asyncio

import pytest

from sidecar.browser.pool import BrowserPool
from sidecar.browser.processes.job_page import JobPage
from sidecar.browser.sandbox.action_session import ActionSession
from sidecar.browser.sandbox.sandbox_pool import SandboxLimits, SandboxPool
from sidecar.errors import NavigationFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner
from sidecar.settings import Settings
from tests.sidecar.browser.parts import children, make_job, still_alive
from tests.sidecar.browser.sandbox.parts import is_sandbox, open_session

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("source", "only_read"),
    [
        ("page.title()", True),
        ("page.locator('td').first().innerText()", True),
        ("page.locator('td').all()", True),
        ("page.title().then(() => page.evaluate(() => 1))", False),
        ("page.waitForTimeout(1)", False),
        ("page.on('popup', () => 0); page.title()", False),
        ("page.route('**/none', (route) => route.abort())", False),
        ("1 + 1", False),
    ],
)
async def test_what_only_reads_is_known(session: ActionSession, source: str, only_read: bool) -> None:
    """After all others the page is given time to settle, also after one that asks nothing of it, but waits."""
    await session.run("page.hover('h1')")
    await session.run(source)
    assert session.was_read_only is only_read


async def test_a_sandbox_taken_ahead_is_given_back(pool: BrowserPool) -> None:
    """At every stage, and then its browser ends."""
    before = children(is_sandbox)
    sandboxes = SandboxPool(Settings(), SandboxLimits(idle=0.05))

    async def prepare(lent: JobPage) -> None:
        for seconds in (0.0, 5.0, 0.0):  # while the browser starts, once the sandbox is there, while another opens
            scripts = open_session(sandboxes, lent)
            await asyncio.wait((scripts.prepare(),), timeout=seconds)
            await scripts.close()

    await pool.run("CHROMIUM", prepare)
    mine = [one for one in children(is_sandbox) if one not in before]
    assert not await still_alive(mine, 30)  # idle, since no job has it
    await sandboxes.close()


async def test_a_job_that_fails_before_its_first_action_says_why(runner: BrowserJobRunner) -> None:
    """Its page's own failure, not its sandbox's; the next job has one."""
    with pytest.raises(NavigationFailed):
        await runner.run(make_job("http://127.0.0.1:1/", actions=["page.title()"]))
    done = await runner.run(make_job("data:text/html,<title>fine</title>", actions=["page.title()"]))
    assert done.steps[0].values == ("fine",)
