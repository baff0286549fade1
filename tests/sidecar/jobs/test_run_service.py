"""A run: what is skipped, forwarded and remembered around the browser, which is played."""

import asyncio
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import JobReply, JobResult, SendJob
from sidecar_protocol.wire_types import Raw

from sidecar.browser.step_observer import StepObserver
from sidecar.browser.steps.plan import PlannedStep
from sidecar.errors import ActionFailed, MissingCredentials, RemoteFailed
from sidecar.jobs.run_service import RunRequest, RunService
from sidecar.jobs.run_updates import RunListeners
from sidecar.jobs.token_scope import Scope
from sidecar.rtcv.send_cv import ReferenceLocks, send_cv
from tests.event_loop import watched
from tests.sidecar.server.handlers.parts import Parts


class Runner:
    """Plays the browser."""

    def __init__(self, extract: dict[str, Any] | None = None) -> None:
        self.runs = self.plans = 0
        self.scope: Scope | None = None
        self.failure: Exception | None = None
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.secrets: Mapping[str, Any] | None = None
        self.result = JobResult(steps=(), extract=extract)

    def plan(self, job: SendJob) -> Sequence[PlannedStep]:
        """Finds nothing wrong."""
        self.plans += 1
        return ()

    async def run(
        self, job: SendJob, secrets: Mapping[str, Any] | None, watch: StepObserver, scope: Scope | None
    ) -> JobResult:
        """The result that the test has chosen."""
        self.secrets, self.scope = secrets, scope
        self.runs += 1
        self.started.set()
        await self.go.wait()
        if self.failure:
            raise self.failure
        return self.result


@pytest.fixture
def parts() -> Parts:
    """A session before its login, its server and its time."""
    return Parts()


def job(**fields: Any) -> SendJob:
    """A job of one step."""
    return decode_as(SendJob, encode({"steps": [{"url": "http://h"}], **fields}))


async def run(parts: Parts, runner: Runner, reference_locks: ReferenceLocks | None = None, **fields: Any) -> JobReply:
    """Sends a job."""
    runs = RunService(lambda: runner, lambda *_: None, reference_locks or ReferenceLocks(), parts.time.clock)
    return await runs.run(RunRequest(job=job(**fields), run_id=uuid.uuid4().hex, login=parts.session))


async def test_a_large_job_leaves_the_loop_to_others(parts: Parts) -> None:
    """Looking for the secrets of thousands of actions, and describing such a job, keeps no other request waiting."""
    events, runner = [], Runner()
    listeners = RunListeners(emit=lambda event, content: events.append((event, content)))
    actions = [{"keyboard_type": f"typed-{number}"} for number in range(5_000)]
    large = job(steps=[{"url": "http://h", "actions": actions}], name="about typed-4711", forward=False)
    runs = RunService(lambda: runner, lambda *_: None, ReferenceLocks(), parts.time.clock)
    await runs.check_async(large)
    request = RunRequest(job=large, run_id="run", login=parts.session, listeners=listeners)
    reply, loop = await watched(runs.run(request))
    assert reply.status == "success"
    assert loop.is_left_to_others, loop
    assert {content.data.job_name for event, content in events if event == "job_update"} == {"about **********"}


async def test_a_large_job_that_is_cancelled_at_once_has_its_end(parts: Parts) -> None:
    """A run that was accepted reports that it was stopped, even if it is cancelled while its secrets are searched."""
    states: list[str] = []
    listeners = RunListeners(
        emit=lambda event, content: states.append(content.data.run_state) if event == "job_update" else None
    )
    large = job(steps=[{"url": "http://h", "actions": ["page.title()"] * 1_000}])
    runs = RunService(Runner, lambda *_: None, ReferenceLocks(), parts.time.clock)
    request = RunRequest(job=large, run_id="run", login=parts.session, listeners=listeners, accepted=True)
    task = asyncio.ensure_future(runs.run(request))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert states == ["WAITING", "FAILED"]


async def test_a_job_needs_no_login(parts: Parts) -> None:
    """A job needs no login unless it is forwarded, which is checked first."""
    runner = Runner()
    assert await run(parts, runner) == JobReply(status="success", result=runner.result)
    for forward in (True, {"as": "cv"}):
        with pytest.raises(MissingCredentials):
            await run(parts, runner, forward=forward, reference_number="a")
    assert runner.runs == 1


async def test_a_token_is_checked_once(parts: Parts) -> None:
    """Its scope is handed on to the browser, and the steps are planned where they run."""
    runner, checked = Runner(), []

    def check_token(job: SendJob, at: float | None) -> Scope:
        checked.append(job)
        return Scope("http://h", strict=False)

    runs = RunService(lambda: runner, check_token, ReferenceLocks(), parts.time.clock)
    await runs.run(RunRequest(job=job(), run_id="run", login=parts.session))
    assert (len(checked), runner.scope, runner.plans) == (1, Scope("http://h", strict=False), 0)


async def test_a_reference_number_is_done_once(parts: Parts) -> None:
    """A success is remembered, and the same again is skipped."""
    runner = Runner()
    assert (await run(parts, runner, reference_number="a")).status == "success"
    assert await run(parts, runner, reference_number="a") == JobReply(status="skipped")
    assert (await run(parts, runner, reference_number="b")).status == "success"
    assert runner.runs == 2
    assert parts.references.has("a")


