"""RECORD, HAR, TRACE, READ_ALERTS, downloads as artifacts, and that no secret is in any of them."""

import base64
import io
import json
import shutil
import stat
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sidecar.browser import ffmpeg
from sidecar.browser.pool import BrowserPool
from sidecar.clock import Clock
from sidecar.errors import ActionFailed, BrowserUnavailable, InvalidContent, NavigationFailed, StoreFailed
from sidecar.jobs.browser_job_runner import BrowserJobRunner, validate
from sidecar.scratch_folder import Scratch
from sidecar.settings import Settings
from tests.sidecar.browser.parts import make_job, make_jobs

pytestmark = pytest.mark.asyncio(loop_scope="module")

COOKIE, TYPED, PIN = "cookie-canary-1", "typed-canary-2", "77"
NAME, WORD, HEADER = "user-canary-3", "pass/word canary+4", "header-canary-5"
SECRETS = {"user": {"username": NAME, "password": WORD, "pin": 1234567890}, "plain": "plain-canary-6"}
NAMED = {name: {"key": name, "encryption_key": "e"} for name in SECRETS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recording(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserJobRunner]:
    """A runner with a state folder of its own."""
    home = tmp_path_factory.mktemp("state")
    pool = BrowserPool(Settings(concurrency=2, home=str(home)), Clock())
    yield BrowserJobRunner(pool, lambda: home / "artifacts", Clock())
    await pool.close()


def unpacked(result: str | None) -> dict[str, bytes]:
    """Name -> content of what is in a trace."""
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(result or ""))) as trace:
        return {name: trace.read(name) for name in trace.namelist()}


@pytest.mark.browser
async def test_a_job_is_recorded(site: str, recording: BrowserJobRunner) -> None:
    """A WebM of the whole job, inline or as a file that only its owner reads."""
    actions = [{"scroll_to": "bottom"}, {"wait_for_timeout": 300}]
    job = make_job(f"{site}/long.html", actions=actions, options=["RECORD", "SCREENSHOT"])
    result = await recording.run(job)
    assert base64.b64decode(result.video or "").startswith(b"\x1a\x45\xdf\xa3")
    assert result.screenshot
    job = make_job(f"{site}/long.html", actions=actions, options=["RECORD"], artifacts="files")
    video = Path((await recording.run(job)).video or "")
    assert (video.suffix, stat.S_IMODE(video.stat().st_mode)) == (".webm", 0o600)  # noqa: ASYNC240
    assert video.read_bytes().startswith(b"\x1a\x45\xdf\xa3")  # noqa: ASYNC240


async def test_a_recording_without_ffmpeg(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, and nothing else of the job is begun."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    pool = BrowserPool(Settings(home=str(tmp_path), browsers_path=str(tmp_path)), Clock())
    runner = BrowserJobRunner(pool, lambda: tmp_path, Clock())
    with pytest.raises(BrowserUnavailable, match="apt-get install ffmpeg"):
        await runner.run(make_job(f"{site}/", options=["RECORD"]))


async def test_playwrights_own_ffmpeg_is_used_where_it_is(tmp_path: Path) -> None:
    """The driver then gets no link to another ffmpeg; a dangling link is replaced."""
    downloads, scratch = tmp_path / "downloads", Scratch(lambda: tmp_path)
    settings = Settings(browsers_path=str(downloads))
    (variable,) = ffmpeg.driver_variables(settings, scratch).items()
    ffmpeg.prepare(settings, scratch)
    (link,) = (scratch.folder() / "ffmpeg").rglob("ffmpeg-*/ffmpeg-*")
    assert variable == ("PLAYWRIGHT_BROWSERS_PATH", str(scratch.folder() / "ffmpeg"))
    assert link.resolve() == Path(shutil.which("ffmpeg") or "").resolve()  # noqa: ASYNC240
    link.unlink()
    link.symlink_to("/nowhere")
    ffmpeg.prepare(settings, scratch)
    assert link.exists()
    own = downloads / link.relative_to(scratch.folder() / "ffmpeg")
    own.parent.mkdir(parents=True)
    own.touch()
    assert ffmpeg.driver_variables(settings, scratch) == {}
    scratch.close()


@pytest.mark.browser
async def test_alerts_are_read(site: str, recording: BrowserJobRunner) -> None:
    """Alerts are in order, over steps and popups; without the option there are none."""
    steps: list[dict[str, Any]] = [
        {"url": f"{site}/second.html", "actions": [{"evaluate": "alert('one'), confirm('no alert'), alert('two')"}]},
        {"url": f"{site}/windows.html", "actions": [{"switch_to_popup": "#open"}, {"title": None}]},
    ]
    assert (await recording.run(make_jobs(steps, options=["READ_ALERTS"]))).messages == ("one", "two", "stop")
    assert (await recording.run(make_jobs(steps))).messages is None
    assert (await recording.run(make_job(f"{site}/", options=["READ_ALERTS"]))).messages == ()


@pytest.mark.browser
async def test_downloads_are_artifacts(site: str, recording: BrowserJobRunner) -> None:
    """Inline as base64, or as files that only their owner reads; the action's value says name and size."""
    actions = [{"download": "#download"}]
    result = await recording.run(make_job(f"{site}/windows.html", actions=actions))
    (file,) = result.downloads or ()
    assert (file.name, file.size, file.content, file.path) == ("a.bin", 4, base64.b64encode(b"data").decode(), None)
    assert result.steps[0].values == ({"name": "a.bin", "size": 4},)
    result = await recording.run(make_job(f"{site}/windows.html", actions=actions, artifacts="files"))
    (file,) = result.downloads or ()
    path = Path(file.path or "")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), file.content) == (b"data", 0o600, None)  # noqa: ASYNC240


