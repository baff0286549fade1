"""Async jobs whose pages a test holds back, and how to wait for them."""

import time
from pathlib import Path
from typing import Any

from tests.harness import PAUSE, SECONDS, Child, Rtcv

EXTRACT = {"title": "h1"}
DONE = ("success", "failed", "cancelled")


def page_job(server: Rtcv, path: str, **more: Any) -> dict[str, Any]:
    """Content of an async `send_job` that visits a page of the server."""
    return {"mode": "async", "steps": [{"url": f"{server.server.url}{path}", "extract": EXTRACT}], **more}


def submit(child: Child, content: dict[str, Any]) -> str:
    """Sends a job and gives its id."""
    (reply,) = child.ask({"type": "send_job", "content": content})
    assert reply["type"] == "ok", reply
    assert reply["content"] == {"status": "scheduled", "id": reply["content"]["id"]}
    job_id = reply["content"]["id"]
    assert isinstance(job_id, str)
    return job_id


def status(child: Child, job_id: str) -> dict[str, Any]:
    """What `job_status` says."""
    (reply,) = child.ask({"type": "job_status", "content": {"id": job_id}})
    assert reply["type"] == "ok", reply
    content = reply["content"]
    assert isinstance(content, dict)
    return content


def ended(child: Child, job_id: str, seconds: float = 2 * SECONDS) -> dict[str, Any]:
    """What `job_status` says once the job has ended. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while (state := status(child, job_id))["status"] not in DONE:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{state}; stderr: {child.stderr}")
        time.sleep(PAUSE)
    return state


def succeeded(child: Child, job_id: str) -> dict[str, Any]:
    """Waits for a job that must succeed, and returns its state."""
    state = ended(child, job_id)
    assert state["status"] == "success", (state, child.stderr)
    return state


def stored(home: Path) -> bytes:
    """Every byte that a state folder holds."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