@pytest.mark.parametrize("accepted", [False, True])
async def test_an_accepted_job_stores_its_references_later_if_need_be(
    parts: Parts, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References of the job and its CV are stored with retries, since no reply could report a failure."""
    await parts.logged_in()
    owed = {}

    def note(_: Any, reference: str, ttl: float, *, until_stored: bool = False) -> None:
        owed[reference] = until_stored

    monkeypatch.setattr(type(parts.session.references), "remember", note)
    runs = RunService(lambda: Runner({"referenceNumber": "cv"}), lambda *_: None, ReferenceLocks(), parts.time.clock)
    wanted = job(reference_number="own", forward={"as": "cv"})
    await runs.run(RunRequest(job=wanted, run_id="r", login=parts.session, accepted=accepted))
    assert owed == {"own": accepted, "cv": accepted}


@pytest.mark.parametrize("fails", ["job", "forward"])
async def test_a_failure_is_not_remembered(parts: Parts, fails: str) -> None:
    """Neither the job's nor the delivery's."""
    await parts.logged_in()
    runner = Runner()
    if fails == "job":
        runner.failure = ActionFailed("no")
    else:
        parts.server.answer = RemoteFailed("no")
    with pytest.raises((ActionFailed, RemoteFailed)):
        await run(parts, runner, reference_number="a", forward=True)
    assert not parts.references.has("a")


async def test_a_result_is_forwarded(parts: Parts) -> None:
    """A result is forwarded with the job's and the run's reference; the latter is the idempotency key."""
    await parts.logged_in()
    runner = Runner({"a": 1})
    await run(parts, runner, forward=True, reference_number="r-1")
    await run(parts, runner, forward=True)
    (first, first_key), (second, second_key) = parts.server.results
    sent = orjson.loads(first)
    assert sent["runReference"] == first_key != second_key
    assert len(sent["jobReference"]) == hashlib.sha256().digest_size * 2
    assert (sent["reference_number"], sent["status"], sent["result"]["extract"]) == ("r-1", "success", {"a": 1})
    assert "reference_number" not in orjson.loads(second)


async def test_an_extract_is_sent_as_a_cv(parts: Parts) -> None:
    """An extract is sent as a CV with its own reference, else the job's."""
    await parts.logged_in()
    as_cv = {"as": "cv"}
    await run(parts, Runner({"a": 1}), forward=as_cv, reference_number="r-1")
    await run(parts, Runner({"referenceNumber": "r-2"}), forward=as_cv)
    assert [orjson.loads(cv) for cv in parts.server.cvs] == [
        {"a": 1, "referenceNumber": "r-1"},
        {"referenceNumber": "r-2"},
    ]
    await run(parts, Runner({"referenceNumber": "r-2"}), forward=as_cv)
    assert len(parts.server.cvs) == 2  # it matched, so it is remembered
    await run(parts, Runner({"reference_number": "r-3"}), forward=as_cv)
    assert len(parts.server.cvs) == 3
    for wrong in ({"a": 1}, {"referenceNumber": ["r-4"]}, {"referenceNumber": ""}):
        with pytest.raises(WireError, match=r"referenceNumber|reference number"):
            await run(parts, Runner(wrong), forward=as_cv)


async def test_a_job_and_a_cv_of_one_reference_wait_for_each_other(parts: Parts) -> None:
    """Whichever comes second finds it done."""
    await parts.logged_in()
    reference_locks, runner = ReferenceLocks(), Runner()
    runner.go.clear()
    first = asyncio.create_task(run(parts, runner, reference_locks, reference_number="a"))
    await asyncio.wait_for(runner.started.wait(), 10)
    second = asyncio.create_task(send_cv(parts.session, reference_locks, Raw(b'{"referenceNumber":"a"}')))
    runner.go.set()
    await asyncio.gather(first, second)
    assert parts.server.cvs == []


async def test_secrets_are_fetched_when_the_job_starts(parts: Parts) -> None:
    """Secrets come from the primary by key; the runner gets their values, and no log shows them."""
    runner = Runner()
    named = {"user": {"key": "shop-user", "encryption_key": "e-key"}, "pin": {"key": "pin", "encryption_key": "e-key"}}
    with pytest.raises(MissingCredentials):
        await run(parts, runner, secrets=named)
    await parts.logged_in()
    parts.server.secrets = {"shop-user": b'{"username":"ann","password":"pass word"}', "pin": b"1234"}
    await run(parts, runner, secrets=named)
    assert runner.secrets == {"user": {"username": "ann", "password": "pass word"}, "pin": 1234}
    assert parts.server.asked == [("shop-user", "e-key"), ("pin", "e-key")]
    assert {"e-key", "pass word"} <= set(parts.learned)
    assert runner.runs == 1


async def test_a_skipped_job_fetches_nothing(parts: Parts) -> None:
    """Its secrets stay where they are."""
    await parts.logged_in()
    parts.references.remember("a", 60)
    named = {"user": {"key": "user", "encryption_key": "e-key"}}
    assert (await run(parts, Runner(), secrets=named, reference_number="a")).status == "skipped"
    assert parts.server.asked == []


async def test_secrets_that_are_no_json_python_can_hold(parts: Parts) -> None:
    """A secret nested beyond reason is the server's failure, in every version of Python."""
    await parts.logged_in()
    parts.server.secrets = {"user": b"[" * 5_000 + b"]" * 5_000}
    with pytest.raises(RemoteFailed, match=r"'user' does not have the requested shape.* nested over 1000 levels"):
        await run(parts, Runner(), secrets={"user": {"key": "user", "encryption_key": "e-key"}})