@pytest.mark.browser
@pytest.mark.parametrize(("job", "step"), [(True, None), (False, True)])
async def test_a_status_can_fail_a_step(site: str, recording: BrowserJobRunner, job: bool, step: bool | None) -> None:
    """The job's or the step's `fail_on_status` fails a step, also after an action; the step's takes precedence."""
    for actions, url in ([], f"{site}/status/404"), ([{"goto": f"{site}/status/404"}], f"{site}/"):
        one = {"url": url, "actions": actions, "fail_on_status": step}
        with pytest.raises(NavigationFailed) as failed:
            await recording.run(make_jobs([one], fail_on_status=job))
        places = {name: failed.value.details[name] for name in ("url", "status", "step")}
        assert places == {"url": f"{site}/status/404", "status": 404, "step": "step 1"}
    one = {"url": f"{site}/status/404", "fail_on_status": False}
    assert (await recording.run(make_jobs([one], fail_on_status=True))).steps[0].status == 404


def canary_job(site: str, **content: Any) -> Any:
    """A job that types, sends and sees every kind of secret."""
    actions: list[dict[str, Any]] = [
        {"fill": {"selector": "#user", "value": "{{user.username}}"}},
        {"fill": {"selector": "#password", "value": "{{ user.password }}"}},
        {"type": {"selector": "#note", "text": f"{TYPED} {{{{plain}}}}"}},
        {"evaluate": {"expression": "x => (console.log(x.deep[0]), x)", "arg": {"deep": ["{{plain}}"]}}},
        {"evaluate": "setTimeout(() => { throw new Error('{{user.username}}') }), '{{user.pin}}'"},
        {"input_value": "#password"},
        {"eval_on_selector": {"selector": "#size", "expression": f"e => e.options[0].value = '{PIN}'"}},
        {"evaluate": "fetch('/headers?q=' + encodeURIComponent('{{user.password}}')).then(r => r.status)"},
        {"click": "#submit"},
        {"inner_text": "h1"},
    ]
    cookies = [{"name": "session", "value": COOKIE, "domain": "127.0.0.1"}]
    context = {"extra_http_headers": {"X-Key": HEADER}}
    return make_job(f"{site}/form.html", actions=actions, cookies=cookies, context=context, secrets=NAMED, **content)


