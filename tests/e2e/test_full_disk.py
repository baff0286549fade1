"""A disk that is full as a job ends: its end, result, forwards and updates are kept together, or none of them."""

import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs import ended, page_job, status, submit
from tests.harness import SECONDS, Child, Rtcv, receiver, rtcv
from tests.redis_server import RedisServer

pytestmark = pytest.mark.browser

OPEN = {"SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "SIDECAR_STORE_KEY": "A" * 43 + "="}
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
WHOLE = ["WAITING", "RUNNING", "RUNNING", "COMPLETED"]


def fill(child: Child, folder: Path) -> None:
    """No file of the child grows any more, as on a full disk."""
    log = folder / "state" / "sidecar.db-wal"
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))


def reported(hook: Rtcv) -> list[str]:
    """The states that the webhook received, each document once."""
    documents = {one.headers["webhook-id"]: json.loads(one.body)["data"]["runState"] for one in hook.server.to("/hook")}
    return list(documents.values())


def refused(child: Child) -> None:
    """Returns once the disk has refused something of the job's end. Raises TimeoutError."""
    deadline = time.monotonic() + SECONDS
    while "could not write to the database" not in child.stderr:
        if time.monotonic() > deadline:
            raise TimeoutError(child.stderr)
        time.sleep(0.02)


def begun(child: Child, server: Rtcv, hook: Rtcv, **more: Any) -> str:
    """A job whose page is asked for, and not there yet; its first updates have arrived."""
    server.server.fail("/page/late", "hang", count=1)
    assert child.ask({"type": "set_credentials", "content": server.credentials})[0]["type"] == "ok"
    job_id = submit(child, page_job(server, "/page/late", forward=True, webhooks=[f"{hook.server.url}/hook"], **more))
    server.wait_for("/page/late")
    hook.wait_for("/hook", 2)
    return job_id


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["lifted", "killed"])
def test_a_job_s_end_is_whole_or_not_at_all(tmp_path: Path, how: str) -> None:
    """Where the disk takes things again it all comes, once; where the process dies before that, the job runs again."""
    with rtcv() as server, receiver() as hook:
        with Child(tmp_path, env=OPEN) as child:
            job_id = begun(child, server, hook)
            fill(child, tmp_path)
            server.release()
            refused(child)
            assert status(child, job_id)["status"] == "pending"
            assert server.server.to("jobResult") == []
            assert reported(hook)[-1] == "RUNNING"
            if how == "lifted":
                resource.prlimit(child.pid, resource.RLIMIT_FSIZE, UNLIMITED)
                assert ended(child, job_id)["status"] == "success"
                assert child.end() == 0
            else:
                child.process.kill()
                child.wait()
        with Child(tmp_path, env=OPEN) as child:
            assert ended(child, job_id)["status"] == "success"
            server.wait_for("jobResult")
            _until_completed(hook)
        assert [one.headers["Idempotency-Key"] for one in server.server.to("jobResult")] == [job_id]
        assert reported(hook).count("COMPLETED") == 1
        assert len(server.server.to("/page/late")) == (1 if how == "lifted" else 2)
        if how == "lifted":
            assert reported(hook) == WHOLE


@pytest.mark.timeout(120)
def test_a_job_of_a_fleet_ends_after_its_updates(tmp_path: Path) -> None:
    """Its end lies in Redis, what it leaves on this machine's disk: while that is full, the job goes on."""
    with rtcv() as server, receiver() as hook, RedisServer(tmp_path) as redis:
        with Child(tmp_path, env={**OPEN, "SIDECAR_QUEUE": redis.url}) as child:
            job_id = begun(child, server, hook)
            fill(child, tmp_path)
            server.release()
            refused(child)
            assert status(child, job_id)["status"] == "pending"
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, UNLIMITED)
            assert ended(child, job_id)["status"] == "success"
            _until_completed(hook)
            server.wait_for("jobResult")
            assert child.end() == 0
        assert reported(hook) == WHOLE
        assert len(server.server.to("jobResult")) == 1


@pytest.mark.timeout(120)
def test_the_end_of_a_task_s_run(tmp_path: Path) -> None:
    """A periodic run's history, updates and job agree after a full disk."""
    with rtcv() as server, receiver() as hook, Child(tmp_path, env=OPEN) as child:
        server.server.fail("/page/late", "hang", count=1)
        assert child.ask({"type": "set_webhooks", "content": [{"url": f"{hook.server.url}/hook"}]})[0]["type"] == "ok"
        steps = [{"url": f"{server.server.url}/page/late"}]
        task = {"id": "t", "interval": 3_600_000, "job": {"steps": steps}}
        assert child.ask({"type": "create_task", "content": task})[0]["type"] == "ok"
        server.wait_for("/page/late")
        hook.wait_for("/hook", 2)
        fill(child, tmp_path)
        server.release()
        refused(child)
        [reply] = child.ask({"type": "get_task_status", "content": {"id": "t"}})
        assert reply["content"]["busy"]
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        _until_completed(hook)
        [reply] = child.ask({"type": "list_jobs"})
        assert ended(child, reply["content"]["jobs"][0]["id"])["status"] == "success"
        [reply] = child.ask({"type": "get_task_status", "content": {"id": "t"}})
        assert (reply["content"]["last_run"]["status"], reply["content"]["runs"]) == ("success", 1)
        assert reported(hook) == WHOLE
        assert child.end() == 0


def _until_completed(hook: Rtcv) -> None:
    deadline = time.monotonic() + SECONDS
    while "COMPLETED" not in reported(hook):
        if time.monotonic() > deadline:
            raise TimeoutError(reported(hook))
        time.sleep(0.02)
