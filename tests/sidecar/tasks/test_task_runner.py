"""Runs of tasks: scripts from files and servers, what they reach, and what is noted of them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from sidecar_protocol.tasks import ListTaskRuns, RunTaskReply, TaskRef, TaskRun, TestTask

from sidecar.browser.sandbox.sandbox_pool import SandboxPool
from sidecar.clock import Clock
from sidecar.errors import (
    ActionFailed,
    DecryptionKeyMissing,
    Forbidden,
    LimitExceeded,
    NotFound,
    RemoteFailed,
    RemoteUnreachable,
    SidecarError,
    TimedOut,
)
from sidecar.net.public_http import PublicHttpClient
from sidecar.storage.database import Database
from sidecar.tasks import script_host as task_outside
from sidecar.tasks import script_sources
from sidecar.tasks.script_sources import ScriptSources
from tests.clocks import ManualClock
from tests.sidecar.tasks.parts import Queue, TaskHarness

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIG = b"x" * (5 << 20)


class Site:
    """Scripts and answers on 127.0.0.1; `url` ends with a slash."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.script = "exports.main = (config) => 'from a server ' + config.n"
        self.over = asyncio.Event()

    def app(self) -> web.Application:
        """What it serves."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/moved":
            raise web.HTTPFound(request.query["to"])
        if request.path == "/hang":
            await self.over.wait()
        if request.path == "/echo":
            reported = {"method": request.method, "body": await request.text(), "headers": dict(request.headers)}
            return web.json_response(reported)
        bodies = {"/script.js": self.script.encode(), "/binary.js": b"\xff\xfe"} | dict.fromkeys(
            ("/large.js", "/large"), BIG
        )
        if request.path in bodies:
            return web.Response(body=bodies[request.path])
        return web.Response(status={"/gone.js": 410, "/broken.js": 500}.get(request.path, 404))


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    """Running."""
    site = Site()
    runner = web.AppRunner(site.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    site.url = f"http://{host}:{port}/"
    yield site
    site.over.set()
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def harness(outside: tuple[SandboxPool, PublicHttpClient], tmp_path: Path) -> AsyncIterator[TaskHarness]:
    """One process's tasks; scripts lie in `tmp_path`, and run in the module's sandboxes."""
    database = Database.in_memory()
    harness = TaskHarness(database, ManualClock(), Queue(), tmp_path, sandboxes=outside[0])
    yield harness
    await harness.tasks.close()
    await harness.public_http.close()
    await database.close()


async def run(harness: TaskHarness, script: str, **config: Any) -> RunTaskReply:
    """Makes a task of a script and runs it."""
    await harness.make(id=script, script=script, config=config, running=False)
    return await harness.tasks.run_now(TaskRef(id=script), "", None)


async def try_out(harness: TaskHarness, text: str, **config: Any) -> RunTaskReply:
    """Runs a script's text."""
    return await harness.tasks.test(TestTask(script_text=text, config=config), "", "", None)


async def runs(harness: TaskHarness, task: str) -> tuple[TaskRun, ...]:
    """What is noted, the latest first."""
    return (await harness.tasks.runs(ListTaskRuns(id=task))).runs


