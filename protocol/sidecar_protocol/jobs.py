"""Browser jobs: what `send_job` takes and what it answers."""

from typing import Annotated, Any, Final, Literal, Self

from sidecar_protocol.bounds import Excess
from sidecar_protocol.browser_context import BrowserContextOptions
from sidecar_protocol.durations import Duration
from sidecar_protocol.models import Bound, Either, Maybe, Model, Sparse, model_validator
from sidecar_protocol.typed_action import OneKey
from sidecar_protocol.webhooks import MAX_WEBHOOKS
from sidecar_protocol.wire_types import UNSET, BrowserName, Secret

Option = Literal["RECORD", "SCREENSHOT", "PDF", "READ_ALERTS", "HTML", "HAR", "TRACE"]
FailureOption = Literal["SCREENSHOT", "HTML", "TRACE"]
Timeout = Annotated[int, Duration(ge=1, le=3_600_000)]
"""Milliseconds, or text such as `"30s"`."""
NonEmpty = Annotated[str, Bound(min_length=1)]
WaitUntil = Literal["load", "domcontentloaded", "networkidle", "commit"]
"""The moment at which a page counts as loaded: for a step's page, and for each page that its actions open."""
MOST_STEPS: Final = 1_000
MOST_OPTIONS: Final = 20
MOST_ACTIONS: Final = 10_000
"""The number of actions of one job, in all steps together."""
MOST_FIELDS: Final = 10_000
"""The number of fields of one `extract`, and of each `fields` in it."""
MOST_COOKIES: Final = 3_000
"""About as many as a browser keeps."""
_WITH_UNIT = r"^\d+(\.\d+)?(px|in|cm|mm|pt|pc)?$"
Length = Annotated[Annotated[float, Bound(ge=0)] | Annotated[str, Bound(pattern=_WITH_UNIT)], Either("float", "str")]
"""Pixels, or a number with its CSS unit."""


class Cookie(Model):
    """A cookie set before the first step. Source: Tourist."""

    name: NonEmpty
    value: Secret
    domain: NonEmpty
    path: NonEmpty = "/"
    expires: Annotated[float, Bound(ge=-1)] | None = None
    """Unix time in seconds, or in milliseconds as JavaScript has it; the session's end where it is -1 or absent."""
    http_only: Annotated[bool, Bound(alias="httpOnly")] = False
    secure: bool = False
    same_site: Annotated[Literal["None", "Lax", "Strict"] | None, Bound(alias="sameSite")] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.same_site == "None" and not self.secure:
            raise ValueError("sameSite None needs secure")
        if self.expires is not None and self.expires <= 0 and self.expires != -1:
            raise ValueError("expires is Unix time in seconds, or -1 for the end of the session")
        return self


class Margin(Model):
    """Page margins: numbers of pixels, or CSS lengths with a unit."""

    top: Length = 0
    right: Length = 0
    bottom: Length = 0
    left: Length = 0


class Size(Model):
    """Page size; `format` goes before it."""

    width: Length | None = None
    height: Length | None = None


class PdfOptions(Model):
    """Options of the PDF, as in Tourist; every field has its default and limit."""

    media: Literal["screen", "print"] = "screen"
    format: Literal["Letter", "Legal", "Tabloid", "Ledger", "A0", "A1", "A2", "A3", "A4", "A5", "A6"] | None = None
    """A4 where neither this nor `size` is given."""
    landscape: bool = False
    background: bool = True
    margin: Margin = Margin()
    size: Size = Size()
    js: bool = True
    delay: Annotated[int, Duration(ge=0, le=30_000)] = 0
    """Milliseconds, or text such as `"2s"`, before rendering; ignored without `js`."""
    scale: Annotated[float, Bound(ge=0.1, le=2.0)] = 1.0


FieldType = Literal["text", "number", "date", "url", "table"]


class Field(Model):
    """One value, or a list of them, taken from the page."""

    selector: NonEmpty
    attribute: NonEmpty | None = None
    """The attribute to read instead of the text."""
    all: bool = False
    """A list of every match, in document order, instead of the first match."""
    fields: "Annotated[dict[str, Extracted], Bound(max_length=MOST_FIELDS)] | None" = None
    """An object for each match; selectors are relative to it."""
    type: FieldType = "text"
    """What becomes of the text: a number, a date in ISO 8601, an absolute URL, or the rows of a table."""
    required: bool = False
    """Whether the job fails if nothing matches, or the text is empty."""
    default: Maybe[Any] = UNSET
    """The value if nothing matches, or the text holds no value of the type."""
    decimal: Literal[".", ","] | None = None
    """Of a number: its decimal mark; a lone mark before three digits is an error without it."""
    order: Literal["dmy", "mdy"] | None = None
    """Of a date such as 01/02/2026: what comes first; an error without it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.attribute is not None and self.fields is not None:
            raise ValueError("attribute and fields exclude each other")
        if self.type != "text" and self.fields is not None:
            raise ValueError(f"type {self.type} and fields exclude each other")
        if self.type == "table" and self.attribute is not None:
            raise ValueError("type table and attribute exclude each other")
        if self.required and self.default is not UNSET:
            raise ValueError("required and default exclude each other")
        if self.decimal and self.type != "number":
            raise ValueError("decimal is for type number")
        if self.order and self.type != "date":
            raise ValueError("order is for type date")
        return self


Extracted = Annotated[str | Field, Either("str", "object")]
"""A selector alone, whose text is taken, or more of what is wanted."""


TypedAction = Annotated[dict[str, Any], OneKey()]
"""An object with one key, the Playwright method in snake_case; its value has the arguments, or is only the selector."""
Action = Annotated[NonEmpty | TypedAction, Either("str", "object")]
"""Text is JavaScript over `page` and `context`, with Playwright's own names."""


