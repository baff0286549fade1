"""The published schemas are those of the models, and samples fit them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorCode, ErrorDetail
from sidecar_protocol.json_schema import schemas, write_schemas
from sidecar_protocol.replies import Error, Event, Ok, Pong, Ready
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.typescript import declarations

from sidecar.client.generate import FOLDER as GENERATED
from sidecar.client.generate import texts

FOLDER = Path(__file__).parents[2] / "protocol" / "schema"
SCHEMAS = schemas()
"""Made once: that takes half a second."""
SERVER = {"server_location": "https://rtcv.example.com", "api_key_id": "a", "api_key": "b", "primary": True}
SCHEDULE = {
    "name": "定时任务",
    "enabled": True,
    "trigger": {"single": {"time": "2027-02-15 13:16:59", "zone_type": 1, "zone": "Europe/Amsterdam"}},
    "push": {"type": "send_job", "content": {"steps": [{"url": "https://example.com"}]}},
}

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "hello": [{}, {"content": {"notifications": True}}],
    "ping": [{}, {"content": [1]}],
    "cancel": [{"content": {"id": 1}}, {"content": {"id": "a"}}],
    "set_credentials": [{"content": SERVER}, {"content": [SERVER]}, {"content": {"mock": {"secrets": {"a": 1}}}}],
    "set_multiple_credentials": [{"content": [SERVER, {**SERVER, "primary": False}]}],
    "set_mock": [{}, {"content": {"secrets": {"a": [1, None]}, "cv_matches": False, "other": 1}}],
    "get_secret": [{"content": {"key": "a", "encryption_key": "b"}}],
    "get_users_secret": [{"content": {"encryption_key": "b"}}],
    "get_user_secret": [{"content": {"key": "a", "encryption_key": "b"}}],
    "set_cached_reference": [{"content": "a"}],
    "set_short_cached_reference": [{"content": "a"}],
    "has_cached_reference": [{"content": "a"}],
    "send_cv": [{"content": {"referenceNumber": "a", "x": 1}}, {"content": {"reference_number": "a"}}],
    "send_full_cv": [
        {"content": {"metadata": {"referenceNumber": "a"}, "cv": "JVBERi0x"}},
        {"content": {"metadata": {}, "cv": "a.pdf", "content_type": "a/b", "filename": "Zoë.pdf"}},
    ],
    "send_cvs_list": [{"content": []}, {"content": [{"referenceNumber": "a", "x": 1}, {}]}],
    "job_status": [{"content": {"id": "a"}}],
    "list_jobs": [{}, {"content": {"status": "failed", "page": 2}}],
    "cancel_job": [{"content": {"id": "a"}}],
    "create_schedule": [{"content": SCHEDULE}],
    "list_schedules": [{}, {"content": {"page": 2, "expired": True}}],
    "get_schedule": [{"content": {"schedule_id": "a"}}],
    "update_schedule": [
        {"content": {"schedule_id": "a", "enabled": False}},
        {"content": {"schedule_id": "a", "trigger": SCHEDULE["trigger"], "push": SCHEDULE["push"]}},
    ],
    "delete_schedule": [{"content": {"schedule_id": "a"}}],
    "get_schedule_msg_ids": [{"content": {"schedule_id": "a"}}],
    "create_task": [
        {"content": {"script": "https://a.example/a.js", "interval": 3_600_000}},
        {"content": {"script": "a.js", "cron": "0 9 * * MON-FRI", "zone": "Europe/Amsterdam"}},
        {
            "content": {
                "id": "t",
                "job": {"steps": [{"url": "https://a.example/{{city}}"}]},
                "running": False,
                "config": {"city": "x"},
                "init": "2030-01-31T12:00:00Z",
                "end": "2031-01-31",
                "interval": 1_000,
            }
        },
    ],
    "list_tasks": [{}, {"content": {"running": True, "config": {"city": "x"}, "page": 2}}],
    "get_task": [{"content": {"id": "t"}}],
    "update_task": [
        {"content": {"id": "t", "end": None, "interval": 5_000, "config": {}}},
        {"content": {"id": "t", "cron": "@daily", "zone": "UTC"}},
    ],
    "delete_task": [{"content": {"id": "t"}}],
    "get_task_status": [{"content": {"id": "t"}}],
    "run_task": [{"content": {"id": "t"}}],
    "start_task": [{"content": {"id": "t"}}],
    "stop_task": [{"content": {"id": "t"}}],
    "test_task": [{"content": {"script_text": "exports.main = () => 'x'", "config": {"a": 1}}}],
    "list_task_runs": [{"content": {"id": "t", "page": 1}}],
    "set_webhooks": [
        {"content": []},
        {
            "content": [
                {"url": "https://a.example", "secret": "whsec_a", "format": "cloudevents", "max_stdouterr_size": 0},
                {"url": "https://b.example", "secret": ["whsec_a", "whsec_b"]},
            ]
        },
    ],
    "list_deliveries": [{}, {"content": {"status": "dead", "page": 2}}],
    "redeliver": [{"content": {"id": "a"}}, {"content": {"id": "a", "endpoint": "b"}}],
    "issue_token": [{"content": {"scope": "https://a.example", "issuer_token": "t", "validity": 60, "strict": True}}],
    "send_job": [
        {"content": {"steps": [{"url": "https://example.com"}]}},
        {"content": {"steps": [{"url": "https://example.com"}], "mode": "async", "key": "k", "retries": 10}},
        {
            "content": {
                "steps": [{"url": "https://example.com", "fail_on_status": True}],
                "options": ["RECORD", "READ_ALERTS", "HAR", "TRACE"],
                "secrets": {"user": {"key": "user", "encryption_key": "k"}},
                "context": {
                    "viewport": {"width": 800, "height": 600},
                    "locale": "de-AT",
                    "proxy": {"server": "http://127.0.0.1:3128", "username": "a", "password": "b"},
                    "extra_http_headers": {"X-Team": "blue"},
                    "http_credentials": {"username": "a", "password": "b"},
                    "block": ["image", "font"],
                },
                "fail_on_status": False,
            }
        },
        {
            "content": {
                "name": "listing",
                "steps": [
                    {
                        "url": "https://example.com",
                        "actions": [{"click": "#a"}, {"fill": {"selector": "#u", "value": "v"}}],
                        "extract": {
                            "title": "h1",
                            "rows": {"selector": "tr", "all": True, "fields": {"a": {"selector": "a", "all": True}}},
                        },
                        "wait_until": "commit",
                    }
                ],
                "cookies": [{"name": "n", "value": "v", "domain": "d", "sameSite": "None", "secure": True}],
                "options": ["SCREENSHOT", "PDF", "HTML"],
                "pdf": {"margin": {"top": "1cm", "left": 2.5}, "size": {"width": 100}, "scale": 0.5},
                "reference_number": "a",
                "forward": {"as": "cv"},
                "webhooks": ["https://receiver.example/hook"],
                "artifacts": "files",
            }
        },
    ],
}
"""Type -> messages without their type, all of them right."""

WRONG: dict[str, list[dict[str, Any]]] = {
    "hello": [{"content": {"other": 1}}, {"id": 1.5}],
    "cancel": [{}, {"content": {}}],
    "set_multiple_credentials": [{"content": SERVER}],
    "set_cached_reference": [{"content": ""}, {"content": 1}, {}],
    "create_schedule": [
        {"content": {**SCHEDULE, "name": ""}},
        {"content": {**SCHEDULE, "name": "a" * 256}},
        {"content": {**SCHEDULE, "push": {}}},
        {"content": {**SCHEDULE, "other": 1}},
    ],
    "list_schedules": [{"content": {"page": 0}}],
    "update_schedule": [{"content": {"enabled": True}}, {"content": {"schedule_id": "a", "name": None}}],
    "send_cv": [{"content": {"referenceNumber": ""}}, {"content": {}}, {"content": []}],
    "send_full_cv": [{}, {"content": {"metadata": {}}}, {"content": {"metadata": {}, "cv": "", "filename": "a/b"}}],
    "send_cvs_list": [{}, {"content": {}}, {"content": [1]}, {"content": [{}] * 10_001}],
    "send_job": [
        {"content": {"steps": []}},
        {"content": {"steps": [{"url": ""}]}},
        {"content": {"steps": [{"url": "http://h"}], "context": {"block": ["document"]}}},
        {"content": {"steps": [{"url": "http://h"}], "secrets": {"a b": {"key": "k", "encryption_key": "e"}}}},
    ],
}
"""Type -> messages that a sidecar refuses, and so does the schema."""

REPLIES = [
    Ready(protocol="2.0", version="1", pid=1),
    Ok(),
    Ok([1], "a"),
    Pong(1),
    Error("no", ErrorDetail(code=ErrorCode.TIMEOUT, message="no", retryable=True, field="a"), 5),
    Event("progress", {"done": 1}),
]


def test_the_published_files_are_up_to_date(tmp_path: Path) -> None:
    """The published schemas are up to date; if not, run `python -m sidecar schema --out protocol/schema`."""
    write_schemas(tmp_path)
    made, published = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, FOLDER))
    assert made == published


def test_the_published_typescript_is_up_to_date() -> None:
    """The published TypeScript is up to date; if not, add `--typescript protocol/typescript/index.d.ts` above."""
    assert declarations() == (FOLDER.parent / "typescript" / "index.d.ts").read_text(encoding="utf-8")


def test_the_generated_modules_of_the_python_client_are_up_to_date() -> None:
    """Where this fails, run `python -m sidecar.client.generate`."""
    assert {name: (GENERATED / name).read_text() for name in texts()} == texts()


def test_typescript_names_everything_that_is_published() -> None:
    """Each message type has its content, each definition is a type, and every type that is named is one of them."""
    text = declarations()
    contents = text.split("export interface Contents {")[1].split("\n}")[0]
    assert set(re.findall(r"^  (\w+): \{ content", contents, re.MULTILINE)) == set(CONTENTS)
    defined = set(re.findall(r"^export (?:interface|type) (\w+)", text, re.MULTILINE))
    assert {name for schema in SCHEMAS.values() for name in schema.get("$defs", {})} <= defined
    bare = re.sub(r"/\*\*.*?\*/|\"[^\"]*\"|//.*", "", text, flags=re.DOTALL)
    assert set(re.findall(r"\b[A-Z]\w+", bare)) <= defined | {"Array", "Record"}
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name: str) -> None:
    """Every schema is valid in the dialect that it names."""
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_type_has_samples() -> None:
    """Every message type has samples."""
    assert set(SAMPLES) == set(CONTENTS)


@pytest.mark.parametrize(("kind", "sample"), [(kind, one) for kind, samples in SAMPLES.items() for one in samples])
def test_samples_fit_schema_and_codec(kind: str, sample: dict[str, Any]) -> None:
    """The sidecar reads what the schema allows."""
    message = {"type": kind, "id": "i", **sample}
    assert Draft202012Validator(SCHEMAS[f"{kind}.json"]).is_valid(message)
    request = codec.decode(json.dumps(message).encode())
    assert (request.type, request.id) == (kind, "i")
    codec.decode_content(request)


@pytest.mark.parametrize(("kind", "sample"), [(kind, one) for kind, samples in WRONG.items() for one in samples])
def test_the_schema_refuses_what_is_wrong(kind: str, sample: dict[str, Any]) -> None:
    """The schema refuses what the sidecar refuses."""
    assert not Draft202012Validator(SCHEMAS[f"{kind}.json"]).is_valid({"type": kind, **sample})


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_fit_their_schema(reply: codec.Reply) -> None:
    """Every kind of line that the sidecar writes fits the schema."""
    assert Draft202012Validator(SCHEMAS["reply.json"]).is_valid(json.loads(codec.encode(reply)))
