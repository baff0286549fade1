"""Tasks as they are stored and shown."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final

from sidecar_protocol.codec import NotJson, plain
from sidecar_protocol.decoding import decode_stored
from sidecar_protocol.durations import format_milliseconds
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import FieldError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.models import Sparse
from sidecar_protocol.tasks import LONGEST_CRON, CreateTask, ListTasks, Task, UpdateTask
from sidecar_protocol.wire_types import UNSET

from sidecar.encryption import Encryptor
from sidecar.errors import CorruptRecord, DecryptionKeyMissing, ErrorCollector, InvalidContent, mistakes_of
from sidecar.jobs.job_redaction import redactor_for
from sidecar.jobs.payloads import contains_secrets
from sidecar.tasks.interval import MAX_MS, parse_time_ms
from sidecar.tasks.script_sources import ScriptSources
from sidecar.tasks.task_templates import Plan, fill_config, prepare_job
from sidecar.tasks.timetable import HORIZON_YEARS, NO_TIMES, UTC_NAME, Timetable, timetable
from sidecar.templates import MAX_FILLED_BYTES
from sidecar.wall_clock import load_zone, rfc3339

_SELDOM_SHORTER: Final = 60_000
"""Milliseconds; a shorter interval may have been meant in seconds."""
_TWO_ROWS: Final = "interval: a task has either an interval or a cron"
_ZONE_WITHOUT_CRON: Final = "zone: only a cron pattern has a time zone"


class TaskRecord(Sparse):
    """One task; times and the interval in milliseconds."""

    script: str | None = None
    job: dict[str, Any] | None = None
    """The job as given, if it contains no secrets."""
    sealed_job: str | None = None
    owner: str = ""
    """The process that encrypted the job."""
    shown_job: dict[str, Any] | None = None
    """The redacted job, if it differs."""
    config: dict[str, Any]
    running: bool
    init: int
    end: int | None = None
    interval: int | None = None
    cron: str | None = None
    """The pattern instead of `interval`."""
    zone: str | None = None
    """Of `cron`."""
    created: int
    webhooks: str = ""
    """The webhooks at its creation, packed."""
    scope: str = ""
    """The login at its creation."""
    fired: int | None = None
    """The last of its times that was submitted."""
    run: str = ""
    """The job of that time."""
    skipped: int = 0
    coalesced: int = 0

    @property
    def times(self) -> tuple[int, int | None, str | None, str | None]:
        """The definition of its times."""
        return self.init, self.interval, self.cron, self.zone

    @property
    def timetable(self) -> Timetable:
        """The times of the task."""
        return timetable(*self.times)

    def next(self, after: int) -> int | None:
        """The next time for the dispatcher: a run, or after its end its deletion."""
        time = self.timetable.next(after) if self.running else None
        if self.end is not None and (time is None or time > self.end):
            return self.end + 1
        return time

    def next_run(self, after: int) -> int | None:
        """The next run."""
        time = self.next(after)
        return time if self.running and (self.end is None or time != self.end + 1) else None


def decode(record: bytes) -> TaskRecord:
    """Decodes a record. Raises CorruptRecord."""
    try:
        task = decode_stored(TaskRecord, record)
        timetable(*task.times)  # a newer version may support more patterns, another machine more zones
    except (NotJson, InvalidContent):
        raise CorruptRecord("the stored task can't be read by this version") from None
    return task


class TaskRecords:
    """Builds records from messages, and messages from records."""

    def __init__(
        self,
        encryptor: Encryptor,
        scripts: ScriptSources,
        process: str,
        plan: Plan,
        check_token: Callable[[SendJob], object],
        max_filled_bytes: int = MAX_FILLED_BYTES,
    ) -> None:
        """`process` is this process's id in the store; `max_filled_bytes` limits the text of a filled job.

        `check_token` raises Unauthorized and Forbidden for a job with an invalid visit token.
        """
        self._encryptor = encryptor
        self._scripts = scripts
        self._plan = plan
        self._check_token = check_token
        self._process = process
        self._max_filled_bytes = max_filled_bytes

    def make(self, content: CreateTask, now: int, webhooks: str, scope: str) -> TaskRecord:
        """A new record. Raises WireError, Unauthorized, Forbidden."""
        _check_members(content)
        record = TaskRecord(
            config=content.config,
            running=content.running,
            init=now if content.init is None else parse_time_ms(content.init, "init"),
            end=None if content.end is None else parse_time_ms(content.end, "end"),
            interval=content.interval,
            cron=content.cron,
            zone=content.zone or (content.cron and UTC_NAME),
            created=now,
            webhooks=webhooks,
            scope=scope,
        )
        if content.script is not None:
            record = self._with_script(record, content.script)
        if content.job is not None:
            record = self._with_job(record, content.job)
        _check_times(record, now)
        _check_comes(record, now)
        return record

    def change(self, record: TaskRecord, content: UpdateTask, now: int) -> TaskRecord:
        """The record with these changes. Raises WireError, DecryptionKeyMissing, Unauthorized, Forbidden."""
        if content.script is not UNSET and content.job is not UNSET:
            raise InvalidContent("script: a task has either a script or a job", "script")
        changed = record.replace(**_changed_times(record, content), **_given(content, "running", "config"))
        if content.script is not UNSET:
            changed = self._with_script(changed, content.script)
        elif content.job is not UNSET:
            changed = self._with_job(changed, content.job)
        elif content.config is not UNSET and changed.script is None:
            prepare_job(self._decrypt_job(changed), changed.config, self._plan, self._max_filled_bytes)
        if content.init is not UNSET or content.end is not UNSET:
            _check_times(changed, now)
        if changed.times != record.times:
            _check_comes(changed, now)
        return changed

    def mistakes(self, content: Mapping[str, Any], config: Any, now: int, *, is_new: bool) -> list[FieldError]:
        """The mistakes of the parts of a message, as plain values, that have the right shape.

        `config` is that of the message, or else the task's.
        """
        given = {name for name, value in content.items() if value is not None}
        if is_new and "script" in given and not given & {"interval", "cron"}:
            given.add("cron")  # its configuration file may have one
        found: list[FieldError] = []
        for error in _member_errors(given) if is_new else _update_errors(given):
            found += error.detail.fields or ()
        found += _time_mistakes(content, now)
        if isinstance(script := content.get("script"), str) and script:
            found += mistakes_of(partial(self._scripts.check, script))
        if isinstance(job := content.get("job"), dict) and isinstance(config, dict):
            found += mistakes_of(partial(prepare_job, job, config, self._plan, self._max_filled_bytes))
        return found

    def job(self, record: TaskRecord) -> bytes:
        """The job's content for one run, filled in; the run validates it. Raises DecryptionKeyMissing."""
        return encode(fill_config(self._decrypt_job(record), record.config, self._max_filled_bytes))

    def is_ours(self, record: TaskRecord) -> bool:
        """Whether this process can decrypt the record."""
        if record.sealed_job is None:
            return True
        try:
            self._encryptor.decrypt(record.sealed_job)
        except DecryptionKeyMissing:
            return False
        return True

    def _decrypt_job(self, record: TaskRecord) -> dict[str, Any]:
        if record.sealed_job is None:
            return record.job or {}
        job: dict[str, Any] = plain(self._encryptor.decrypt(record.sealed_job))
        return job

    def _with_script(self, record: TaskRecord, script: str) -> TaskRecord:
        self._scripts.check(script)
        return record.replace(script=script, job=None, sealed_job=None, shown_job=None)

    def _with_job(self, record: TaskRecord, job: Mapping[str, Any]) -> TaskRecord:
        filled, steps = prepare_job(job, record.config, self._plan, self._max_filled_bytes)
        self._check_token(filled)
        secret = self._encryptor.persistent or contains_secrets(filled, steps)
        redacted = _redacted_job(job, filled)
        return record.replace(
            script=None,
            job=None if secret else dict(job),
            sealed_job=self._encryptor.encrypt(encode(job).decode()) if secret else None,
            owner=self._process if secret else "",
            shown_job=redacted if secret or redacted != job else None,
        )


