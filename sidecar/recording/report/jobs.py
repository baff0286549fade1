"""Browser jobs of a recorded session: their steps, their network, and the requests that they belong to."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.recording.job_artifacts import NAME
from sidecar.recording.job_recordings import JOB, picture_name
from sidecar.recording.page_recordings import INDEX
from sidecar.recording.recording_folder import JOBS, PAGES
from sidecar.recording.report.fields import abridge, mapping, number, sequence, shorten, text, unix_time
from sidecar.recording.report.messages import JobRequest
from sidecar.recording.report.readable_lines import Unreadable, read_lines, read_object

MAX_JOBS: Final = 600
MAX_FILM: Final = 8 << 20
"""Bytes of a job's notes."""
MAX_HAR: Final = 64 << 20
MAX_NETWORK: Final = 120
"""Requests of one job that are shown."""
MAX_ALL_NETWORK: Final = 4_000
MAX_PICTURES: Final = 1_000
MAX_STEPS: Final = 60
MAX_ACTIONS: Final = 60
MAX_LINES: Final = 40
MAX_ARTIFACTS: Final = 100
_CLOCKS_DIFFER: Final = 1.0
"""Seconds by which a job may seem to begin before its request."""
_TYPES: Final = (
    ("html", "document"),
    ("javascript", "script"),
    ("css", "style"),
    ("json", "data"),
    ("image/", "image"),
    ("font", "font"),
)


class RecordedJobs:
    """The jobs of a recording, and the requests that no recorded job belongs to."""

    def __init__(self, folder: Path, unreadable: Unreadable) -> None:
        self._folder = folder
        self._unreadable = unreadable
        self.left_out = 0
        """Jobs that are not shown."""
        self._network_left = MAX_ALL_NETWORK

    def read(self, requests: Iterable[JobRequest]) -> list[dict[str, Any]]:
        """All of them by their beginning, each with the number of its request if it has one."""
        index = self._index()
        films = list(self._films())
        by_key: dict[str, list[dict[str, Any]]] = {}
        for film in films:
            by_key.setdefault(film["key"], []).append(film)
        jobs = [self._with_film(request, by_key.get(request.key, [])) for request in requests]
        jobs += [_film_job(film) for film in films if not film["taken"]]
        jobs.sort(key=lambda job: job["at"] or 0.0)
        self.left_out += max(0, len(jobs) - MAX_JOBS)
        jobs = sorted(jobs, key=lambda job: job["ok"] is not False)[:MAX_JOBS]  # failed ones are kept
        jobs.sort(key=lambda job: job["at"] or 0.0)
        for place, job in enumerate(jobs, 1):
            job["n"] = place
            job["network"] = self._network(job, index)
            for name in ("key", "seed"):
                del job[name]
        return jobs

    def _films(self) -> Iterator[dict[str, Any]]:
        try:
            folders = sorted(one.name for one in (self._folder / JOBS).iterdir() if one.name.isdecimal())
        except OSError:
            return
        self.left_out += max(0, len(folders) - MAX_JOBS)
        for name in folders[-MAX_JOBS:]:
            film = read_object(self._folder / JOBS / name / JOB, self._unreadable, MAX_FILM)
            if film is not None:
                yield _film(name, film)

    def _index(self) -> list[dict[str, Any]]:
        """The HARs that no job has taken yet."""
        return [
            {"key": str(line.get("job")), "seed": line.get("seed"), "began": number(line.get("began")), "har": har}
            for line in read_lines(self._folder / PAGES / INDEX, self._unreadable)
            if (har := text(line.get("har"), 80)) and "/" not in har
        ][-MAX_JOBS:]

    def _with_film(self, request: JobRequest, films: list[dict[str, Any]]) -> dict[str, Any]:
        """A request with the notes of its job: of those that began after it, the one that ended nearest its reply."""
        fitting = [one for one in films if not one["taken"] and one["began"] >= request.began - _CLOCKS_DIFFER]
        if request.is_async or request.ended is None:
            fitting = fitting[:1]
        else:
            ended = request.ended
            fitting = [one for one in fitting if one["began"] <= ended + _CLOCKS_DIFFER]
            fitting.sort(key=lambda one: abs(one["began"] + one["seconds"] - ended))
        job = _film_job(fitting[0]) if fitting else _unfilmed_job(request)
        if fitting:
            fitting[0]["taken"] = True
        job |= {"seq": request.seq, "name": request.name or job["name"], "async": request.is_async}
        _add_outcome(job, request)
        return job

    def _network(self, job: dict[str, Any], index: list[dict[str, Any]]) -> list[dict[str, Any]]:
        by_seed = [one for one in index if job["seed"] is not None and one["seed"] == job["seed"]]
        fitting = by_seed or [
            one
            for one in index
            if job["seed"] is None and one["key"] == job["key"] and one["began"] >= (job["at"] or 0.0) - _CLOCKS_DIFFER
        ]
        if not fitting:
            return []
        index.remove(fitting[0])
        har = read_object(self._folder / PAGES / fitting[0]["har"], self._unreadable, MAX_HAR)
        entries = sequence(mapping(mapping(har).get("log")).get("entries"))
        job["network_count"] = len(entries)
        began = job["at"] or fitting[0]["began"]
        shown = [_entry(mapping(one), began) for one in entries[: min(MAX_NETWORK, self._network_left)]]
        self._network_left -= len(shown)
        return shown


