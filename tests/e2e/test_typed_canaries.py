"""What a job types, by whatever way, leaves by none: documents, logs, webhooks, the disk and what is shown of plans."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs import ended, submit
from tests.harness import Child, Rtcv, encoded, environment, receiver, rtcv

pytestmark = pytest.mark.browser

WAYS = (
    "fill",
    "escaped",
    "comment",
    "joined",
    "variable",
    "template",
    "dialog",
    "cookie",
    "header",
    "argument",
    "expression",
    "assigned",
    "keyboard",
    "inserted",
    "locatoroption",
    "sequentially",
    "keyboardoption",
    "insertedoption",
    "plain",
    "optionvalue",
    "optionlabel",
    "event",
    "filename",
    "evaluated",
    "anyheader",
    "username",
    "password",
    "webhookpath",
    "webhookquery",
)
"""Ways in which a secret is given; each has a canary of its own."""
SECOND_HALF = "of-a-long-password"


def canary(way: str) -> str:
    """The secret that is given in this way."""
    return f"canary-{way}-{SECOND_HALF}"


def found(data: bytes) -> list[str]:
    """Whose canaries stand in the data, or a telling part of one."""
    return [way for way in WAYS if f"canary-{way}".encode() in data] + [SECOND_HALF] * (SECOND_HALF.encode() in data)


def escaped(text: str) -> str:
    """As JavaScript may write it, a letter as a number."""
    return "".join(f"\\x{ord(letter):02x}" for letter in text)


def with_options(way: str) -> str:
    """A call that types, on what takes no selector, with options in a variable."""
    call, options = {
        "locatoroption": ("locator('#password').fill", "{timeout: 900}"),
        "sequentially": ("locator('#p').pressSequentially", "{delay: 0}"),
        "keyboardoption": ("keyboard.type", "{delay: 0}"),
        "insertedoption": ("keyboard.insertText", "{}"),
    }[way]
    return f"(async () => {{ const o = {options}; await page.{call}('{canary(way)}', o) }})()"


def option(text: str) -> str:
    """An expression that makes an option, without saying which."""
    letters = ",".join(str(ord(letter)) for letter in text)
    return f"document.body.insertAdjacentHTML('beforeend', '<select><option>' + String.fromCharCode({letters}))"


def actions() -> list[Any]:
    """Every way in which an action may give a secret to a page."""
    return [
        "page.setExtraHTTPHeaders({'X-Any': '" + canary("header") + "'})",
        'page.setContent(\'<input id="p"><input id="password">\')',
        f"page.fill('#p', '{canary('fill')}')",
        f"page.fill('#p', '{escaped(canary('escaped'))}')",
        f"page.fill('#p', /* it's */ '{canary('comment')}',)",
        f"page.fill('#p', 'canary-joi' + 'ned-{SECOND_HALF}')",
        f"(async () => {{ const word = '{canary('variable')}'; await page.fill('#p', word) }})()",
        f"page.locator('#p').fill(`{canary('template')}`)",
        f"page.once('dialog', (d) => d.accept('{canary('dialog')}'))",
        f"context.addCookies([{{name: 'n', value: '{canary('cookie')}', domain: '127.0.0.1', path: '/'}}])",
        f"page.evaluate((word) => {{ document.title = 'a' }}, '{canary('argument')}')",
        f"page.evaluate(\"document.querySelector('#p').value = '{canary('expression')}'; 0\")",
        f"page.evaluate(() => {{ document.querySelector('#p').value = '{canary('assigned')}' }})",
        *map(with_options, ("locatoroption", "sequentially", "keyboardoption", "insertedoption")),
        {"focus": "#password"},
        {"keyboard_type": canary("keyboard")},
        {"keyboard_insert_text": {"text": canary("inserted")}},
        {"fill": {"selector": "#p", "value": canary("plain")}},
        {"dispatch_event": {"selector": "#p", "type": "x", "event_init": {"detail": canary("event")}}},
        {"evaluate": "document.body.insertAdjacentHTML('beforeend', '<input type=file>')"},
        {"set_input_files": {"selector": "[type=file]", "files": [{"name": canary("filename"), "content": "aGk="}]}},
        {"evaluate": f"document.querySelector('#p').value = '{canary('evaluated')}'; 0"},
    ]


def chosen() -> list[Any]:
    """Actions that choose an option, and whose value says which."""
    return [
        {"evaluate": option(canary("optionvalue"))},
        {"select_option": {"selector": "select", "value": canary("optionvalue")}},
        {"evaluate": option(canary("optionlabel"))},
        {"select_option": {"selector": "select >> nth=1", "label": [canary("optionlabel")]}},
    ]


def said() -> list[str]:
    """Actions by which a page says what was typed: whole, and across the place where a line is cut."""
    lines = []
    for way in ("fill", "escaped", "joined", "variable", "keyboard", "plain", "argument", "evaluated"):
        # logged by the page letter by letter, so that the script does not contain it
        letters = ",".join(str(ord(letter)) for letter in canary(way))
        word = f"String.fromCharCode({letters})"
        lines.append(f"page.evaluate(() => console.log('x'.repeat(1970) + {word} + {word}))")
        lines.append(f"console.log('x'.repeat(1970) + {word} + {word})")
    return lines


def content(url: str, hook: str, *, runs: bool) -> dict[str, Any]:
    """A job with all of it; `runs` without a proxy that is not there."""
    step = {"url": url, "actions": [*actions(), *chosen(), *said()], "timeout_ms": 20_000}
    context: dict[str, Any] = {
        "extra_http_headers": {"X-Plain": canary("anyheader")},
        "http_credentials": {
            "username": canary("username"),
            "password": canary("password"),
            "origin": "https://elsewhere.example",
        },
    }
    if not runs:
        context["proxy"] = {"server": "http://proxy.example", "username": canary("username"), "password": "canary-x"}
    hooks = [f"{hook}/services/{canary('webhookpath')}?{canary('webhookquery')}"]
    return {"steps": [step], "context": context, "webhooks": hooks}


def failing(url: str, kind: str) -> dict[str, Any]:
    """A job whose error is cut within what was typed: its sentence, or what its action is called."""
    letters = ",".join(str(ord(letter)) for letter in canary("fill"))
    secret = f"String.fromCharCode({letters})"
    source = {
        "thrown": f"(async () => {{ throw new Error(('x'.repeat(940) + {secret}).repeat(3)) }})()",
        "labelled": f"page.fill('#{'x' * 45}', '{canary('fill')}', {{timeout: 1}})",
    }
    typed = {"fill": {"selector": "#p", "value": canary("fill")}}
    return {"steps": [{"url": url, "actions": ["page.setContent('<input id=p>')", typed, source[kind]]}]}


@dataclass
class Left:
    """What a session left behind."""

    folder: Path
    shown: dict[str, bytes] = field(default_factory=dict)
    """Lists of planned work, and webhooks' documents."""
    ended: dict[str, Any] = field(default_factory=dict)
    stderr: str = ""