def interval_warnings(interval: object) -> tuple[str, ...]:
    """What is to be said of an interval that a message gives: below a minute, seconds may have been meant."""
    if not isinstance(interval, int) or interval >= _SELDOM_SHORTER:
        return ()
    said = (
        f"interval is in milliseconds: {interval} is {format_milliseconds(interval)}, so the task runs more than once"
    )
    return (f'{said} a minute; text names its unit, as in "90s" or "1h"',)


def to_task(task_id: str, record: TaskRecord, warnings: tuple[str, ...] = ()) -> Task:
    """The task in the form of a reply."""
    return Task(
        id=task_id,
        script=record.script,
        job=record.job if record.shown_job is None else record.shown_job,
        running=record.running,
        config=record.config,
        init=format_ms(record.init),
        end=None if record.end is None else format_ms(record.end),
        interval=record.interval,
        every=None if record.interval is None else format_milliseconds(record.interval),
        cron=record.cron,
        zone=record.zone,
        created=format_ms(record.created),
        warnings=warnings,
    )


def matches(task: Task, wanted: ListTasks) -> bool:
    """Whether a task has these fields. Raises InvalidContent for an invalid time."""
    for name in ("init", "end"):
        moment = getattr(wanted, name)
        if moment is not None and getattr(task, name) != format_ms(parse_time_ms(moment, name)):
            return False
    plain = ("id", "script", "running", "interval", "cron", "zone")
    same = all(getattr(wanted, name) in (None, getattr(task, name)) for name in plain)
    return same and _contains(task.config, wanted.config or {}) and _contains(task.job, wanted.job or task.job)


def format_ms(moment: int) -> str:
    """Milliseconds of Unix time as RFC 3339 in UTC."""
    return rfc3339(moment / 1000)