@pytest.mark.browser
async def test_a_file_is_read_again_for_every_run(harness: TaskHarness, tmp_path: Path) -> None:
    """What changed in between counts; folders below the scripts folder are fine."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.js").write_text("\ufeffexports.main = (c) => { console.log('one'); return 'first ' + c.n }")
    reply = await run(harness, "shop/a.js", n=1)
    assert (reply.status, reply.result, reply.output) == ("success", "first 1", ("one",))
    (tmp_path / "shop" / "a.js").write_text("exports.main = () => 'second'")
    assert (await harness.tasks.run_now(TaskRef(id="shop/a.js"), "", None)).result == "second"
    second, first = await runs(harness, "shop/a.js")
    assert (first.status, first.result, first.output, first.trigger) == ("success", "first 1", ("one",), "manual")
    assert first.run == reply.run
    assert second.result == "second"
    status = await harness.status("shop/a.js")
    assert (status.runs, status.failed, status.busy, status.last_run) == (2, 0, False, second)


@pytest.mark.browser
async def test_a_url_is_asked_for_every_run(harness: TaskHarness, site: Site) -> None:
    """As the file is."""
    assert (await run(harness, f"{site.url}script.js", n=2)).result == "from a server 2"
    site.script = "exports.main = () => 'changed'"
    assert (await harness.tasks.run_now(TaskRef(id=f"{site.url}script.js"), "", None)).result == "changed"
    assert site.asked == ["/script.js"] * 2


@pytest.mark.browser
async def test_a_redirected_script_is_followed(harness: TaskHarness, site: Site) -> None:
    """To where it leads."""
    assert (await run(harness, f"{site.url}moved?to=/script.js", n=3)).result == "from a server 3"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("nothing.js", NotFound),
        ("gone.js", NotFound),
        ("broken.js", RemoteFailed),
        ("large.js", LimitExceeded),
        ("binary.js", SidecarError),
        ("moved?to=/moved", RemoteFailed),
        ("hang", TimedOut),
    ],
)
async def test_a_script_that_can_not_be_had(
    harness: TaskHarness, site: Site, monkeypatch: pytest.MonkeyPatch, path: str, failure: type[SidecarError]
) -> None:
    """Is the run's failure, noted with its code; the next run is fine."""
    if path == "hang":
        monkeypatch.setattr(script_sources, "SCRIPT_SECONDS", 0.5)
    script = f"{site.url}{path}"
    with pytest.raises(SidecarError) as failed:
        await run(harness, script)
    assert isinstance(failed.value, failure) or path.startswith("moved")
    (noted,) = await runs(harness, script)
    assert noted.error
    assert (noted.status, noted.error.code) == ("failed", failed.value.code)
    assert (await harness.status(script)).failed == 1
    monkeypatch.undo()
    await harness.update(id=script, script=f"{site.url}script.js")
    assert (await harness.tasks.run_now(TaskRef(id=script), "", None)).status == "success"


async def test_a_script_behind_a_private_address(site: Site, tmp_path: Path) -> None:
    """A private host is refused by its address or its name, and no request is sent."""
    public_http = PublicHttpClient(Clock(), allow_private=False)
    scripts = ScriptSources(public_http, lambda: tmp_path, allow_private=False)
    for script in (f"{site.url}script.js", "http://localhost:9/x.js", "http://[::1]:9/x.js"):
        with pytest.raises(Forbidden):
            await scripts.read(script)
    assert site.asked == []
    await public_http.close()


