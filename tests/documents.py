"""Whether documents that leave are what their formats ask for."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft4Validator  # type: ignore[import-untyped]

SCHEMA: Final = json.loads((Path(__file__).parent / "data" / "job_update.json").read_text())
"""Factotum's own schema of `job_update` 1-0-0."""
SCHEMAS_06: Final = {
    f"iglu:com.snowplowanalytics.factotum/{name}/jsonschema/1-0-0": json.loads(
        (Path(__file__).parent / "data" / f"factotum_06_{name}.json").read_text()
    )
    for name in ("job_update", "task_update")
}
"""Those of the documents of Factotum 0.6, by what the envelope calls them."""
JOB_UPDATE: Final = "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0"
_DURATION: Final = re.compile(r"PT\d+(\.\d+)?S")
_REQUIRED: Final = {"id", "source", "specversion", "type"}
_STRINGS: Final = _REQUIRED | {"subject", "time", "datacontenttype", "dataschema"}


def check_time(text: str) -> None:
    """Fails unless it is a moment in RFC 3339, with its zone."""
    assert "T" in text
    assert datetime.fromisoformat(text).tzinfo is not None


def check_job_update(data: dict[str, Any]) -> None:
    """Fails unless it is a job update of Factotum: by its schema, and by what that leaves to formats."""
    Draft4Validator(SCHEMA).validate(data)
    check_formats(data)


def check_formats(data: dict[str, Any]) -> None:
    """Fails unless times and durations are such."""
    check_time(data["startTime"])
    assert _DURATION.fullmatch(data["runDuration"])
    for task in data["taskStates"]:
        if "started" in task:
            check_time(task["started"])
        if "duration" in task:
            assert _DURATION.fullmatch(task["duration"])


def check_self_describing(document: dict[str, Any]) -> dict[str, Any]:
    """The update in Factotum's envelope, checked."""
    assert document.keys() == {"schema", "data"}
    assert document["schema"] == JOB_UPDATE
    data: dict[str, Any] = document["data"]
    check_job_update(data)
    return data


def check_factotum_06(document: dict[str, Any]) -> dict[str, Any]:
    """The update in the envelope of Factotum 0.6, checked by the schema that it names."""
    assert document.keys() == {"schema", "data"}
    data: dict[str, Any] = document["data"]
    Draft4Validator(SCHEMAS_06[document["schema"]]).validate(data)
    check_formats(data)
    return data


def check_cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    """The update in a CloudEvent, checked by the rules of CloudEvents 1.0 and its JSON format."""
    assert event.keys() >= _REQUIRED
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event if name != "data")
    assert all(isinstance(event[name], str) and event[name] for name in event.keys() & _STRINGS)
    assert event["specversion"] == "1.0"
    urlsplit(event["source"])
    assert urlsplit(event["dataschema"]).scheme
    assert re.fullmatch(r"[\w.+-]+/[\w.+-]+", event["datacontenttype"])
    check_time(event["time"])
    data: dict[str, Any] = event["data"]
    check_job_update(data)
    return data