def _contains(given: Any, wanted: Any) -> bool:
    """Whether an object has these members; other values have to be equal."""
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return all(name in given and _contains(given[name], value) for name, value in wanted.items())
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(_contains, given, wanted))
    return isinstance(given, bool) == isinstance(wanted, bool) and bool(given == wanted)


def _check_times(record: TaskRecord, now: int) -> None:
    if not 0 <= record.init <= MAX_MS - (record.interval or 0):
        raise InvalidContent("init: this time is out of range", "init")
    if record.end is None:
        return
    if record.end <= now:
        raise InvalidContent("end: this time has passed", "end")
    if record.end < record.init:
        raise InvalidContent("end: this is before init", "end")


def _check_members(content: CreateTask) -> None:
    """Checks the combination of fields. Raises InvalidContent, which names all missing and all excluded ones."""
    errors = ErrorCollector()
    for error in _member_errors({name for name, value in content.wire_members().items() if value is not None}):
        errors.add(error)
    errors.raise_if_any()


def _member_errors(given: Collection[str]) -> Iterator[InvalidContent]:
    """The mistakes in which members a new task has."""
    if ("script" in given) == ("job" in given):
        yield InvalidContent("script: a task needs either a script or a job", "script")
    if "interval" not in given and "cron" not in given:
        yield InvalidContent(NO_TIMES, "interval")
    if "interval" in given and "cron" in given:
        yield InvalidContent(_TWO_ROWS, "interval")
    if "zone" in given and "cron" not in given:
        yield InvalidContent(_ZONE_WITHOUT_CRON, "zone")


def _update_errors(given: Collection[str]) -> Iterator[InvalidContent]:
    if "script" in given and "job" in given:
        yield InvalidContent("script: a task has either a script or a job", "script")
    if "interval" in given and "cron" in given:
        yield InvalidContent(_TWO_ROWS, "interval")


def _time_mistakes(content: Mapping[str, Any], now: int) -> Iterator[FieldError]:
    """Those of each time by itself, and if there are none, those of all together."""
    given = ((name, content.get(name)) for name in ("init", "end", "cron", "zone"))
    texts = {name: value for name, value in given if isinstance(value, str) and 0 < len(value) <= LONGEST_CRON}
    zone, cron = texts.get("zone"), texts.get("cron")
    checks: list[Callable[[], object]] = [
        partial(parse_time_ms, texts[name], name) for name in ("init", "end") if name in texts
    ]
    checks += [partial(load_zone, zone, "zone")] if zone else []
    checks += [partial(timetable, 0, None, cron, None)] if cron else []
    found = [one for check in checks for one in mistakes_of(check)]
    yield from found
    if found:
        return
    init, end = (parse_time_ms(texts[name], name) if name in texts else None for name in ("init", "end"))
    record = TaskRecord(
        config={}, running=True, created=now, init=now if init is None else init, end=end, cron=cron, zone=zone
    )
    yield from mistakes_of(partial(_check_times, record, now))
    if cron:
        yield from mistakes_of(partial(_check_comes, record, now))


def _given(content: UpdateTask, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(content, name)) is not UNSET}


def _changed_times(record: TaskRecord, content: UpdateTask) -> dict[str, Any]:
    """The times of a task after an update. Raises InvalidContent."""
    changes = _changed_row(record, content)
    if content.init is not UNSET:
        changes["init"] = parse_time_ms(content.init, "init")
    if content.end is not UNSET:
        changes["end"] = None if content.end is None else parse_time_ms(content.end, "end")
    return changes


def _changed_row(record: TaskRecord, content: UpdateTask) -> dict[str, Any]:
    """Interval, cron and zone of a task after an update. Raises InvalidContent."""
    if content.interval is not UNSET and content.cron is not UNSET:
        raise InvalidContent(_TWO_ROWS, "interval")
    cron = record.cron if content.cron is UNSET else content.cron
    if content.interval is not UNSET or cron is None:
        if content.zone is not UNSET:
            raise InvalidContent(_ZONE_WITHOUT_CRON, "zone")
        return {} if content.interval is UNSET else {"interval": content.interval, "cron": None, "zone": None}
    zone = (record.zone or UTC_NAME) if content.zone is UNSET else content.zone
    return {"interval": None, "cron": cron, "zone": zone}


def _check_comes(record: TaskRecord, now: int) -> None:
    """Raises InvalidContent for a task without times, an invalid pattern or zone, and a pattern without any time."""
    table = record.timetable
    if record.cron is None:
        return
    first = table.next(now - 1)
    if first is None:
        raise InvalidContent(f"cron: never comes: it has no time in the next {HORIZON_YEARS} years", "cron")
    if record.end is not None and first > record.end:
        raise InvalidContent("cron: never comes: its first time is after end", "cron")


def _redacted_job(job: Mapping[str, Any], filled: SendJob) -> dict[str, Any]:
    """The job as given, with its secrets and typed text redacted."""
    line = redactor_for(filled).redact_request(encode({"type": "send_job", "content": job}))
    redacted: dict[str, Any] = plain(line)["content"] if line else {}
    return redacted