async def test_foreign_files_are_left_alone(harness: TaskHarness, tmp_path: Path) -> None:
    """Links out of the folder, folders, pipes, what is too large, what is not there, what can't be read as text."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (tmp_path / "secret.js").write_text("exports.main = () => 'out'")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    (folder / "folder.js").mkdir()
    os.mkfifo(folder / "pipe.js")
    (folder / "large.js").write_bytes(b"/" * ((1 << 20) + 1))
    (folder / "binary.js").write_bytes(b"\xff\xfe")
    public_http = PublicHttpClient(Clock(), allow_private=True)
    scripts = ScriptSources(public_http, lambda: folder, allow_private=True)
    reported = {}
    for name in ("link", "folder", "pipe", "large", "binary", "missing", "x" * 300):
        with pytest.raises(SidecarError) as failed:
            await asyncio.wait_for(scripts.read(f"{name}.js"), 5)
        reported[name[:10]] = failed.value.code
    assert reported == {
        "link": "forbidden",
        "folder": "not_found",
        "pipe": "not_found",
        "large": "limit_exceeded",
        "binary": "invalid_content",
        "missing": "not_found",
        "x" * 10: "not_found",
    }
    await public_http.close()


@pytest.mark.browser
async def test_fetch_reaches_allowed_hosts_through_us(harness: TaskHarness, site: Site) -> None:
    """With method, headers and body; headers of the connection are ours."""
    text = """exports.main = async ({url}) => {
      const headers = {'X-A': 'b', Host: 'evil', 'Content-Length': '1'};
      const r = await fetch(url + 'echo', {method: 'PUT', body: 'some text', headers});
      return JSON.stringify(await r.json()) }"""
    reported = (await try_out(harness, text, url=site.url)).result
    assert '"method":"PUT"' in reported
    assert '"body":"some text"' in reported
    assert '"X-A":"b"' in reported or '"x-a":"b"' in reported
    assert "evil" not in reported


@pytest.mark.browser
@pytest.mark.parametrize(
    ("call", "said", "kind"),
    [
        ("fetch('https://other.example/')", "scripts can't reach other.example; SIDECAR_SCRIPT_HOSTS", Forbidden),
        ("fetch(url + 'moved?to=https://other.example/')", "scripts can't reach other.example", Forbidden),
        ("fetch(url + 'moved?to=/moved%3Fto%3D/echo', {redirect: 'error'})", "redirected", RemoteUnreachable),
        ("fetch(url + 'moved?to=' + encodeURIComponent(url + 'hang'))", "did not answer within", TimedOut),
        ("fetch(url + 'large')", "more than 4194304 bytes", LimitExceeded),
        ("fetch('file:///etc/passwd')", "not a usable http or https URL", SidecarError),
        ("fetch('/echo')", "not a usable http or https URL", SidecarError),
        ("fetch(url, {method: 'CONNECT'})", "fetch can't send CONNECT", SidecarError),
        ("(async () => { for (let i = 0; i < 21; i++) await job({steps: []}) })()", "more than 20 jobs", LimitExceeded),
    ],
)
async def test_what_a_script_may_not_reach(
    harness: TaskHarness, site: Site, monkeypatch: pytest.MonkeyPatch, call: str, said: str, kind: type[SidecarError]
) -> None:
    """Each with its code, which a script can see and a run ends with."""
    monkeypatch.setattr(task_outside, "REQUEST_SECONDS", 1.0)
    with pytest.raises(Exception, match=said) as failed:
        await try_out(harness, f"exports.main = ({{url}}) => {call}", url=site.url)
    if kind is not SidecarError:
        assert getattr(failed.value, "code", None) == kind.code


FORGED = [
    *(({name: "x"}, "no header's name") for name in (" Host", "Transfer-Encoding ", "", "a\r\nHost", "h\u00f6s", ":")),
    *(({"X-A": it}, "line of Latin-1") for it in ("b\r\nHost: evil", "b\n", "\u0000", "\u20ac", "\u007f")),
    ({"X-A": "x" * 70_000}, "limited to 65536 bytes"),
]


@pytest.mark.browser
async def test_a_forged_header_is_refused(harness: TaskHarness, site: Site) -> None:
    """What the page's own Headers would refuse is refused by us too, by name, where a script has got around them."""
    text = f"""const all = {json.dumps([headers for headers, _ in FORGED])};
    exports.main = async ({{url}}) => {{
      const said = [];
      for (const forged of all) {{
        Object.fromEntries = () => forged;
        try {{ said.push((await fetch(url + 'echo')).status) }} catch (e) {{ said.push(`${{e.code}}: ${{e.message}}`) }}
      }}
      return said }}"""
    reported = (await try_out(harness, text, url=site.url)).result
    for (headers, said), told in zip(FORGED, reported, strict=True):
        code = "limit_exceeded" if "limited" in said else "invalid_content"
        assert (str(told).partition(":")[0], said in str(told)) == (code, True), (headers, told)
    assert site.asked == []


@pytest.mark.browser
async def test_a_redirect_can_be_looked_at(harness: TaskHarness, site: Site) -> None:
    """Or followed; then the answer knows where it came from."""
    text = """exports.main = async ({url}) => {
      const looked = await fetch(url + 'moved?to=/echo', {redirect: 'manual'});
      const followed = await fetch(url + 'moved?to=/echo');
      return [looked.status, looked.headers.get('location'), followed.status, followed.url.slice(-5)].join() }"""
    assert (await try_out(harness, text, url=site.url)).result == "302,/echo,200,/echo"


