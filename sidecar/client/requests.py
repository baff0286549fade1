"""What messages hold, as types. Made from the protocol's models; not edited by hand.

`python -m sidecar.client.generate` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict


class BrowserContextOptions(TypedDict):
    """Fields are named as Playwright's; what is absent is as the browser has it."""

    viewport: NotRequired[Viewport | None]
    user_agent: NotRequired[str | None]
    locale: NotRequired[str | None]
    timezone_id: NotRequired[str | None]
    proxy: NotRequired[Proxy | None]
    extra_http_headers: NotRequired[Mapping[str, str] | None]
    http_credentials: NotRequired[HttpCredentials | None]
    ignore_https_errors: NotRequired[bool]
    block: NotRequired[
        Sequence[
            Literal[
                "stylesheet",
                "image",
                "media",
                "font",
                "script",
                "texttrack",
                "xhr",
                "fetch",
                "eventsource",
                "websocket",
                "manifest",
                "other",
            ]
        ]
    ]
    java_script_enabled: NotRequired[bool]
    color_scheme: NotRequired[Literal["light", "dark", "no-preference"] | None]
    device_scale_factor: NotRequired[float | None]
    is_mobile: NotRequired[bool]
    has_touch: NotRequired[bool]
    geolocation: NotRequired[Geolocation | None]
    permissions: NotRequired[
        Sequence[
            Literal[
                "geolocation",
                "notifications",
                "clipboard-read",
                "clipboard-write",
                "camera",
                "microphone",
                "midi",
                "background-sync",
                "accelerometer",
                "gyroscope",
                "magnetometer",
                "storage-access",
            ]
        ]
    ]


class Cancel(TypedDict):
    """Stops a request that is still in flight."""

    id: int | str


class Cookie(TypedDict):
    """A cookie set before the first step. Source: Tourist."""

    name: str
    value: str
    domain: str
    path: NotRequired[str]
    expires: NotRequired[float | None]
    httpOnly: NotRequired[bool]
    secure: NotRequired[bool]
    sameSite: NotRequired[Literal["None", "Lax", "Strict"] | None]


class CreateSchedule(TypedDict):
    """Content of `create_schedule`."""

    name: str
    enabled: bool
    trigger: Trigger
    push: Push


class CreateTask(TypedDict):
    """Content of `create_task`: `script` or `job`, one of them, and `interval` or `cron`, one of them.

    With the name of a script and neither of the latter, its configuration file has what is not given here.
    """

    id: NotRequired[str | None]
    script: NotRequired[str | None]
    job: NotRequired[Mapping[str, Any] | None]
    running: NotRequired[bool]
    config: NotRequired[Mapping[str, Any]]
    init: NotRequired[str | None]
    end: NotRequired[str | None]
    interval: NotRequired[int | str | None]
    cron: NotRequired[str | None]
    zone: NotRequired[str | None]


class Credentials(TypedDict):
    """One RT-CV server and the key to it. Source: RT-CV scraper client v1."""

    server_location: NotRequired[str]
    api_key_id: NotRequired[str]
    api_key: NotRequired[str]
    primary: NotRequired[bool]
    name: NotRequired[str]
    results_path: NotRequired[str]


class Field(TypedDict):
    """One value, or a list of them, taken from the page."""

    selector: str
    attribute: NotRequired[str | None]
    all: NotRequired[bool]
    fields: NotRequired[Mapping[str, str | Field] | None]
    type: NotRequired[Literal["text", "number", "date", "url", "table"]]
    required: NotRequired[bool]
    default: NotRequired[Any]
    decimal: NotRequired[Literal[".", ","] | None]
    order: NotRequired[Literal["dmy", "mdy"] | None]


ForwardAs = TypedDict("ForwardAs", {"as": NotRequired[Literal["cv", "result"]]})
"""The form in which a result is forwarded."""


class Geolocation(TypedDict):
    """The device's location, which pages see if the permission `geolocation` is granted."""

    latitude: float
    longitude: float
    accuracy: NotRequired[float]


