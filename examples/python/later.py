"""Queues work for later: a job that reports to a webhook, and a task that runs every hour.

The environment names the shop and the receiver: SHOP_URL, WEBHOOK_URL, WEBHOOK_SECRET.
"""

import os
import sys

from sidecar.client import Sidecar, SidecarFailure
from sidecar.client.requests import SendJob

SHOP = os.environ.get("SHOP_URL", "http://127.0.0.1:8000")

LOOK_IN: SendJob = {
    "name": "look in",
    "steps": [{"name": "front door", "url": f"{SHOP}/login", "extract": {"heading": "h1"}}],
}
"""The steps of the queued job and of the task."""


def main() -> int:
    """Queues the job, creates the task, and waits only for the job; exit code 0 if it succeeded."""
    try:
        with Sidecar() as sidecar:
            sidecar.set_webhooks([{"url": os.environ["WEBHOOK_URL"], "secret": os.environ["WEBHOOK_SECRET"]}])
            job_id = sidecar.queue_job(LOOK_IN, key="look in once")
            again = sidecar.queue_job(LOOK_IN, key="look in once")
            print(f"  queued {job_id}; sent again with the same key it is {'the same' if again == job_id else again}")
            task = sidecar.create_task({"id": "front-door", "interval": 3_600_000, "job": dict(LOOK_IN)})
            print(f"  planned task {task['id']}, every hour from now on")
            heading = sidecar.wait_for_job(job_id)["result"]["extract"]["heading"]
            print(f"  the job is done, and found {heading!r}")
    except SidecarFailure as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