@pytest.mark.browser
async def test_a_script_runs_jobs(harness: TaskHarness) -> None:
    """With ids of their own that stay the same should the run be repeated."""
    harness.reply = b'{"status":"success","result":{"extract":{"title":"x"}}}'
    text = """exports.main = async () => {
      const all = await Promise.all([1, 2].map((n) => job({steps: [{url: 'https://a.example/' + n}]})));
      return all.map((one) => one.result.extract.title).join() }"""
    assert (await try_out(harness, text)).result == "x,x"
    first, second = harness.jobs
    assert (first.type, first.content) == ("send_job", b'{"steps":[{"url":"https://a.example/1"}]}')
    assert (first.id.rpartition(".")[2], second.id.rpartition(".")[2]) == ("1", "2")


@pytest.mark.browser
async def test_a_failed_job_can_be_caught_or_fails_the_run(harness: TaskHarness) -> None:
    """With the job's own code."""
    harness.reply = TimedOut("the job took too long")
    caught = await try_out(harness, "exports.main = () => job({}).catch((e) => e.code)")
    assert caught.result == "timeout"
    with pytest.raises(Exception, match="the job took too long") as failed:
        await try_out(harness, "exports.main = () => job({})")
    assert getattr(failed.value, "code", None) == "timeout"


async def test_a_task_with_a_job(harness: TaskHarness) -> None:
    """Its config is filled in; the reply's content is its result, and noted; a large one is not kept."""
    harness.reply = b'{"status":"success","result":{"steps":[]}}'
    job = {"steps": [{"url": "https://a.example/{{n}}"}]}
    await harness.make(script=None, job=job, config={"n": 4})
    reply = await harness.tasks.run_now(TaskRef(id="t"), "", None)
    assert bytes(reply.result) == harness.reply
    assert harness.jobs[0].content == b'{"steps":[{"url":"https://a.example/4"}]}'
    assert (harness.jobs[0].name, harness.jobs[0].origin, harness.jobs[0].webhooks) == ("t", "task:t", "packed")
    harness.reply = b'{"status":"success","result":{"screenshot":"' + b"x" * 100_000 + b'"}}'
    await harness.tasks.run_now(TaskRef(id="t"), "", None)
    large, small = await runs(harness, "t")
    assert (small.result, small.cut) == ({"status": "success", "result": {"steps": []}}, False)
    assert (large.status, large.result, large.cut) == ("success", None, True)


@pytest.mark.browser
async def test_failures_say_what_was_written_before(harness: TaskHarness, tmp_path: Path) -> None:
    """In the error of a run that somebody waits for, and in what is noted."""
    (tmp_path / "a.js").write_text("exports.main = () => { console.log('before'); throw new TypeError('bad') }")
    said = "the script failed: TypeError: bad (a.js, line 1, column 53)"
    with pytest.raises(ActionFailed) as failed:
        await run(harness, "a.js")
    assert (failed.value.message, failed.value.detail.output) == (said, ("before",))
    (noted,) = await runs(harness, "a.js")
    assert noted.error
    assert (noted.output, noted.error.message, noted.error.output) == (("before",), said, None)
    assert noted.error.stack == ("exports.main (a.js:1:53)",)


@pytest.mark.browser
async def test_long_results_and_output_are_cut_where_they_are_kept(harness: TaskHarness, tmp_path: Path) -> None:
    """The reply has the whole result; the last of the output."""
    text = """exports.main = () => {
      for (let i = 0; i < 100; i++) console.log(i + 'x'.repeat(1990));
      return 'y'.repeat(2e5) }"""
    (tmp_path / "a.js").write_text(text)
    reply = await run(harness, "a.js")
    assert len(reply.result) == 200_000
    (noted,) = await runs(harness, "a.js")
    assert (len(noted.result), noted.cut) == (65_536, True)
    assert noted.output[-1].startswith("99x")
    assert sum(map(len, noted.output)) <= 65_536


async def test_fifty_runs_are_kept(harness: TaskHarness) -> None:
    """The latest; all are counted."""
    await harness.make(script=None, job={"steps": [{"url": "https://a.example/"}]})
    for _ in range(53):
        await harness.tasks.run_now(TaskRef(id="t"), "", None)
    page = await harness.tasks.runs(ListTaskRuns(id="t"))
    assert (page.total_count, page.total_pages, len(page.runs)) == (50, 1, 50)
    assert (await harness.tasks.runs(ListTaskRuns(id="t", page=2))).runs == ()
    assert (await harness.status()).runs == 53


