"""The calls of `AsyncSidecar`: a method for each message. `messages.py` is made from this."""

import base64
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from sidecar.client.job_run import reply_of
from sidecar.client.requests import (
    CreateSchedule,
    CreateTask,
    Credentials,
    IssueToken,
    ListTasks,
    SendJob,
    UpdateSchedule,
    UpdateTask,
    Webhook,
)
from sidecar.client.results import (
    CancelledJob,
    Deliveries,
    HelloReply,
    JobReply,
    Jobs,
    JobState,
    RunTaskReply,
    Schedule,
    ScheduleCreated,
    ScheduleMsgIds,
    SchedulePage,
    Task,
    TaskPage,
    TaskRunPage,
    TaskStatus,
    UserSecret,
    WebhooksReply,
)

_LOOK_SECONDS = 0.1
"""Between two looks at a job that is waited for."""


class AsyncMessages:
    """Every message but `cancel`, which the calls of `start` and timeouts send.

    All raise SidecarFailure with the reason where the sidecar answers with an error, SidecarEnded where it is gone, and
    TimeoutError after the client's `timeout`.
    """

    timeout: float
    """Seconds that a request may take where it is not given a bound of its own."""

    async def request(self, type: str, content: Any = None, *, timeout: float | None = None) -> Any:  # noqa: A002
        """Sends any message and waits for the content of its answer (None where it has none).

        Raises SidecarFailure, SidecarEnded, or TimeoutError after `timeout` seconds; the request is then cancelled.
        """
        raise NotImplementedError

    async def _pause(self, seconds: float) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        """Returns when the sidecar has answered."""
        await self.request("ping")

    async def hello(self, *, notifications: bool = True, zone: str = "") -> HelloReply:
        """Asks for events, and sets the zone of schedules with `zone_type` 1; says who answers and what it can."""
        return cast(HelloReply, await self.request("hello", {"notifications": notifications, "zone": zone}))

    async def login(self, server_location: str, api_key_id: str, api_key: str) -> None:
        """Logs in to one RT-CV server."""
        server = {"server_location": server_location, "api_key_id": api_key_id, "api_key": api_key}
        await self.request("set_credentials", server)

    async def set_credentials(self, servers: Sequence[Credentials]) -> None:
        """Logs in to several servers: `server_location`, `api_key_id`, `api_key` each, and `primary` on one of them."""
        await self.request("set_multiple_credentials", [dict(server) for server in servers])

    async def set_mock(self, secrets: Mapping[str, Any] | None = None, *, cv_matches: bool = True) -> None:
        """Needs no server from here on: `secrets` are given out, CVs are accepted and sent nowhere."""
        await self.request("set_mock", {"secrets": dict(secrets or {}), "cv_matches": cv_matches})

    async def get_secret(self, key: str, encryption_key: str) -> Any:
        """The secret under `key`: any JSON."""
        return await self.request("get_secret", {"key": key, "encryption_key": encryption_key})

    async def get_users_secret(self, encryption_key: str, key: str = "users") -> list[UserSecret]:
        """Logins under `key`, each with `username` and `password`."""
        request = {"key": key, "encryption_key": encryption_key}
        return cast(list[UserSecret], await self.request("get_users_secret", request))

    async def get_user_secret(self, encryption_key: str, key: str = "user") -> UserSecret:
        """The login under `key`: `username` and `password`."""
        request = {"key": key, "encryption_key": encryption_key}
        return cast(UserSecret, await self.request("get_user_secret", request))

    async def remember(self, reference: str, *, short: bool = False) -> None:
        """Remembers a reference for 3 days, or for 12 hours where `short`; also over restarts."""
        await self.request("set_short_cached_reference" if short else "set_cached_reference", reference)

    async def is_remembered(self, reference: str) -> bool:
        """Whether a reference is remembered, by `remember` or because its CV was sent and matched."""
        return bool(await self.request("has_cached_reference", reference))

    async def send_cv(self, cv: Mapping[str, Any]) -> bool | None:
        """Sends a CV with its `referenceNumber`: whether it matched; None where it was remembered, so not sent."""
        return cast(bool | None, await self.request("send_cv", dict(cv)))

    async def send_full_cv(self, metadata: Mapping[str, Any], pdf: bytes | Path) -> bool | None:
        """Sends a CV with its PDF, as bytes or as a path in the sidecar's `SIDECAR_CV_FOLDER`; answers as `send_cv`."""
        cv = base64.b64encode(pdf).decode() if isinstance(pdf, bytes) else str(pdf)
        return cast(bool | None, await self.request("send_full_cv", {"metadata": dict(metadata), "cv": cv}))

    async def send_cvs_list(self, cvs: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Sends a list of CVs: how many were `sent`, and how many `duplicates` or `without_reference` were not."""
        return cast(dict[str, int], await self.request("send_cvs_list", [dict(cv) for cv in cvs]))

    async def send_job(self, job: SendJob, *, timeout: float | None = None) -> JobReply:
        """Runs a browser job: `{"status": "success", "result": {...}}`, or status `skipped` and no result."""
        return cast(JobReply, await self.request("send_job", dict(job), timeout=timeout))

    async def queue_job(self, job: SendJob, *, key: str | None = None) -> str:
        """Has a browser job run as soon as there is a place, also after a restart; gives its id.

        The same `key` is the same job: sent again, it makes no second one.
        """
        content = dict(job) | {"mode": "async"} | ({"key": key} if key is not None else {})
        return cast(str, (await self.request("send_job", content))["id"])

    async def job_status(self, job_id: str) -> JobState:
        """What is known of a queued job: its `status`, and its `result` or `error` once it has ended."""
        return cast(JobState, await self.request("job_status", {"id": job_id}))

    async def wait_for_job(self, job_id: str, *, timeout: float | None = None) -> JobReply:
        """The content of the job's reply once it has succeeded.

        Raises SidecarFailure where it failed or was cancelled, TimeoutError after `timeout` seconds; it then goes on.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (state := await self.job_status(job_id))["status"] == "pending":
            if time.monotonic() >= deadline:
                raise TimeoutError(f"the job {job_id} has not ended yet")
            await self._pause(_LOOK_SECONDS)
        return cast(JobReply, reply_of(state))

    async def list_jobs(
        self, status: Literal["pending", "success", "failed", "cancelled"] | None = None, *, page: int = 1
    ) -> Jobs:
        """Queued jobs and those that have ended, the newest first, 50 to a page, without results."""
        return cast(Jobs, await self.request("list_jobs", {"status": status, "page": page}))

    async def cancel_job(self, job_id: str) -> CancelledJob:
        """Stops a queued job; `cancelled` says whether that was in time."""
        return cast(CancelledJob, await self.request("cancel_job", {"id": job_id}))

    async def set_webhooks(self, webhooks: Sequence[str | Webhook]) -> list[str]:
        """Sets the webhooks of all following runs: URLs, or `url` with `secret`, `format` and so on. Gives ids."""
        content = [{"url": one} if isinstance(one, str) else dict(one) for one in webhooks]
        return cast(WebhooksReply, await self.request("set_webhooks", content))["endpoints"]

    async def list_deliveries(self, status: Literal["waiting", "dead"] | None = None, *, page: int = 1) -> Deliveries:
        """What has not arrived at webhooks and servers."""
        return cast(Deliveries, await self.request("list_deliveries", {"status": status, "page": page}))

    async def redeliver(self, delivery_id: str, *, endpoint: str | None = None) -> None:
        """Sends a delivery again that was given up, to one endpoint or to all that it was for."""
        await self.request("redeliver", {"id": delivery_id, "endpoint": endpoint})

    async def create_schedule(self, schedule: CreateSchedule) -> ScheduleCreated:
        """Runs a message once, at a time given in advance, also when the scraper is gone by then."""
        return cast(ScheduleCreated, await self.request("create_schedule", dict(schedule)))

    async def list_schedules(self, *, expired: bool = False, page: int = 1) -> SchedulePage:
        """Schedules that are still to come, or those that were fired or missed."""
        return cast(SchedulePage, await self.request("list_schedules", {"expired": expired, "page": page}))

    async def get_schedule(self, schedule_id: str) -> Schedule:
        """One schedule, its secrets replaced."""
        return cast(Schedule, await self.request("get_schedule", {"schedule_id": schedule_id}))

    async def update_schedule(self, changes: UpdateSchedule) -> Schedule:
        """Replaces the members that are given in addition to `schedule_id`."""
        return cast(Schedule, await self.request("update_schedule", dict(changes)))

    async def delete_schedule(self, schedule_id: str) -> None:
        """Removes a schedule."""
        await self.request("delete_schedule", {"schedule_id": schedule_id})

    async def get_schedule_msg_ids(self, schedule_id: str) -> ScheduleMsgIds:
        """Ids of the jobs that a schedule made, for `job_status`."""
        return cast(ScheduleMsgIds, await self.request("get_schedule_msg_ids", {"schedule_id": schedule_id}))

    async def create_task(self, task: CreateTask) -> Task:
        """Runs a script or a job periodically."""
        return cast(Task, await self.request("create_task", dict(task)))

    async def list_tasks(self, wanted: ListTasks | None = None) -> TaskPage:
        """Tasks whose fields are as given, 50 to a page, the oldest first."""
        return cast(TaskPage, await self.request("list_tasks", dict(wanted or {})))

    async def get_task(self, task_id: str) -> Task:
        """One task, its secrets replaced."""
        return cast(Task, await self.request("get_task", {"id": task_id}))

    async def update_task(self, changes: UpdateTask) -> Task:
        """Replaces the members that are given in addition to `id`."""
        return cast(Task, await self.request("update_task", dict(changes)))

    async def delete_task(self, task_id: str) -> None:
        """Removes a task."""
        await self.request("delete_task", {"id": task_id})

    async def get_task_status(self, task_id: str) -> TaskStatus:
        """When a task runs next, how its last run ended, and how many runs there were."""
        return cast(TaskStatus, await self.request("get_task_status", {"id": task_id}))

    async def run_task(self, task_id: str, *, timeout: float | None = None) -> RunTaskReply:
        """Runs a task once, now."""
        return cast(RunTaskReply, await self.request("run_task", {"id": task_id}, timeout=timeout))

    async def start_task(self, task_id: str) -> TaskStatus:
        """Lets a task run at its times again."""
        return cast(TaskStatus, await self.request("start_task", {"id": task_id}))

    async def stop_task(self, task_id: str) -> TaskStatus:
        """Keeps a task from running until `start_task`."""
        return cast(TaskStatus, await self.request("stop_task", {"id": task_id}))

    async def test_task(
        self, script_text: str, config: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> RunTaskReply:
        """Runs a script once that is not kept."""
        content = {"script_text": script_text, "config": dict(config or {})}
        return cast(RunTaskReply, await self.request("test_task", content, timeout=timeout))

    async def list_task_runs(self, task_id: str, *, page: int = 1) -> TaskRunPage:
        """The last runs of a task, the latest first."""
        return cast(TaskRunPage, await self.request("list_task_runs", {"id": task_id, "page": page}))

    async def issue_token(self, token: IssueToken) -> str:
        """A visit token for jobs within a scope; needs the token that `sidecar token issuer` prints."""
        return cast(str, (await self.request("issue_token", dict(token)))["token"])