def ask(child: Child, kind: str, content: Any) -> bytes:
    """A reply that is no error."""
    (reply,) = child.ask({"type": kind, "content": content})
    assert reply["type"] == "ok", reply
    return encoded(reply)


def plan(child: Child, job: dict[str, Any], left: Left) -> None:
    """The job as a schedule and as a task, and all that shows them."""
    push = {"type": "send_job", "content": job}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    trigger = {"single": {"time": tomorrow.strftime("%Y-%m-%d %H:%M:%S"), "zone_type": 1, "zone": "UTC"}}
    given = {"name": "later", "enabled": True, "trigger": trigger, "push": push}
    schedule = json.loads(ask(child, "create_schedule", given))["content"]
    left.shown["get_schedule"] = ask(child, "get_schedule", {"schedule_id": schedule["schedule_id"]})
    left.shown["list_schedules"] = ask(child, "list_schedules", {})
    task = {"id": "t", "job": job, "interval": 60_000, "init": tomorrow.isoformat()}
    left.shown["create_task"] = ask(child, "create_task", task)
    left.shown["get_task"] = ask(child, "get_task", {"id": "t"})
    left.shown["list_tasks"] = ask(child, "list_tasks", {})


@pytest.fixture(scope="module")
def server() -> Iterator[Rtcv]:
    """Serves a page."""
    with rtcv() as running:
        yield running


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, server: Rtcv) -> Left:
    """A session with all logs on, that runs the job, plans it, and is killed while another is accepted."""
    folder = tmp_path_factory.mktemp("session")
    left = Left(folder)
    (folder / "t").mkdir()
    env = {
        "LOG_SCRAPER_CLIENT_INPUT": "true",
        "ENABLE_SCRAPER_CLIENT_LOG": "true",
        "SIDECAR_ALLOW_PRIVATE_NETWORK": "true",
        "TMPDIR": str(folder / "t"),
    }
    with receiver() as taken, Child(folder, env=env) as child:
        url, hook = f"{server.server.url}/page/a", taken.server.url
        child.ask({"type": "set_credentials", "content": server.credentials})
        ask(child, "set_webhooks", [{"url": f"{hook}/all/{canary('webhookpath')}"}])
        child.ask({"type": "hello", "content": {"notifications": True}})
        job = content(url, hook, runs=True)
        child.send({"type": "send_job", "content": job})
        events = []
        while (line := child.read(60))["type"] == "event":
            events.append(line)
        left.ended["sync"] = line
        left.shown["events"] = encoded(events)
        for kind in ("thrown", "labelled"):
            child.send({"type": "send_job", "content": failing(url, kind)})
            events = []
            while (line := child.read(60))["type"] == "event":
                events.append(line)
            left.ended[kind] = line
            left.shown[f"{kind} events"] = encoded(events)
        child.ask({"type": "hello", "content": {"notifications": False}})
        left.ended["async"] = ended(child, submit(child, {**job, "mode": "async", "steps": _quiet(job["steps"])}))
        left.ended["failed"] = ended(child, submit(child, {**failing(url, "thrown"), "mode": "async"}))
        plan(child, content(url, hook, runs=False), left)
        left.shown["agenda"] = subprocess.run(
            [sys.executable, "-m", "sidecar", "agenda", "--json"],
            env=environment(folder, env),
            capture_output=True,
            check=True,
        ).stdout
        submit(child, {**job, "mode": "async"})
        child.process.kill()
        child.wait()
        left.stderr = child.stderr
        left.shown["webhooks"] = b"\n".join(received.body for received in taken.server.requests)
    return left


