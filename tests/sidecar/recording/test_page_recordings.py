"""HARs of recordings: no secret in them, and what a replay needs."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import NotRecorded
from sidecar.recording.page_recordings import PageRecorder, PageRecordings, har_exchanges, job_key, redact_har
from sidecar.recording.recording_folder import RecordingError
from sidecar.recording.redaction.placeholders import SecretWords
from sidecar.recording.redaction.redactor import Redactor

CANARY = "canary-secret-77"


def redactor() -> Redactor:
    """One that knows the canary."""
    made = Redactor(SecretWords(b"k" * 32))
    made.add_secret(CANARY)
    return made


def entry(url: str = "http://h/", text: str = "hello", **more: Any) -> dict[str, Any]:
    """One entry of a HAR."""
    request = {"method": "GET", "url": url, "headers": [], "queryString": [], "cookies": []}
    content = {"mimeType": "text/html", "text": text}
    response = {"status": 200, "headers": [], "cookies": [], "content": content, "redirectURL": ""}
    return {"request": {**request, **more.get("request", {})}, "response": {**response, **more.get("response", {})}}


def har(*entries: dict[str, Any], title: str = "") -> dict[str, Any]:
    """A HAR."""
    return {"log": {"entries": list(entries), "pages": [{"title": title}]}}


def test_no_place_of_a_har_keeps_a_secret() -> None:
    """Addresses, headers, cookies, post data, bodies in any form, titles, and messages of sockets."""
    packed = base64.b64encode(f"const key = '{CANARY}'".encode()).decode()
    one = entry(
        f"http://h/?token={CANARY}",
        text=json.dumps({"password": "other-secret-1", "note": CANARY}),
        request={
            "headers": [
                {"name": "Authorization", "value": "Bearer abc-token-1"},
                {"name": "Cookie", "value": "sid=abcd-1"},
            ],
            "cookies": [{"name": "sid", "value": "abcd-1"}],
            "queryString": [{"name": "token", "value": CANARY}],
            "postData": {"mimeType": "x", "text": f"password=other-secret-1&x={CANARY}", "params": [{"value": CANARY}]},
        },
        response={"headers": [{"name": "Set-Cookie", "value": "sid=abcd-1; Path=/"}], "redirectURL": f"/{CANARY}"},
    )
    script = entry(response={"content": {"mimeType": "application/javascript", "encoding": "base64", "text": packed}})
    one["_webSocketMessages"] = [{"data": CANARY}]
    shown = json.dumps(redact_har(har(one, script, title=f"of {CANARY}"), redactor()))
    for secret in (CANARY, "other-secret-1", "abc-token-1", "abcd-1", packed):
        assert secret not in shown
    assert "sid=secret_sid_" in shown
    assert "; Path=/" in shown


def test_pictures_stay_as_they_are() -> None:
    """What is no text is not read as text."""
    data = base64.b64encode(bytes(range(256))).decode()
    picture = entry(response={"content": {"mimeType": "image/png", "encoding": "base64", "text": data}})
    (found,) = har_exchanges(redact_har(har(picture), redactor()))
    assert found.response_body == bytes(range(256))


def test_jobs_of_one_kind_come_in_order(tmp_path: Path) -> None:
    """Each is given once; another kind has its own."""
    recorder = PageRecorder(tmp_path, redactor(), lambda _: False)
    key, other = job_key("CHROMIUM", iter(["http://h/a"])), job_key("FIREFOX", iter(["http://h/a"]))
    for seed, job in ((1, key), (2, other), (3, key)):
        recorder.record(job, seed, 1e9, json.dumps(har(entry(text=f"page {seed}"))).encode())
    pages = PageRecordings(tmp_path)
    found = [pages.take(job) for job in (key, key, other, key)]
    assert [one and one.seed for one in found] == [1, 3, 2, None]
    assert found[1] is not None
    assert found[1].exchanges.find("GET", "http://h/", b"").response_body == b"page 3"
    with pytest.raises(NotRecorded):
        found[1].exchanges.find("GET", "http://h/", b"")


def test_a_full_recording_takes_no_more(tmp_path: Path) -> None:
    """Nothing of the job is left behind."""
    PageRecorder(tmp_path, redactor(), lambda _: True).record("[]", 1, 1.0, json.dumps(har(entry())).encode())
    assert not (tmp_path / "pages").exists()
    assert PageRecordings(tmp_path).take("[]") is None


@pytest.mark.parametrize("index", ["[]\n", "{}\n", '{"job":1}\n{', "\x00"])
def test_a_damaged_index_is_named(tmp_path: Path, index: str) -> None:
    """One sentence."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.jsonl").write_text(index)
    with pytest.raises(RecordingError, match=r"index\.jsonl is not an index of pages"):
        PageRecordings(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"log":{}}', '{"log":{"entries":[{}]}}'])
def test_a_damaged_har_is_named(tmp_path: Path, text: str) -> None:
    """A damaged HAR is an error when its job comes; a HAR is read only from the index's folder."""
    (tmp_path / "pages").mkdir()
    line = {"job": "x", "seed": 1, "began": 1.0, "har": "../pages/000001.har"}
    (tmp_path / "pages" / "index.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "pages" / "000001.har").write_text(text)
    with pytest.raises(RecordingError, match=r"can't read .*000001\.har"):
        PageRecordings(tmp_path).take("x")