@pytest.mark.browser
async def test_secrets_are_filled_in_and_come_back_in_nothing(site: str, recording: BrowserJobRunner) -> None:
    """Step results, HAR and trace have asterisks where the page has the values."""
    result = await recording.run(canary_job(site, options=["HAR", "TRACE"], extract={"user": "#user"}), SECRETS)
    assert result.extract == {"user": NAME}  # what the page shows and the job asks for is the job's
    (step,) = result.steps
    assert step.values[3] == {"deep": ["**********"]}
    assert step.values[5] == "**********"
    assert step.values[9] == "Welcome **********"
    assert step.console == ("**********",)
    har, trace = base64.b64decode(result.har or ""), unpacked(result.trace)
    written = {"steps": repr(step).encode(), "har": har} | trace
    canaries = [NAME, WORD, "plain-canary-6", "1234567890", "pass%2Fword%20canary%2B4", "pass%2Fword+canary%2B4"]
    for canary in canaries:
        assert [name for name, data in written.items() if canary.encode() in data] == []
    for canary in (COOKIE, TYPED, HEADER):  # the parent itself has sent these, and no page has returned them
        assert [name for name, data in ({"har": har} | trace).items() if canary.encode() in data] == []
    entries = json.loads(har)["log"]["entries"]
    assert {entry["request"]["method"] for entry in entries} == {"GET", "POST"}
    assert any("Welcome **********" in entry["response"]["content"].get("text", "") for entry in entries)
    events = [json.loads(line) for line in trace["trace.trace"].splitlines()]
    assert {"fill", "goto", "click"} <= {event.get("method") for event in events}
    assert any(name.endswith(".jpeg") for name in trace)
    assert not any(name.endswith((".stacks", ".html", ".json")) for name in trace)


@pytest.mark.browser
async def test_errors_contain_no_secrets(site: str, recording: BrowserJobRunner) -> None:
    """Neither in their sentence nor in their places."""
    for action in (
        {"click": {"selector": "#{{plain}}", "timeout": 100}},
        {"evaluate": "throw new Error('{{plain}}')"},
        {"goto": "http://127.0.0.1:1/{{plain}}"},
        {"wait_for_selector": {"selector": "#a", "timeout": 100, "frame": "#{{plain}}"}},
    ):
        with pytest.raises((ActionFailed, NavigationFailed)) as failed:
            await recording.run(make_job(f"{site}/", actions=[action], secrets=NAMED), SECRETS)
        assert "plain-canary-6" not in repr(failed.value.detail) + str(failed.value)


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("{{usr.username}}", "fill.value", "{{usr}} is none of the job's secrets"),
        ("a {{user.nickname}} b", "fill.value", "the secret user has no field nickname"),
        ("{{user.username.first}}", "fill.value", "the secret user has no field username.first"),
        ("{{user}}", "fill.value", "user is neither text nor a number"),
    ],
)
async def test_a_reference_that_leads_nowhere(text: str, field: str, said: str) -> None:
    """It is refused before a browser is touched, with its place and without any value."""
    job = make_job("about:blank", actions=[{"fill": {"selector": "#a", "value": text}}], secrets=NAMED)
    with pytest.raises(InvalidContent) as failed:
        validate(job, SECRETS)
    assert failed.value.details == {"field": f"steps[0].actions[0].{field}"}
    assert said in failed.value.message
    assert NAME not in failed.value.message


async def test_names_are_checked_before_the_values_are_there() -> None:
    """A job that waits can be checked; what a filled-in address may be is checked when it is."""
    job = make_job("about:blank", actions=[{"goto": "{{plain}}"}], secrets=NAMED)
    validate(job)
    with pytest.raises(InvalidContent, match="a URL begins with its scheme"):
        validate(job, SECRETS)
    with pytest.raises(InvalidContent, match="is none of"):
        validate(make_job("about:blank", actions=[{"goto": "{{other}}"}], secrets=NAMED))


@pytest.mark.browser
async def test_no_place_for_temporary_files(
    site: str, recording: BrowserJobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full or missing disk is a typed failure, and no affair of a job that records nothing."""
    monkeypatch.setattr(Scratch, "folder", lambda _: tmp_path / "none")
    for content in ({"options": ["HAR"]}, {"actions": [{"download": "#download"}]}):
        with pytest.raises(StoreFailed, match="temporary files can't be created: No such file"):
            await recording.run(make_job(f"{site}/windows.html", **content))
    assert (await recording.run(make_job(f"{site}/"))).steps[0].status == 200