class Hello(TypedDict):
    """The parent's options in addition to v1's behaviour."""

    notifications: NotRequired[bool]
    zone: NotRequired[str]


class HttpCredentials(TypedDict):
    """The answer to a server that asks for HTTP authentication."""

    username: str
    password: str
    origin: NotRequired[str | None]


class IssueToken(TypedDict):
    """Content of `issue_token`."""

    scope: str
    issuer_token: str
    validity: NotRequired[int | str]
    strict: NotRequired[bool]
    strict_resources: NotRequired[bool]


class JobId(TypedDict):
    """Content of `job_status` and `cancel_job`."""

    id: str


class ListDeliveries(TypedDict):
    """Content of `list_deliveries`."""

    status: NotRequired[Literal["waiting", "dead"] | None]
    page: NotRequired[int]


class ListJobs(TypedDict):
    """Content of `list_jobs`."""

    status: NotRequired[Literal["pending", "success", "failed", "cancelled"] | None]
    page: NotRequired[int]


class ListSchedules(TypedDict):
    """Content of `list_schedules`."""

    page: NotRequired[int]
    expired: NotRequired[bool]


class ListTaskRuns(TypedDict):
    """Content of `list_task_runs`."""

    id: str
    page: NotRequired[int]


class ListTasks(TypedDict):
    """Content of `list_tasks`: tasks whose fields are as given; of objects, the members that are given."""

    id: NotRequired[str | None]
    script: NotRequired[str | None]
    job: NotRequired[Mapping[str, Any] | None]
    running: NotRequired[bool | None]
    config: NotRequired[Mapping[str, Any] | None]
    init: NotRequired[str | None]
    end: NotRequired[str | None]
    interval: NotRequired[int | str | None]
    cron: NotRequired[str | None]
    zone: NotRequired[str | None]
    page: NotRequired[int]


class Margin(TypedDict):
    """Page margins: numbers of pixels, or CSS lengths with a unit."""

    top: NotRequired[float | str]
    right: NotRequired[float | str]
    bottom: NotRequired[float | str]
    left: NotRequired[float | str]


class MockLogin(TypedDict):
    """Mock mode as v1.0 had it: `set_credentials` with a `mock` in the place of a server."""

    mock: MockOptions


class MockOptions(TypedDict):
    """Answers of mock mode, where nothing is sent and nothing is kept."""

    secrets: NotRequired[Mapping[str, Any] | None]
    cv_matches: NotRequired[bool]


class PdfOptions(TypedDict):
    """Options of the PDF, as in Tourist; every field has its default and limit."""

    media: NotRequired[Literal["screen", "print"]]
    format: NotRequired[
        Literal["Letter", "Legal", "Tabloid", "Ledger", "A0", "A1", "A2", "A3", "A4", "A5", "A6"] | None
    ]
    landscape: NotRequired[bool]
    background: NotRequired[bool]
    margin: NotRequired[Margin]
    size: NotRequired[Size]
    js: NotRequired[bool]
    delay: NotRequired[int | str]
    scale: NotRequired[float]


class Proxy(TypedDict):
    """The proxy that all requests of the job go through."""

    server: str
    bypass: NotRequired[str | None]
    username: NotRequired[str | None]
    password: NotRequired[str | None]


class Push(TypedDict):
    """A message that can run without a parent that waits for the reply."""

    type: str
    content: NotRequired[Any]


class Redeliver(TypedDict):
    """Content of `redeliver`."""

    id: str
    endpoint: NotRequired[str | None]


class ScheduleId(TypedDict):
    """Content of `get_schedule`, `delete_schedule` and `get_schedule_msg_ids`."""

    schedule_id: str


class SecretRequest(TypedDict):
    """Names a secret. Source: RT-CV scraper client v1."""

    key: NotRequired[str]
    encryption_key: NotRequired[str]


