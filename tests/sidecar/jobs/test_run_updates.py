"""Updates of runs: the documents, their order, and what they omit. The browser is faked."""

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from sidecar_protocol.decoding import decode_as, decode_stored
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import JobResult, SendJob, Step, StepResult
from sidecar_protocol.models import Model
from sidecar_protocol.updates import Progress, SelfDescribing
from sidecar_protocol.wire_types import REDACTED, Secret

from sidecar import __version__
from sidecar.browser.step_observer import StepObserver
from sidecar.browser.steps.actions import ACTIONS
from sidecar.browser.steps.plan import PlannedStep
from sidecar.deliveries.endpoint_registry import Endpoint
from sidecar.errors import (
    INTERNAL_ERROR,
    ActionFailed,
    BrowserUnavailable,
    Forbidden,
    InvalidContent,
    QueueFull,
    TimedOut,
)
from sidecar.javascript.sources import SourceScanner
from sidecar.jobs.job_definition import define
from sidecar.jobs.run_service import RunRequest, RunService
from sidecar.jobs.run_updates import RunListeners
from sidecar.jobs.step_reporting import report_as_step
from sidecar.jobs.token_scope import Scope
from sidecar.jobs.update_messages import RunSnapshot, WebhookMessage, mark_interrupted, webhook_messages
from sidecar.queue.submission import JobRun
from sidecar.recording.redaction.redactor import Redactor, contains_typed_text
from sidecar.rtcv.send_cv import ReferenceLocks
from tests.clocks import ManualClock
from tests.documents import check_cloud_event, check_factotum_06, check_self_describing
from tests.sidecar.server.handlers.parts import Parts

FACTOTUM: Final = Endpoint("wh_f", "factotum", 10_000)
SHORT: Final = Endpoint("wh_s", "factotum", 5)
SILENT: Final = Endpoint("wh_0", "factotum", 0)
LAST_FACTOTUM: Final = Endpoint("wh_6", "factotum-0.6", 10_000)
CLOUD: Final = Endpoint("wh_c", "cloudevents", 10_000)


def make(steps: int = 2, **fields: Any) -> SendJob:
    """A job with that many steps."""
    content = {"steps": [{"url": "http://h", "name": f"s{n}"} for n in range(1, steps + 1)], **fields}
    return decode_as(SendJob, encode(content))


class Browser:
    """Plays the browser: each step takes a second and says something."""

    def __init__(self, clock: ManualClock, fails_at: int | None = None, failure: BaseException | None = None) -> None:
        """`fails_at` is a step's index; -1 fails before the page is there, the number of steps after the last."""
        self.console: tuple[str, ...] = ("hello", "world")
        self.errors: tuple[str, ...] = ("Error: oh",)
        self.values: tuple[Any, ...] = (None, 7, {"a": "b"})
        self.secrets: Mapping[str, Any] | None = None
        self.checks: Callable[[SendJob], None] = lambda _: None
        self._clock = clock
        self._fails_at = fails_at
        self._failure = failure or ActionFailed("click '#no' failed")

    def plan(self, job: SendJob) -> Sequence[PlannedStep]:
        """Returns the test's plan."""
        self.checks(job)
        return ()

    async def run(
        self,
        job: SendJob,
        secrets: Mapping[str, Any] | None,
        watch: StepObserver,
        scope: Scope | None,
    ) -> JobResult:
        """Goes through the steps."""
        self.secrets = secrets
        self._fail_at(-1)
        watch.on_started()
        for index, step in enumerate(job.steps):
            watch.on_step_started(index)
            self._clock.advance(1)
            try:
                self._fail_at(index)
            except BaseException:
                watch.on_step_failed(index, self.console, self.errors)
                raise
            watch.on_step_ended(index, self._result(step.name or ""))
        self._fail_at(len(job.steps))
        return JobResult(steps=())

    def _fail_at(self, index: int) -> None:
        if index == self._fails_at:
            raise self._failure

    def _result(self, name: str) -> StepResult:
        return StepResult(
            name=name,
            url="http://h",
            status=200,
            title="t",
            duration_ms=1000,
            values=self.values,
            console=self.console,
            errors=self.errors,
        )