def _quiet(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is a part of the result that was asked for: what the page says, and which option was chosen."""
    return [{**step, "actions": step["actions"][: len(actions())]} for step in steps]


def test_the_jobs_did_what_they_were_to_do(left: Left) -> None:
    """Else there would be nothing to look for."""
    assert left.ended["sync"]["type"] == "ok", left.ended["sync"]
    assert left.ended["async"]["status"] == "success", left.ended["async"]
    assert left.ended["failed"]["status"] == "failed"
    console = left.ended["sync"]["content"]["result"]["steps"][0]["console"]
    assert sum(line.startswith("xxx") for line in console) == len(said())
    assert b"job_update" in left.shown["events"]
    assert left.shown["webhooks"].count(b"runState") >= 3


def test_no_half_of_a_secret_is_left_where_a_line_is_cut(left: Left) -> None:
    """A console line is cut to 2,000 characters, and what it ends with is no part of what was typed."""
    for line in left.ended["sync"]["content"]["result"]["steps"][0]["console"]:
        assert len(line) <= 2_000
        assert not found(line.encode()), line[1_980:]


def test_no_half_of_a_secret_is_left_in_an_error(left: Left) -> None:
    """Neither where its sentence is cut, nor where the action's name is."""
    for kind in ("thrown", "labelled"):
        error = left.ended[kind]
        assert error["type"] == "error", error
        assert error["error"]["code"] == "action_failed", error
        assert len(error["content"]) <= 1_000
        assert "canary" not in json.dumps(error)
    assert "\u2026" in left.ended["labelled"]["error"]["action"]


def test_lists_contain_no_secret(left: Left) -> None:
    """Schedules, tasks, the agenda, events and webhooks' bodies, definitions in them included."""
    for name, data in left.shown.items():
        assert not found(data), name
        for event in json.loads(data) if name.endswith("events") else map(json.loads, data.splitlines()):
            assert not found(base64.b64decode(_factfile(event))), name


def _factfile(event: dict[str, Any]) -> str:
    data = event.get("data") or event.get("content") or {}
    data = data.get("data", data) if isinstance(data, dict) else {}
    return str(data.get("factfile", ""))


def _files(folder: Path) -> Iterator[Path]:
    """All that will be there when the next process has swept what was under way."""
    for inside, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "scratch"]
        yield from (Path(inside) / name for name in names)


def test_nothing_on_disk_contains_it(left: Left) -> None:
    """The database, all logs, scratch and temporary files, and their names, after a kill with the job accepted."""
    reported = {}
    for path in _files(left.folder):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if path.name.startswith("sidecar.db"):
                # a webhook's URL is stored there, encrypted with the key if there is one
                for way in ("webhookpath", "webhookquery"):
                    data = data.replace(canary(way).encode(), b"")
            reported[path.name] = found(data) + found(str(path).encode())
    assert {"sidecar.db", "scraper_client_input.log", "scraper_client.log"} <= reported.keys()
    assert {name: ways for name, ways in reported.items() if ways} == {}
    assert not found(left.stderr.encode())
    assert b" saq: " in (left.folder / "scraper_client.log").read_bytes()