class SecretSource(TypedDict):
    """A secret of the primary server, fetched when the job starts."""

    key: str
    encryption_key: str


class SendFullCv(TypedDict):
    """A CV whose document is a PDF. Source: later versions of the RT-CV scraper client."""

    metadata: Any
    cv: str
    content_type: NotRequired[str]
    filename: NotRequired[str]


class SendJob(TypedDict):
    """Content of `send_job`."""

    steps: Sequence[Step]
    name: NotRequired[str | None]
    mode: NotRequired[Literal["sync", "async"]]
    key: NotRequired[str | None]
    retries: NotRequired[int]
    browser: NotRequired[Literal["CHROMIUM", "FIREFOX", "WEBKIT"]]
    cookies: NotRequired[Sequence[Cookie]]
    options: NotRequired[Sequence[Literal["RECORD", "SCREENSHOT", "PDF", "READ_ALERTS", "HTML", "HAR", "TRACE"]]]
    pdf: NotRequired[PdfOptions]
    context: NotRequired[BrowserContextOptions | None]
    profile: NotRequired[str | None]
    secrets: NotRequired[Mapping[str, SecretSource] | None]
    fail_on_status: NotRequired[bool]
    reference_number: NotRequired[str | None]
    forward: NotRequired[bool | ForwardAs]
    webhooks: NotRequired[Sequence[str]]
    artifacts: NotRequired[Literal["inline", "files"]]
    on_failure: NotRequired[Sequence[Literal["SCREENSHOT", "HTML", "TRACE"]] | None]
    token: NotRequired[str | None]
    timeout_ms: NotRequired[int | str]


class Single(TypedDict):
    """A single point in time."""

    time: str
    zone_type: int
    zone: NotRequired[str | None]


class Size(TypedDict):
    """Page size; `format` goes before it."""

    width: NotRequired[float | str | None]
    height: NotRequired[float | str | None]


class Step(TypedDict):
    """One page to visit, with its actions and extract."""

    url: str
    name: NotRequired[str | None]
    actions: NotRequired[Sequence[str | Mapping[str, Any]]]
    extract: NotRequired[Mapping[str, str | Field] | None]
    wait_until: NotRequired[Literal["load", "domcontentloaded", "networkidle", "commit"]]
    timeout_ms: NotRequired[int | str]
    fail_on_status: NotRequired[bool | None]


class TaskRef(TypedDict):
    """Content of `get_task`, `delete_task`, `get_task_status`, `run_task`, `start_task` and `stop_task`."""

    id: str


class TestTask(TypedDict):
    """Content of `test_task`: a script that is run once and not kept."""

    script_text: str
    config: NotRequired[Mapping[str, Any]]


class Trigger(TypedDict):
    """The trigger of a schedule."""

    single: Single


class UpdateSchedule(TypedDict):
    """Content of `update_schedule`: what is given is replaced as a whole."""

    schedule_id: str
    name: NotRequired[str]
    enabled: NotRequired[bool]
    trigger: NotRequired[Trigger]
    push: NotRequired[Push]


class UpdateTask(TypedDict):
    """Content of `update_task`: what is given is replaced as a whole.

    A script and a job take each other's place, so do `interval` and `cron`.
    """

    id: str
    script: NotRequired[str]
    job: NotRequired[Mapping[str, Any]]
    running: NotRequired[bool]
    config: NotRequired[Mapping[str, Any]]
    init: NotRequired[str]
    end: NotRequired[str | None]
    interval: NotRequired[int | str]
    cron: NotRequired[str]
    zone: NotRequired[str]


class Viewport(TypedDict):
    """The window's inner size."""

    width: int
    height: int


class Webhook(TypedDict):
    """An endpoint that gets updates of every run."""

    url: str
    secret: NotRequired[str | Sequence[str] | None]
    format: NotRequired[Literal["factotum", "factotum-0.6", "cloudevents"]]
    max_stdouterr_size: NotRequired[int | None]