@pytest.mark.browser
async def test_a_run_that_is_stopped_is_noted(harness: TaskHarness, site: Site) -> None:
    """As cancelled, with what it has written."""
    text = "exports.main = async ({url}) => { console.log('so far'); await fetch(url + 'hang') }"
    site.script = text
    script = f"{site.url}script.js"
    task = asyncio.create_task(run(harness, script, url=site.url))
    deadline = asyncio.get_running_loop().time() + 20
    while "/hang" not in site.asked:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    assert (await harness.status(script)).busy
    (going,) = await runs(harness, script)
    assert (going.status, going.duration_ms) == ("running", None)
    task.cancel()
    await asyncio.wait((task,), timeout=10)
    await harness.tasks.close()
    (noted,) = await runs(harness, script)
    assert (noted.status, noted.output) == ("cancelled", ("so far",))
    assert not (await harness.status(script)).busy


async def test_a_manual_run_is_reported_to_its_caller(harness: TaskHarness) -> None:
    """Once, when it has ended, with what is noted."""
    reported: list[tuple[str, Any]] = []
    await harness.make(script=None, job={"steps": [{"url": "https://a.example/"}]})
    reply = await harness.tasks.run_now(TaskRef(id="t"), "", lambda event, content: reported.append((event, content)))
    assert reported == [("task_run", (await runs(harness, "t"))[0])]
    assert reported[0][1].run == reply.run


@pytest.mark.browser
async def test_a_script_is_reported_as_a_job_of_one_step(harness: TaskHarness, tmp_path: Path) -> None:
    """Named after the task, with its output and result; a failed one says why."""
    reported: list[tuple[str, Any]] = []
    (tmp_path / "a.js").write_text("exports.main = () => { console.log('out'); return 'done' }")
    await harness.make(script="a.js")
    await harness.tasks.run_now(TaskRef(id="t"), "", lambda event, content: reported.append((event, content)))
    updates = [content.data for event, content in reported if event == "job_update"]
    assert [(one.job_name, one.run_state) for one in updates] == [
        *(("t", state) for state in ("WAITING", "RUNNING", "RUNNING", "COMPLETED")),
    ]
    (step,) = updates[-1].task_states
    assert (step.task_name, step.state, step.stdout, step.return_code) == ("a.js", "COMPLETED", 'out\n"done"', 0)
    reported.clear()
    (tmp_path / "a.js").write_text("exports.main = () => { console.log('out'); throw new Error('bad') }")
    with pytest.raises(ActionFailed):
        await harness.tasks.run_now(TaskRef(id="t"), "", lambda event, content: reported.append((event, content)))
    last = [content.data for event, content in reported if event == "job_update"][-1]
    assert last.run_state == "FAILED"
    (step,) = last.task_states
    assert (step.state, step.stdout, step.error_message) == (
        "FAILED",
        "out",
        "the script failed: bad (a.js, line 1, column 50)",
    )


async def test_a_job_that_can_not_be_decrypted_is_reported(harness: TaskHarness, tmp_path: Path) -> None:
    """If the process that encrypted the job is gone, the listeners get the run's failure."""
    reported: list[tuple[str, Any]] = []
    gone = TaskHarness(harness.database, harness.time, harness.queue, tmp_path)
    cookie = {"name": "c", "value": "canary", "domain": "a.example"}
    await gone.make(script=None, job={"steps": [{"url": "https://a.example/"}], "cookies": [cookie]})
    await gone.public_http.close()
    with pytest.raises(DecryptionKeyMissing):
        await harness.tasks.run_now(TaskRef(id="t"), "", lambda event, content: reported.append((event, content)))
    states = [content.data.run_state for event, content in reported if event == "job_update"]
    assert states == ["WAITING", "RUNNING", "RUNNING", "FAILED"]
    assert "canary" not in repr(reported)
