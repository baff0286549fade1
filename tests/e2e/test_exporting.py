"""A recording in the formats of other tools: HAR 1.2, Playwright's trace viewer, and web archives."""

import gzip
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import playwright
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from sidecar import settings
from sidecar.browser import discovery
from tests.harness import Child, environment
from tests.test_golden import FOLDER

pytestmark = pytest.mark.browser

RECORDING = FOLDER / "recorded_login_and_scrape"
VIEWER = Path(playwright.__file__).parent / "driver/package/lib/vite/traceViewer"


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Exports in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sidecar", "export", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def exported(folder: Path, kind: str, recording: Path = RECORDING) -> Path:
    """The file that a recording was exported to."""
    done = export(folder, str(recording), "--format", kind, "-o", f"out.{kind}")
    assert (done.returncode, done.stdout) == (0, f"out.{kind}\n"), done.stderr
    assert (folder / f"out.{kind}").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir() if path.name != "state"] == [f"out.{kind}"]
    return folder / f"out.{kind}"


REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "entry": {"startedDateTime": str, "time": (int, float), "request": dict, "response": dict, "cache": dict},
    "request": {
        "method": str,
        "url": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "queryString": list,
        "headersSize": int,
        "bodySize": int,
    },
    "response": {
        "status": int,
        "statusText": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "content": dict,
        "redirectURL": str,
        "headersSize": int,
        "bodySize": int,
    },
    "content": {"size": int, "mimeType": str},
    "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
    "page": {"startedDateTime": str, "id": str, "title": str, "pageTimings": dict},
    "creator": {"name": str, "version": str},
}
"""The members that HAR 1.2 requires, with their types."""


def check(kind: str, value: Any) -> None:
    """Whether an object of a HAR has all that it must have."""
    for name, types in REQUIRED[kind].items():
        assert isinstance(value[name], types), (kind, name, value)


def test_a_har_has_all_that_har_requires(tmp_path: Path) -> None:
    """What pages loaded and what was asked of servers, by time, with bodies and post data."""
    log = json.loads(exported(tmp_path, "har").read_text())["log"]
    with_servers = json.loads(exported_elsewhere(tmp_path, "recorded_two_servers", "har").read_text())["log"]
    for one in (log, with_servers):
        assert one["version"] == "1.2"
        check("creator", one["creator"])
        for page in one["pages"]:
            check("page", page)
        for entry in one["entries"]:
            for kind, value in (("entry", entry), ("request", entry["request"]), ("response", entry["response"])):
                check(kind, value)
            check("content", entry["response"]["content"])
            check("timings", entry["timings"])
        times = [entry["startedDateTime"] for entry in one["entries"]]
        assert times == sorted(times)
    assert {entry["pageref"] for entry in log["entries"]} == {page["id"] for page in log["pages"]}
    posts = [entry["request"]["postData"]["text"] for entry in log["entries"] if "postData" in entry["request"]]
    assert '{"query":"lamps"}' in posts
    assert any(entry["request"]["url"].endswith("/scanCV") for entry in with_servers["entries"])


def exported_elsewhere(folder: Path, name: str, kind: str) -> Path:
    """Another recording's export, in a folder of its own."""
    (folder / "state" / name).mkdir(parents=True, exist_ok=True)
    return exported(folder / "state" / name, kind, FOLDER / name)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as driver:
        found = discovery.find("CHROMIUM", settings.load())
        browser = driver.chromium.launch(executable_path=found.path)
        yield browser
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Says nothing."""


def serve(folder: Path) -> ThreadingHTTPServer:
    """Serves a folder's files on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@contextmanager
def viewer(folder: Path, trace: Path) -> Iterator[str]:
    """Serves Playwright's viewer; gives the address at which it shows a trace."""
    site = folder / "site"
    site.mkdir()
    (site / "trace").symlink_to(VIEWER)
    trace.rename(site / "out.zip")
    server = serve(site)
    root = f"http://127.0.0.1:{server.server_port}"
    try:
        yield f"{root}/trace/index.html?trace={root}/out.zip"
    finally:
        server.shutdown()
        server.server_close()


def test_a_trace_opens_in_playwrights_viewer(tmp_path: Path, chromium: Browser) -> None:
    """Requests are actions with parameters and errors, requests of pages are its network, bodies are there."""
    trace = exported(tmp_path, "trace", FOLDER / "recorded_failing_site")
    page = chromium.new_page()
    with viewer(tmp_path, trace) as address:
        page.goto(address)
        expect(page.get_by_text("send_job (2)").first).to_be_visible(timeout=20_000)
        page.get_by_text("send_job (2)").first.click()
        page.get_by_role("tab", name="Errors").click()
        expect(page.get_by_text("could not open http://127.0.0.1").first).to_be_visible()
        page.get_by_role("tab", name="Network").click()
        expect(page.get_by_role("tabpanel", name="Network")).to_contain_text("127.0.0.1")
    page.close()