class Step(Model):
    """One page to visit, with its actions and extract."""

    url: NonEmpty
    name: str | None = None
    actions: Annotated[tuple[Action, ...], Bound(max_length=MOST_ACTIONS)] = ()
    extract: Annotated[dict[str, Extracted], Bound(max_length=MOST_FIELDS)] | None = None
    wait_until: WaitUntil = "load"
    timeout_ms: Timeout = 30_000
    """Milliseconds for the whole step: its page, its actions and its extract."""
    fail_on_status: bool | None = None
    """Whether an HTTP status of 400 or more fails the step; default the job's `fail_on_status`."""


class ForwardAs(Model):
    """The form in which a result is forwarded."""

    as_: Annotated[Literal["cv", "result"], Bound(alias="as")] = "result"


class SecretSource(Model):
    """A secret of the primary server, fetched when the job starts."""

    key: NonEmpty
    encryption_key: Secret

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.encryption_key:
            raise ValueError("encryption_key cannot be empty")
        return self


SecretName = Annotated[str, Bound(pattern="^[A-Za-z0-9_-]{1,100}$")]
"""The name of a secret in `{{name.field}}`."""


ProfileName = Annotated[str, Bound(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")]
"""Part of a file's name."""


class SendJob(Model):
    """Content of `send_job`."""

    steps: Annotated[tuple[Step, ...], Bound(min_length=1, max_length=MOST_STEPS)]
    name: str | None = None
    mode: Literal["sync", "async"] = "sync"
    """`async` answers at once, when the job is on disk; see `job_status`."""
    key: Annotated[str, Bound(min_length=1, max_length=200)] | None = None
    """Idempotency key in mode `async`: the same key is the same job, also after its end, while its result is kept."""
    retries: Annotated[int, Bound(ge=0, le=10)] = 0
    """Further attempts after a failure that is `retryable`, with growing pauses."""
    browser: BrowserName = "CHROMIUM"
    cookies: Annotated[tuple[Cookie, ...], Bound(max_length=MOST_COOKIES)] = ()
    options: Annotated[tuple[Option, ...], Bound(max_length=MOST_OPTIONS)] = ()
    pdf: PdfOptions = PdfOptions()
    context: BrowserContextOptions | None = None
    """The browser's identity and network; default a plain context."""
    profile: ProfileName | None = None
    """Cookies and storage are kept under this name; its jobs run one after the other in one living context."""
    secrets: Annotated[dict[SecretName, SecretSource], Bound(max_length=20)] | None = None
    """Name -> where the secret is; typed actions have its fields as `{{name.field}}`."""
    fail_on_status: bool = False
    """Whether an HTTP status of 400 or more fails the job, for steps that don't say themselves."""
    reference_number: NonEmpty | None = None
    """A cached one: nothing is done, status `skipped`; cached after success."""
    forward: Annotated[bool | ForwardAs, Either("bool", "object")] = False
    webhooks: Annotated[tuple[NonEmpty, ...], Bound(max_length=MAX_WEBHOOKS)] = ()
    """URLs that get updates of the run, in addition to the session's."""
    artifacts: Literal["inline", "files"] = "inline"
    on_failure: Annotated[tuple[FailureOption, ...], Bound(max_length=10)] | None = None
    """What a failure captures of its page for `error.artifacts`; SCREENSHOT and HTML where `artifacts` is `files`."""
    token: Secret | None = None
    """A visit token, needed where the sidecar has a signing secret."""
    timeout_ms: Timeout = 60_000
    """Milliseconds from when the job has a browser slot; waiting for one does not count."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(len(step.actions) for step in self.steps) > MOST_ACTIONS:
            raise Excess(f"more than {MOST_ACTIONS} actions together", "steps")
        return self


class StepResult(Sparse):
    """The result of one step."""

    name: str
    """The given name, or `step N`, counted from 1."""
    url: str
    """The final one."""
    status: int | None
    """HTTP status of the last document, whatever led to it; null for one that no server has sent."""
    title: str
    duration_ms: int
    values: tuple[Any, ...]
    """The values that the actions returned, in order."""
    console: tuple[str, ...]
    """The page's console output: the last 200 lines, each cut to 2,000 characters."""
    errors: tuple[str, ...]
    """Uncaught errors of the page."""


class Download(Sparse):
    """A file that an action fetched: base64 in `content`, or its `path` where `artifacts` is `files`."""

    name: str
    """The file name that the server or page suggests; not a path."""
    size: int
    """Size in bytes."""
    content: str | None = None
    path: str | None = None


class JobResult(Sparse):
    """The result of a job. Files are base64, or paths if `artifacts` is `files`."""

    steps: tuple[StepResult, ...]
    video: str | None = None
    """WebM of the whole job."""
    messages: tuple[str, ...] | None = None
    """The texts of the pages' alerts, in order; with READ_ALERTS."""
    har: str | None = None
    """JSON, HTTP Archive 1.2, secrets replaced."""
    trace: str | None = None
    """ZIP for Playwright's trace viewer, secrets replaced."""
    downloads: tuple[Download, ...] | None = None
    """The downloads in their order; null without any."""
    screenshot: str | None = None
    pdf: str | None = None
    html: str | None = None
    extract: dict[str, Any] | None = None


class JobReply(Sparse):
    """Content of the reply to `send_job`."""

    status: Literal["success", "skipped"]
    result: JobResult | None = None


class JobScheduled(Model):
    """Content of the reply to `send_job` with mode `async`."""

    id: str
    status: Literal["scheduled"] = "scheduled"