def _film(name: str, film: dict[str, Any]) -> dict[str, Any]:
    return {
        "folder": name,
        "key": str(film.get("job")),
        "seed": film.get("seed"),
        "began": number(film.get("began")),
        "seconds": number(film.get("seconds")),
        "film": film,
        "taken": False,
    }


def _film_job(one: dict[str, Any]) -> dict[str, Any]:
    film, failure = one["film"], mapping(one["film"].get("failure"))
    steps = [_step(mapping(step)) for step in sequence(film.get("steps"))[:MAX_STEPS]]
    left_out = mapping(film.get("left_out"))
    return {
        "key": one["key"],
        "seed": one["seed"],
        "folder": one["folder"],
        "seq": None,
        "async": False,
        "name": text(film.get("name"), 120) or (steps[0]["name"] if steps else "job"),
        "browser": _browser(one["key"]),
        "at": one["began"],
        "ms": round(one["seconds"] * 1000),
        "ok": None if film.get("running") is True and not failure else not failure,
        "steps": steps,
        "failure": _failure(failure) if failure else None,
        "left_out": {name: int(number(left_out.get(name))) for name in ("late", "secret")},
        "extract": None,
        "artifacts": [_artifact(mapping(one)) for one in sequence(film.get("artifacts"))[:MAX_ARTIFACTS]],
    }


def _unfilmed_job(request: JobRequest) -> dict[str, Any]:
    """A job whose steps were not recorded: it never had a page, or an older version recorded it."""
    result = mapping(request.result)
    steps = [_result_step(mapping(step)) for step in sequence(result.get("steps"))[:MAX_STEPS]]
    for before, step in pairwise(steps):
        step["at"] = before["at"] + before["ms"]
    return {
        "key": request.key,
        "seed": None,
        "folder": None,
        "name": request.name,
        "browser": _browser(request.key),
        "at": request.began,
        "ms": round((request.ended - request.began) * 1000) if request.ended else None,
        "ok": None,
        "steps": steps,
        "failure": None,
        "left_out": {},
        "extract": None,
        "artifacts": [],
    }


def _add_outcome(job: dict[str, Any], request: JobRequest) -> None:
    """What the reply, or the last status that was asked for, says."""
    job["status"] = request.status
    if request.error:
        given = _failure({**request.error, "step": None})
        known: dict[str, Any] = job["failure"] or {}
        merged = {**given, **{name: one for name, one in known.items() if one not in (None, "")}}
        merged["message"] = given["message"] or known.get("message", "")
        job |= {"failure": merged, "ok": False}
    elif request.result is not None:
        job["ok"] = True
        job["extract"] = abridge(request.result.get("extract"), most=1_000)
    elif request.status in ("skipped", "cancelled"):
        job["ok"] = True
    if request.result:
        _name_downloads(job["artifacts"], sequence(request.result.get("downloads")))
        values = [sequence(mapping(step).get("values")) for step in sequence(request.result.get("steps"))]
        for step, of_step in zip(job["steps"], values, strict=False):
            for action, value in zip(step["actions"], of_step, strict=False):
                action["value"] = abridge(value, most=200)