def test_a_trace_shows_the_pictures_of_jobs(tmp_path: Path, chromium: Browser) -> None:
    """As the film above the actions; a file that is no picture is left out."""
    recording, job = tmp_path / "recording", tmp_path / "recording" / "jobs" / "000001"
    shutil.copytree(FOLDER / "recorded_failing_site", recording)
    job.mkdir(parents=True)
    page = chromium.new_page(viewport={"width": 560, "height": 315})
    page.set_content("<h1>lamps</h1>")
    page.screenshot(type="jpeg", path=job / "000.jpg")
    (job / "001.jpg").write_bytes(b"no picture")
    began = datetime.fromisoformat(json.loads((recording / "manifest.json").read_text())["started_at"]).timestamp()
    step = {"at": 100, "ms": 400, "actions": [{"at": 200, "ms": 50, "picture": 0}], "picture": 1}
    (job / "job.json").write_text(json.dumps({"began": began, "steps": [step], "failure": None}))
    (tmp_path / "out").mkdir()
    trace = exported(tmp_path / "out", "trace", recording)
    with zipfile.ZipFile(trace) as archive:
        lines = [json.loads(line) for line in archive.read("trace.trace").splitlines()]
        (frame,) = (line for line in lines if line["type"] == "screencast-frame")
        assert (frame["width"], frame["height"], round(frame["timestamp"])) == (560, 315, 250)
        assert archive.read(f"resources/{frame['sha1']}") == (job / "000.jpg").read_bytes()
    with viewer(tmp_path, trace) as address:
        page.goto(address)
        expect(page.locator(".film-strip-frame").first).to_be_visible(timeout=20_000)
    page.close()


def events(trace: Path) -> dict[str, set[str]]:
    """Type of event -> the members that all of its kind have."""
    found: dict[str, set[str]] = {}
    with zipfile.ZipFile(trace) as archive:
        for name in ("trace.trace", "trace.network"):
            for line in archive.read(name).splitlines():
                event = json.loads(line)
                found[event["type"]] = found.get(event["type"], set(event)) & set(event)
    return found


def test_a_trace_is_made_of_what_playwrights_own_is(tmp_path: Path, chromium: Browser) -> None:
    """The same files, the same kinds of events, and in each all that Playwright's always has."""
    ours = exported(tmp_path, "trace")
    context = chromium.new_context()
    context.tracing.start(snapshots=True)
    page = context.new_page()
    server = serve(FOLDER)
    page.goto(f"http://127.0.0.1:{server.server_port}/README.md")
    page.evaluate("console.info(1)")
    context.tracing.stop(path=tmp_path / "theirs.zip")
    context.close()
    server.shutdown()
    server.server_close()
    mine, theirs = events(ours), events(tmp_path / "theirs.zip")
    assert mine.keys() <= theirs.keys()
    unneeded = {"pageId", "playwrightVersion", "testIdAttributeName"}  # of pages, and of Playwright's own tests
    for kind in mine:
        assert theirs[kind] - unneeded <= mine[kind], kind
    with zipfile.ZipFile(ours) as archive:
        names = set(archive.namelist())
        for line in archive.read("trace.network").splitlines():
            body = json.loads(line)["snapshot"]["response"]["content"].get("_sha1")
            assert body is None or f"resources/{body}" in names


def test_a_web_archive_is_valid_and_whole(tmp_path: Path) -> None:
    """By the public wacz tool; every answered request of pages is in its index, and its pages have titles."""
    archive = exported(tmp_path, "wacz")
    command = [sys.executable, "-P", "-m", "wacz", "validate", "-f", str(archive)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation succeeded" in done.stdout + done.stderr
    with zipfile.ZipFile(archive) as opened:
        index = gzip.decompress(opened.read("indexes/index.cdx.gz")).decode()
        pages = [json.loads(line) for line in opened.read("pages/pages.jsonl").splitlines()]
        package = json.loads(opened.read("datapackage.json"))
    assert package["wacz_version"] == "1.1.1"
    assert {page["title"] for page in pages[1:]} == {"in", "/welcome", "Shop"}
    hars = [json.loads(path.read_text())["log"]["entries"] for path in sorted((RECORDING / "pages").glob("*.har"))]
    assert len(index.splitlines()) == sum(map(len, hars))
    assert "__wb_method=post&query=chairs" in index


def test_an_export_says_what_is_wrong(tmp_path: Path) -> None:
    """No recording, one that is damaged, and a place that can't be written to: a sentence, exit code 2, no file."""
    (tmp_path / "empty").mkdir()
    missing = export(tmp_path, "empty", "--format", "har")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "holds no recording" in missing.stderr
    with Child(tmp_path, "--record", "recording") as child:
        child.ask({"type": "ping"})
        child.end()
    (tmp_path / "recording" / "exchanges.jsonl").write_text("{}\n")
    damaged = export(tmp_path, "recording", "--format", "trace", "-o", "out")
    assert damaged.returncode == 2
    assert "line 1 is no exchange" in damaged.stderr
    assert not list(tmp_path.glob("out*"))
    unwritable = export(tmp_path, "recording", "--format", "har", "-o", "nowhere/out.har")
    assert unwritable.returncode == 2
    assert "can't be exported: no such file or directory" in unwritable.stderr
