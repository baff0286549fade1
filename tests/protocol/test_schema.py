"""The published schemas are those of the models, and samples fit them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from protocol import codec
from protocol.errors import ErrorCode, ErrorDetail
from protocol.export import schemas, write_schemas
from protocol.replies import Error, Event, Ok, Pong, Ready
from protocol.requests import CONTENTS

FOLDER = Path(__file__).parents[2] / "protocol" / "schema"
SERVER = {"server_location": "https://rtcv.example.com", "api_key_id": "a", "api_key": "b", "primary": True}

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "hello": [{}, {"content": {"notifications": True}}],
    "ping": [{}, {"content": [1]}],
    "cancel": [{"content": {"id": 1}}, {"content": {"id": "a"}}],
    "set_credentials": [{"content": SERVER}, {"content": [SERVER]}],
    "set_multiple_credentials": [{"content": [SERVER, {**SERVER, "primary": False}]}],
    "set_mock": [{}, {"content": {"secrets": {"a": [1, None]}, "cv_matches": False, "other": 1}}],
    "get_secret": [{"content": {"key": "a", "encryption_key": "b"}}],
    "get_users_secret": [{"content": {"encryption_key": "b"}}],
    "get_user_secret": [{"content": {"key": "a", "encryption_key": "b"}}],
    "set_cached_reference": [{"content": "a"}],
    "set_short_cached_reference": [{"content": "a"}],
    "has_cached_reference": [{"content": "a"}],
    "send_cv": [{"content": {"referenceNumber": "a", "x": 1}}, {"content": {"reference_number": "a"}}],
    "issue_token": [{"content": {"scope": "https://a.example", "issuer_token": "t", "validity": 60, "strict": True}}],
    "send_job": [
        {"content": {"steps": [{"url": "https://example.com"}]}},
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
    "send_cv": [{"content": {"referenceNumber": ""}}, {"content": {}}, {"content": []}],
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
    """Where this fails, run `python -m sidecar schema protocol/schema`."""
    write_schemas(tmp_path)
    made, published = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, FOLDER))
    assert made == published


@pytest.mark.parametrize("name", schemas())
def test_schemas_are_schemas(name: str) -> None:
    """By the dialect that they name."""
    Draft202012Validator.check_schema(schemas()[name])


def test_every_type_has_samples() -> None:
    """A new message comes with an example of itself."""
    assert set(SAMPLES) == set(CONTENTS)


@pytest.mark.parametrize(("kind", "sample"), [(kind, one) for kind, samples in SAMPLES.items() for one in samples])
def test_samples_fit_schema_and_codec(kind: str, sample: dict[str, Any]) -> None:
    """What the schema allows is what the sidecar reads."""
    message = {"type": kind, "id": "i", **sample}
    Draft202012Validator(schemas()[f"{kind}.json"]).validate(message)
    codec.decode_content(codec.decode(json.dumps(message).encode()))


@pytest.mark.parametrize(("kind", "sample"), [(kind, one) for kind, samples in WRONG.items() for one in samples])
def test_the_schema_refuses_what_is_wrong(kind: str, sample: dict[str, Any]) -> None:
    """As the sidecar does."""
    assert not Draft202012Validator(schemas()[f"{kind}.json"]).is_valid({"type": kind, **sample})


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_fit_their_schema(reply: codec.Reply) -> None:
    """Every line that leaves."""
    Draft202012Validator(schemas()["reply.json"]).validate(json.loads(codec.encode(reply)))