def _artifact(one: dict[str, Any]) -> dict[str, Any]:
    file = text(one.get("file"), 40)
    return {
        "kind": text(one.get("kind"), 20),
        "name": text(one.get("name"), 120),
        "size": max(0, int(number(one.get("size")))),
        "file": file if NAME.fullmatch(file) else None,
    }


def _name_downloads(artifacts: list[dict[str, Any]], downloads: Sequence[Any]) -> None:
    """Gives downloads the names that their servers gave them."""
    names = {
        text(one.get("path"), 4_000).rpartition("/")[2]: text(one.get("name"), 120) for one in map(mapping, downloads)
    }
    for artifact in artifacts:
        artifact["name"] = names.get(artifact["name"], artifact["name"])


def _step(step: dict[str, Any]) -> dict[str, Any]:
    actions = [_action(mapping(one)) for one in sequence(step.get("actions"))]
    return {
        **_result_step(step),
        "actions": actions[:MAX_ACTIONS],
        "picture": _picture(step),
        "failed": bool(step.get("failed")),
    }


def _result_step(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": text(step.get("name"), 120),
        "url": text(step.get("url"), 500),
        "title": text(step.get("title"), 200),
        "status": int(number(step.get("status"))) or None,
        "at": number(step.get("at")),
        "ms": number(step.get("ms") or step.get("duration_ms")),
        "console": [text(line, 500) for line in sequence(step.get("console"))[-MAX_LINES:]],
        "errors": [text(line, 500) for line in sequence(step.get("errors"))[-MAX_LINES:]],
        "actions": [],
        "picture": None,
        "failed": False,
    }


def _action(action: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": text(action.get("label"), 200),
        "at": number(action.get("at")),
        "ms": number(action.get("ms")),
        "picture": _picture(action),
    }


def _failure(failure: dict[str, Any]) -> dict[str, Any]:
    target = mapping(failure.get("target"))
    box, viewport = mapping(target.get("box")), mapping(target.get("viewport"))
    step = failure.get("step")
    return {
        "code": text(failure.get("code"), 60),
        "message": text(failure.get("message"), 1_000),
        "at": number(failure.get("at")),
        "url": text(failure.get("url"), 500),
        "action": text(failure.get("action"), 200),
        "step": step if isinstance(step, int) and not isinstance(step, bool) and step >= 0 else None,
        "picture": _picture(failure),
        "target": {
            "selector": text(target.get("selector"), 300),
            "found": int(number(target["found"])) if "found" in target else None,
            "box": {name: number(box.get(name)) for name in ("x", "y", "width", "height")} if box else None,
            "viewport": {name: number(viewport.get(name)) for name in ("width", "height")} if viewport else None,
        }
        if target
        else None,
    }


def _picture(note: dict[str, Any]) -> str | None:
    """The file of a picture in its job's folder."""
    place = note.get("picture")
    return (
        picture_name(place) if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < 1_000 else None
    )


def _entry(entry: dict[str, Any], began: float) -> dict[str, Any]:
    request, response = mapping(entry.get("request")), mapping(entry.get("response"))
    content = mapping(response.get("content"))
    at, kind = unix_time(entry.get("startedDateTime")), text(content.get("mimeType"), 80)
    failure = text(response.get("_failureText"), 200)
    status = max(0, int(number(response.get("status"))))
    return {
        "at": round((at - began) * 1000) if at is not None else None,
        "ms": round(max(0.0, number(entry.get("time"))), 1),
        "method": text(request.get("method"), 20),
        "url": text(request.get("url"), 300),
        "status": status,
        "type": next((name for part, name in _TYPES if part in kind), "other"),
        "size": max(0, int(number(content.get("size")))),
        "ok": 0 < status < 400 and not failure,
        "failure": failure,
    }


def _browser(key: str) -> str:
    try:
        return shorten(str(sequence(orjson.loads(key))[0]), 20)
    except (ValueError, IndexError):
        return ""