class Recorder:
    """Listeners that record updates."""

    def __init__(self, *endpoints: Endpoint, parent: bool = True) -> None:
        self.messages: list[WebhookMessage] = []
        self.events: list[tuple[str, Any]] = []
        self.progress: list[float] = []
        self.listeners = RunListeners(
            endpoints=endpoints,
            enqueue=self._enqueue,
            emit=(lambda event, content: self.events.append((event, content))) if parent else None,
            progress=self.progress.append,
        )

    def _enqueue(self, messages: Iterable[WebhookMessage]) -> None:
        self.messages += messages

    @property
    def updates(self) -> list[dict[str, Any]]:
        """The parent's job updates, checked."""
        contents = [content for event, content in self.events if event == "job_update"]
        assert all(isinstance(content, SelfDescribing) for content in contents)
        return [check_self_describing(json.loads(encode(content))) for content in contents]

    def bodies(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """What was posted to an endpoint."""
        return [json.loads(message.body) for message in self.messages if message.endpoint == endpoint.id]

    @property
    def states(self) -> list[tuple[str, list[str]]]:
        """The run's and the steps' states of each update."""
        return [(one["runState"], [task["state"] for task in one["taskStates"]]) for one in self.updates]


@pytest.fixture
def parts() -> Parts:
    """A session before its login, its server and its time."""
    return Parts()


async def run(
    parts: Parts,
    recorder: Recorder,
    job: SendJob,
    browser: Browser | None = None,
    *,
    check_token: Callable[[SendJob, float | None], Scope | None] = lambda *_: None,
    fails: type[BaseException] | None = None,
    **order: Any,
) -> None:
    """Runs a job, which is expected to fail with `fails` where that is given."""
    browser = browser or Browser(parts.time)
    runs = RunService(lambda: browser, check_token, ReferenceLocks(), parts.time.clock)
    given = {"run_id": "run-1", **order}
    wanted = RunRequest(job=job, login=parts.session, listeners=recorder.listeners, **given)
    if fails is None:
        await runs.run(wanted)
    else:
        with pytest.raises(fails):
            await runs.run(wanted)


async def test_each_change_is_reported(parts: Parts) -> None:
    """All wait, each runs and ends, and then it is over; durations and times follow the clock."""
    recorder = Recorder()
    await run(parts, recorder, make(name="nightly"))
    assert recorder.states == [
        ("WAITING", ["WAITING", "WAITING"]),
        ("RUNNING", ["RUNNING", "WAITING"]),
        ("RUNNING", ["COMPLETED", "WAITING"]),
        ("RUNNING", ["COMPLETED", "RUNNING"]),
        ("RUNNING", ["COMPLETED", "COMPLETED"]),
        ("COMPLETED", ["COMPLETED", "COMPLETED"]),
    ]
    first, *_, last = recorder.updates
    assert (first["jobName"], first["runReference"], first["runDuration"]) == ("nightly", "run-1", "PT0S")
    assert first["taskStates"] == [{"taskName": name, "state": "WAITING"} for name in ("s1", "s2")]
    assert (last["startTime"], last["runDuration"]) == ("2027-01-15T08:00:00.000000+00:00", "PT2S")
    assert last["applicationContext"] == {"version": __version__}
    assert last["taskStates"][1] == {
        "taskName": "s2",
        "state": "COMPLETED",
        "started": "2027-01-15T08:00:01.000000+00:00",
        "duration": "PT1S",
        "stdout": 'hello\nworld\n7\n{"a":"b"}',
        "stderr": "Error: oh",
        "returnCode": 0,
    }


async def test_the_same_goes_to_every_webhook_in_its_form(parts: Parts) -> None:
    """One id for each change, the run as the lane, outputs cut to the last characters that an endpoint wants."""
    recorder = Recorder(FACTOTUM, SHORT, CLOUD, SILENT)
    await run(parts, recorder, make(1))
    updates = recorder.updates
    assert [check_self_describing(body) for body in recorder.bodies(FACTOTUM)] == updates
    cloud = recorder.bodies(CLOUD)
    assert [check_cloud_event(event) for event in cloud] == updates
    ids = [message.id for message in recorder.messages if message.endpoint == CLOUD.id]
    assert [event["id"] for event in cloud] == ids
    assert len(set(ids)) == 4
    assert {(event["subject"], event["source"]) for event in cloud} == {
        ("run-1", f"/sidecar/jobs/{updates[0]['jobReference']}")
    }
    assert {message.ordering_key for message in recorder.messages} == {"run-1"}
    assert [message.id for message in recorder.messages if message.endpoint == SHORT.id] == ids
    (short,) = check_self_describing(recorder.bodies(SHORT)[-1])["taskStates"]
    assert (short["stdout"], short["stderr"]) == (':"b"}', "r: oh")
    (silent,) = check_self_describing(recorder.bodies(SILENT)[-1])["taskStates"]
    assert (silent["stdout"], silent["stderr"]) == ("", "")


def transitions(recorder: Recorder) -> list[Any]:
    """What each document of Factotum 0.6 says has changed, in their order: of the run a pair, of steps triples."""
    reported: list[Any] = []
    for body in recorder.bodies(LAST_FACTOTUM):
        data = check_factotum_06(body)
        if change := data.get("jobTransition"):
            assert body["schema"].endswith("/job_update/jsonschema/1-0-0")
            assert change["currentState"] == data["runState"]
            reported.append((change["previousState"], change["currentState"]))
        else:
            assert body["schema"].endswith("/task_update/jsonschema/1-0-0")
            reported.append([tuple(one.values()) for one in data["taskTransitions"]])
    return reported


async def test_factotum_06_documents_report_changes(parts: Parts) -> None:
    """Each change is one document for the run or its steps, in order, with its own id."""
    recorder = Recorder(LAST_FACTOTUM, FACTOTUM)
    await run(parts, recorder, make(2, name="nightly"))
    assert transitions(recorder) == [
        (None, "WAITING"),
        ("WAITING", "RUNNING"),
        [("s1", "WAITING", "RUNNING")],
        [("s1", "RUNNING", "SUCCEEDED")],
        [("s2", "WAITING", "RUNNING")],
        [("s2", "RUNNING", "SUCCEEDED")],
        ("RUNNING", "SUCCEEDED"),
    ]
    ids = [message.id for message in recorder.messages if message.endpoint == LAST_FACTOTUM.id]
    assert len(set(ids)) == len(ids)
    last = recorder.bodies(LAST_FACTOTUM)[-1]["data"]
    assert last["applicationContext"] == {"name": "sidecar", "version": __version__}
    assert (last["tags"], last["jobName"], last["runState"]) == ({}, "nightly", "SUCCEEDED")
    assert last["taskStates"][0] == {
        "taskName": "s1",
        "state": "SUCCEEDED",
        "started": "2027-01-15T08:00:00.000000+00:00",
        "duration": "PT1S",
        "stdout": 'hello\nworld\n7\n{"a":"b"}',
        "stderr": "Error: oh",
        "returnCode": 0,
    }


async def test_factotum_06_documents_report_failures(parts: Parts) -> None:
    """Failures have the reason in camel case; skipped steps change before the run fails."""
    recorder = Recorder(LAST_FACTOTUM)
    await run(parts, recorder, make(3), Browser(parts.time, fails_at=1), fails=ActionFailed)
    assert transitions(recorder)[-3:] == [
        [("s2", "RUNNING", "FAILED")],
        [("s3", "WAITING", "SKIPPED")],
        ("RUNNING", "FAILED"),
    ]
    _, failed, skipped = recorder.bodies(LAST_FACTOTUM)[-1]["data"]["taskStates"]
    assert (failed["errorMessage"], skipped["errorMessage"]) == ("click '#no' failed", "s2 failed")


async def test_factotum_06_and_a_run_that_its_process_left(parts: Parts) -> None:
    """The next process's update follows the earlier ones."""
    snapshots: list[RunSnapshot | None] = []
    recorder = Recorder(LAST_FACTOTUM)
    recorder.listeners = replace(recorder.listeners, record=lambda _, snapshot: snapshots.append(snapshot))
    await run(parts, recorder, make(2))
    left = decode_stored(RunSnapshot, encode(snapshots[3]))  # the second step runs
    recorder.messages = webhook_messages(mark_interrupted(left, "gone"), parts.time.clock.now())
    assert transitions(recorder) == [[("s2", "RUNNING", "FAILED")], ("RUNNING", "FAILED")]


async def test_long_output_keeps_its_end(parts: Parts) -> None:
    """Long output keeps its last characters, counted in characters and not in bytes."""
    recorder, browser = Recorder(), Browser(parts.time)
    browser.console = tuple("é" * 2_000 for _ in range(10))
    browser.values = ()
    await run(parts, recorder, make(1), browser)
    (task,) = recorder.updates[-1]["taskStates"]
    assert len(task["stdout"]) == 10_000
    assert set(task["stdout"]) == {"é", "\n"}


async def test_characters_are_counted_as_readers_count_them(parts: Parts) -> None:
    """What takes two units in UTF-16, or is put together of several, is one, and is never cut within."""
    recorder, browser = Recorder(SHORT), Browser(parts.time)
    browser.values = ()
    for one in ("e\u0301", "😀", "👩\u200d👩\u200d👧\u200d👦", "🇳🇱", "👍🏽", "각", "\U0001d11e"):
        browser.console, browser.errors = (one * 3_000,), (f"x{one * 4}",)
        recorder.messages.clear()
        await run(parts, recorder, make(1), browser)
        (task,) = check_self_describing(recorder.bodies(SHORT)[-1])["taskStates"]
        assert (task["stdout"], task["stderr"]) == (one * 5, f"x{one * 4}")


async def test_what_follows_a_failed_task_is_skipped(parts: Parts) -> None:
    """The failed one says why and what its page said until then; the others why they were skipped."""
    recorder = Recorder()
    await run(parts, recorder, make(3), Browser(parts.time, fails_at=1), fails=ActionFailed)
    assert recorder.states[-3:] == [
        ("RUNNING", ["COMPLETED", "RUNNING", "WAITING"]),
        ("RUNNING", ["COMPLETED", "FAILED", "WAITING"]),
        ("FAILED", ["COMPLETED", "FAILED", "SKIPPED"]),
    ]
    _, failed, skipped = recorder.updates[-1]["taskStates"]
    assert (failed["returnCode"], failed["error_message"]) == (1, "click '#no' failed")
    assert (failed["stdout"], failed["stderr"], failed["duration"]) == ("hello\nworld", "Error: oh", "PT1S")
    assert skipped == {"taskName": "s3", "state": "SKIPPED", "error_message": "s2 failed"}


async def test_a_failure_after_the_last_task(parts: Parts) -> None:
    """A PDF that can't be made, a server that takes no result: the run failed, its tasks did not."""
    recorder = Recorder()
    await run(parts, recorder, make(2), Browser(parts.time, fails_at=2, failure=TimedOut("too long")), fails=TimedOut)
    assert recorder.states[-1] == ("FAILED", ["COMPLETED", "COMPLETED"])
    assert [task.get("error_message") for task in recorder.updates[-1]["taskStates"]] == [None, "too long"]


async def test_a_failure_before_the_first_task(parts: Parts) -> None:
    """A browser that does not start: the run is reported from its start, and every step says why it was skipped."""
    recorder = Recorder()
    failure = BrowserUnavailable("no browser")
    await run(parts, recorder, make(2), Browser(parts.time, fails_at=-1, failure=failure), fails=BrowserUnavailable)
    assert recorder.states == [("WAITING", ["WAITING", "WAITING"]), ("FAILED", ["SKIPPED", "SKIPPED"])]
    assert [task["error_message"] for task in recorder.updates[-1]["taskStates"]] == ["no browser"] * 2


async def test_an_internal_error_is_reported_without_its_text(parts: Parts) -> None:
    """An internal error's text is not reported, since it may contain anything."""
    recorder = Recorder()
    await run(parts, recorder, make(1), Browser(parts.time, 0, RuntimeError("/home/ann/x")), fails=RuntimeError)
    assert recorder.updates[-1]["taskStates"][0]["error_message"] == INTERNAL_ERROR


async def test_a_cancelled_run_has_failed(parts: Parts) -> None:
    """A cancelled run is reported as failed and says that it was cancelled."""
    recorder = Recorder()
    await run(parts, recorder, make(2), Browser(parts.time, 0, asyncio.CancelledError()), fails=asyncio.CancelledError)
    assert recorder.states[-1] == ("FAILED", ["FAILED", "SKIPPED"])
    assert recorder.updates[-1]["taskStates"][0]["error_message"] == "the run was stopped before its end"


def _refuse(_: SendJob, at: float | None) -> Scope:
    raise Forbidden("token: no")


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("why", ["token", "full", "login", "content"])
async def test_a_refused_job_is_no_run(parts: Parts, why: str, accepted: bool) -> None:
    """A refused run sends nothing, unless its start was promised before, as for queued jobs."""
    recorder = Recorder(FACTOTUM)
    if why == "token":
        await run(parts, recorder, make(1), check_token=_refuse, fails=Forbidden, accepted=accepted)
    elif why == "full":
        browser = Browser(parts.time, -1, QueueFull("full"))
        await run(parts, recorder, make(1), browser, fails=QueueFull, accepted=accepted)
    elif why == "login":
        await run(parts, recorder, make(1, forward=True), fails=Exception, accepted=accepted)
    else:
        browser = Browser(parts.time, -1, InvalidContent("steps: wrong"))
        await run(parts, recorder, make(1), browser, fails=InvalidContent, accepted=accepted)
    assert recorder.states == ([("WAITING", ["WAITING"]), ("FAILED", ["SKIPPED"])] if accepted else [])
    assert len(recorder.messages) == len(recorder.states)


async def test_the_token_comes_before_all_else(parts: Parts) -> None:
    """The token is checked before the cached reference and before secrets are fetched."""
    await parts.logged_in()
    parts.references.remember("r", 60)
    secrets = {"user": {"key": "user", "encryption_key": "e-key"}}
    recorder = Recorder()
    job = make(1, reference_number="r", secrets=secrets)
    await run(parts, recorder, job, check_token=_refuse, fails=Forbidden)
    assert parts.server.asked == []


async def test_no_secret_is_fetched_for_a_job_that_is_wrong(parts: Parts) -> None:
    """What can be checked without it is checked first."""
    await parts.logged_in()
    browser = Browser(parts.time)

    def wrong(_: SendJob) -> None:
        raise InvalidContent("steps[0].actions[0]: no")

    browser.checks = wrong
    job = make(1, secrets={"user": {"key": "user", "encryption_key": "e-key"}})
    await run(parts, Recorder(), job, browser, fails=InvalidContent)
    assert parts.server.asked == []


async def test_a_skipped_job(parts: Parts) -> None:
    """It began and was over, and nothing was done."""
    parts.references.remember("r", 60)
    recorder = Recorder()
    await run(parts, recorder, make(1, reference_number="r"))
    assert recorder.states == [("WAITING", ["WAITING"]), ("COMPLETED", ["SKIPPED"])]
    assert "cached" in recorder.updates[-1]["taskStates"][0]["error_message"]


async def test_a_further_attempt_starts_from_the_beginning(parts: Parts) -> None:
    """Under the same reference, with letters of its own; what is tried again waits instead of having failed."""
    recorder, job = Recorder(FACTOTUM), make(1)
    browser = Browser(parts.time, 0, TimedOut("slow"))
    await run(parts, recorder, job, browser, fails=TimedOut, will_retry=lambda failure: isinstance(failure, TimedOut))
    parts.time.advance(5)
    await run(parts, recorder, job)
    assert [state for state, _ in recorder.states] == [
        *("WAITING", "RUNNING", "RUNNING", "WAITING"),
        *("WAITING", "RUNNING", "RUNNING", "COMPLETED"),
    ]
    assert {update["runReference"] for update in recorder.updates} == {"run-1"}
    assert len({update["startTime"] for update in recorder.updates}) == 2
    assert len({message.id for message in recorder.messages}) == 8


async def test_progress(parts: Parts) -> None:
    """Progress is reported at each step's start and at the end, to the parent and to the queue."""
    recorder = Recorder()
    await run(parts, recorder, make(4, name="n"), Browser(parts.time))
    assert [content for event, content in recorder.events if event == "progress"] == [
        *(Progress(run="run-1", name="n", step=step, steps=4, percentage=25 * (step - 1)) for step in range(1, 5)),
        Progress(run="run-1", name="n", step=4, steps=4, percentage=100),
    ]
    assert recorder.progress == [0, 0.25, 0.5, 0.75, 1]


async def test_without_listeners_no_update_is_written(parts: Parts) -> None:
    """Without listeners only the queue gets a job's progress."""
    recorder = Recorder(parent=False)
    await run(parts, recorder, make(1))
    assert (recorder.messages, recorder.events, recorder.progress) == ([], [], [0, 1])


async def test_names(parts: Parts) -> None:
    """The schedule's or task's goes before the job's own; steps without one are counted."""
    recorder = Recorder()
    await run(parts, recorder, make(1, name="own"), name="every night")
    assert {update["jobName"] for update in recorder.updates} == {"every night"}
    recorder = Recorder()
    job = SendJob(steps=(Step(url="http://h"),))
    await run(parts, recorder, job)
    assert {(one["jobName"], one["taskStates"][0]["taskName"]) for one in recorder.updates} == {("job", "step 1")}


async def test_the_factfile_is_the_definition(parts: Parts) -> None:
    """The base64 factfile's SHA-256 is the job's reference; neither depends on secrets or on one run's options."""
    recorder = Recorder()
    job = make(1, name="n", cookies=[{"name": "a", "value": "first-value", "domain": "h"}])
    await run(parts, recorder, job)
    update = recorder.updates[0]
    document = base64.b64decode(update["factfile"])
    assert json.loads(document) == {
        "name": "n",
        "steps": [{"name": "s1", "url": "http://h"}],
        "cookies": [{"name": "a", "value": REDACTED, "domain": "h"}],
    }
    assert hashlib.sha256(document).hexdigest() == update["jobReference"]
    other = {"token": "t", "key": str(uuid.uuid4()), "mode": "async", "webhooks": ["http://w"]}
    cookies = [{"name": "a", "value": "second-value", "domain": "h"}]
    assert define(make(1, name="n", cookies=cookies, **other)) == define(job)
    assert define(make(2, name="n", cookies=cookies)) != define(job)


async def test_a_forwarded_result_has_the_updates_references(parts: Parts) -> None:
    """The forwarded CV names its run."""
    await parts.logged_in()
    recorder = Recorder()
    await run(parts, recorder, make(1, forward=True))
    ((body, key),) = parts.server.results
    sent = json.loads(body)
    assert (sent["jobReference"], sent["runReference"]) == (recorder.updates[0]["jobReference"], "run-1")
    assert key == "run-1"


SECRETS: Final = {
    "cookie": "canary-cookie-1",
    "header": "canary-header-2",
    "proxy": "canary-proxy-3",
    "typed": "canary-typed-4",
    "bare": "canary-bare-5",
    "script": "canary-script-6",
    "token": "canary-token-7",
    "encryption": "canary-encryption-8",
    "fetched": "canary/fetched 9",
    "userinfo": "canary-userinfo-10",
    "argument": "canary-argument-11",
}


async def test_no_secret_of_the_job_is_reported(parts: Parts) -> None:
    """Wherever the page, an error or a name repeats it, and however it is written."""
    await parts.logged_in()
    parts.server.secrets = {"user": json.dumps({"password": SECRETS["fetched"], "pin": 482915}).encode()}
    job = make(
        2,
        name=f"as {SECRETS['cookie']}",
        cookies=[{"name": "a", "value": SECRETS["cookie"], "domain": "h"}],
        context={
            "extra_http_headers": {"X-Key": SECRETS["header"]},
            "proxy": {"server": "http://p:1", "username": "u", "password": SECRETS["proxy"]},
        },
        token=SECRETS["token"],
        secrets={"user": {"key": "user", "encryption_key": SECRETS["encryption"]}},
    )
    actions = (
        {"fill": {"selector": "#u", "value": SECRETS["typed"]}},
        {"keyboard_type": SECRETS["bare"]},
        f"page.locator('#u').fill('{SECRETS['script']}')",
        {"evaluate": {"expression": "x => x", "arg": {"password": SECRETS["argument"]}}},
        {"fill": {"selector": "#p", "value": "{{user.password}}"}},
    )
    url = f"http://ann:{SECRETS['userinfo']}@h/"
    job = job.replace(steps=tuple(step.replace(actions=actions, url=url) for step in job.steps))
    said = [value for name, value in SECRETS.items() if name not in ("userinfo", "argument")]
    browser = Browser(parts.time, 1, ActionFailed(" ".join(said)))
    browser.console = (*said, "482915", json.dumps(said), "x" * 9_990 + SECRETS["typed"])
    browser.errors = tuple(said)
    browser.values = ({"all": said}, said)
    recorder = Recorder(FACTOTUM, CLOUD, Endpoint("wh_x", "factotum", 20))
    await run(parts, recorder, job, browser, fails=ActionFailed)
    everything = b"".join(message.body for message in recorder.messages) + encode(recorder.events)
    documents = b"".join(base64.b64decode(update["factfile"]) for update in recorder.updates)
    assert recorder.updates[-1]["runState"] == "FAILED"
    for value in (*SECRETS.values(), "482915", "canary"):
        written = {value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()}
        assert not [form for form in written if form.encode() in everything + documents]
    assert b"{{user.password}}" in documents


OPEN_TEXTS: Final = {
    "selector", "frame", "source", "target", "url", "referer", "expression", "name", "type", "modifiers",
    "button", "state", "wait_until", "to",
}  # fmt: skip
"""Arguments of actions that say where, which or when."""


def _texts(wanted: Any) -> bool:
    """Whether a type takes any text of a parent's, or anything at all."""
    if isinstance(wanted, type) and issubclass(wanted, Model):
        return any(_texts(field.annotation) for field in wanted.model_fields.values())
    return wanted in (str, Secret, Any) or any(_texts(one) for one in getattr(wanted, "__args__", ()))


def test_of_every_argument_that_takes_a_text_it_is_said_whether_it_is_secret() -> None:
    """The list of what is typed is that of the actions' own arguments."""
    for method, kind in ACTIONS.items():
        for name, field in kind.arguments.model_fields.items():
            if not _texts(field.annotation) or name in OPEN_TEXTS:
                continue
            given: list[Any] = ["cAnary", ["cAnary"], {"a": ["cAnary"]}]
            if name == "files":
                given = [[{"name": "cAnary", "content": "cAnary"}]]
            actions: list[dict[str, Any]] = [{method: {name: value}} for value in given]
            actions += [{method: "cAnary"}] if kind.shorthand == name else []
            for action in actions:
                line = json.dumps({"actions": [action]}).encode()
                assert b"cAnary" not in Redactor().redact_line(line), action
                assert contains_typed_text(line), action


def test_any_job_can_be_defined() -> None:
    """Numbers of any size, and arguments nested as deeply as a line may be in an ordinary process."""
    nested: Any = "x"
    for _ in range(400):
        nested = [nested]
    action = {"evaluate": {"expression": "x => x", "arg": [nested, 2**70]}}
    job = SendJob(steps=(Step(url="http://h", actions=(action,)),))
    arg: Any = REDACTED
    for _ in range(400):
        arg = [arg]
    hidden = {"evaluate": {"expression": "x => x", "arg": [arg, REDACTED]}}
    assert json.loads(define(job).document) == {"steps": [{"url": "http://h", "actions": [hidden]}]}


@pytest.mark.parametrize(
    ("source", "without"),
    [
        ("page.fill('#u', 'it')", "page.fill('#u', \"**********\")"),
        ('page.locator("#u").fill("it\\"s")', 'page.locator("#u").fill("**********")'),
        ("page.type(selector, `it`, {delay: 5})", 'page.type(selector, "**********", {delay: 5})'),
        ("page.keyboard.insertText('it')", 'page.keyboard.insertText("**********")'),
        ("page.fill('#u', secrets.user.password)", "page.fill('#u', secrets.user.password)"),
        ("page.click('text=it')", "page.click('text=it')"),
    ],
)
def test_literals_that_a_script_types_are_left_out(source: str, without: str) -> None:
    """Expressions stay: they are no secrets, they name them."""
    assert SourceScanner().redact(source) == without


async def test_other_work_is_reported_as_one_step(parts: Parts) -> None:
    """Named after the schedule, with what it gave or why it failed."""
    recorder = Recorder(FACTOTUM)
    run = JobRun(
        id="run-1",
        type="send_cv",
        content=b"{}",
        attempt=1,
        name="every night",
        origin="schedule:1",
        account_id="",
        webhooks="",
        progress=lambda _: None,
        emit=None,
    )

    async def matches() -> bool:
        return True

    async def fails() -> bool:
        raise InvalidContent("referenceNumber field does not exists", "referenceNumber")

    assert await report_as_step(run, "send_cv", recorder.listeners, parts.time.clock, matches)
    assert [state for state, _ in recorder.states] == ["WAITING", "RUNNING", "RUNNING", "COMPLETED"]
    update = recorder.updates[-1]
    assert (update["jobName"], update["runReference"], update["taskStates"][0]["stdout"]) == (
        "every night",
        "run-1",
        "true",
    )
    with pytest.raises(InvalidContent):
        await report_as_step(run, "send_cv", recorder.listeners, parts.time.clock, fails)
    (task,) = recorder.updates[-1]["taskStates"]
    assert (task["state"], task["error_message"]) == ("FAILED", "referenceNumber field does not exists")
