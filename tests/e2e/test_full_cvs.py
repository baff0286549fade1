"""send_full_cv and send_cvs_list, with real processes and servers."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Received
from tests.harness import MISSING_CREDENTIALS, Child, Rtcv, error, rtcv

OK = {"type": "ok"}
PDF = b"%PDF-1.4\n" + bytes(range(256)) + b"\r\n--\r\n%%EOF\n"
METADATA = (
    '{"z":1,"referenceNumber":"abcd","n":123456789012345678901234567890.50,"personalDetails":{"firstName":"Zo\u00eb"}}'
)
MISSING = MISSING_CREDENTIALS


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A sidecar that may send files of `cvs`."""
    (tmp_path / "cvs").mkdir()
    with Child(tmp_path, env={"SIDECAR_CV_FOLDER": str(tmp_path / "cvs")}) as running:
        yield running


@pytest.fixture
def server() -> Iterator[Rtcv]:
    """A server that knows the scraper's key."""
    with rtcv() as running:
        yield running


def ok(content: Any) -> dict[str, Any]:
    """The reply with this content."""
    return {"type": "ok", "content": content}


def full_cv(cv: str | None = None, reference: str = "abcd", **more: Any) -> dict[str, Any]:
    """A `send_full_cv`."""
    given = base64.b64encode(PDF).decode() if cv is None else cv
    return {"type": "send_full_cv", "content": {"metadata": {"referenceNumber": reference}, "cv": given, **more}}


def log_in(child: Child, *servers: Rtcv) -> None:
    """Logs in to servers, of which the first is the primary."""
    credentials = [server.credentials | {"primary": number == 0} for number, server in enumerate(servers)]
    assert child.ask({"type": "set_multiple_credentials", "content": credentials}) == [OK]


def assert_whole(received: Received, filename: str = "cv.pdf", content_type: str = "application/pdf") -> None:
    """The server got metadata and file byte for byte."""
    form = received.form
    assert list(form) == ["metadata", "cv"]
    assert (form["metadata"].content, form["metadata"].filename) == (METADATA.encode(), None)
    assert (form["cv"].content, form["cv"].filename, form["cv"].content_type) == (PDF, filename, content_type)


def test_a_cv_with_its_pdf(child: Child, server: Rtcv) -> None:
    """Both arrive byte for byte; a match is remembered, and what is remembered is not sent."""
    log_in(child, server)
    line = f'{{"type":"send_full_cv","content":{{"metadata":{METADATA},"cv":"{base64.b64encode(PDF).decode()}"}}}}'
    known = {"type": "has_cached_reference", "content": "abcd"}
    assert child.ask(known, line.encode(), known, line.encode()) == [ok(False), ok(True), ok(True), OK]
    [received] = server.server.to("scanCVDocument")
    assert_whole(received)
    assert child.ask({"type": "send_cv", "content": {"referenceNumber": "abcd"}}) == [OK]


def test_what_the_file_is_called(child: Child, server: Rtcv) -> None:
    """Name and type go to the server, whatever is in them, and can't break out of their place."""
    log_in(child, server)
    for number, name in enumerate(["Zoë's cv.pdf", "a;b=c.pdf", "100%.pdf", "x" * 255]):
        content = {"filename": name, "content_type": "application/x-pdf"}
        assert child.ask(full_cv(reference=str(number), **content)) == [ok(True)]
        cv = server.server.to("scanCVDocument")[-1].form["cv"]
        assert (cv.filename, cv.content_type) == (name, content["content_type"])


NAMES = [
    ("filename", 'a"b'),
    ("filename", "a\r\nb"),
    ("filename", "../a"),
    ("filename", ""),
    ("content_type", "a/b\r\nX: 1"),
    ("content_type", "pdf"),
    ("content_type", "a" * 300),
]


def test_names_that_are_refused(child: Child) -> None:
    """What would end the place where it stands."""
    refused = child.ask(*(full_cv(**{field: value}) for field, value in NAMES))
    said = [(one["error"]["code"], one["error"]["field"]) for one in refused]
    assert said == [("invalid_content", field) for field, _ in NAMES]


def test_no_match_is_not_remembered(child: Child) -> None:
    """It is sent again."""
    with rtcv(matches=lambda cv: False) as server:
        log_in(child, server)
        assert child.ask(full_cv(), full_cv()) == [ok(False)] * 2
        assert len(server.server.to("scanCVDocument")) == 2


def test_the_same_reference_twice_at_once(child: Child, server: Rtcv) -> None:
    """The second waits for the first, also where one of them is a `send_cv`."""
    log_in(child, server)
    server.server.fail("scanCVDocument", "hang")
    child.send(full_cv() | {"id": 1})
    server.wait_for("scanCVDocument")
    child.send({"type": "send_cv", "content": {"referenceNumber": "abcd"}, "id": 2}, full_cv(reference="b") | {"id": 3})
    assert child.read() == ok(True) | {"id": 3}
    server.release()
    assert {answer.pop("id"): answer for answer in child.read_many(2)} == {1: ok(True), 2: OK}
    assert server.server.to("scanCV?") == []


def test_every_server_gets_it(child: Child, server: Rtcv) -> None:
    """The copies go through the outbox: they outlive the secondary's failure and this process."""
    with rtcv() as second:
        log_in(child, server, second)
        second.server.fail("/scraper/", "error", None, status=503)
        cvs = [{"referenceNumber": "b"}]
        list_reply = ok({"sent": 1, "duplicates": 0, "without_reference": 0})
        line = f'{{"type":"send_full_cv","content":{{"metadata":{METADATA},"cv":"{base64.b64encode(PDF).decode()}"}}}}'
        assert child.ask(line.encode(), {"type": "send_cvs_list", "content": cvs}) == [ok(True), list_reply]
        (listed,) = child.ask({"type": "list_deliveries"})
        assert [one["kind"] for one in listed["content"]["deliveries"]] == ["full_cv", "cvs_list"]
        second.wait_for("scanCVDocument")
        second.release()
        second.wait_for("allCVs")
        copies = second.server.to("scanCVDocument")
        assert_whole(copies[-1])
        assert len({copy.headers["Idempotency-Key"] for copy in copies}) == 1
        assert second.server.to("allCVs")[-1].json == {"cvs": cvs}


def test_without_a_login(child: Child) -> None:
    """Mock mode needs no server; CVs match as `cv_matches` says."""
    cvs = {"type": "send_cvs_list", "content": [{"referenceNumber": "a"}]}
    assert child.ask(full_cv(), cvs) == [MISSING, MISSING]
    sent = ok({"sent": 1, "duplicates": 0, "without_reference": 0})
    assert child.ask({"type": "set_mock"}, full_cv(), full_cv(), cvs) == [OK, ok(True), OK, sent]
    assert child.ask({"type": "set_mock", "content": {"cv_matches": False}}, full_cv()) == [OK, ok(False)]


def test_a_server_that_fails(child: Child, server: Rtcv) -> None:
    """Its sentence is the error, nothing is remembered, and the next attempt is sent."""
    log_in(child, server)
    for path in ("scanCVDocument", "allCVs"):
        server.server.fail(path, "error", status=500)
    refused = error("remote_error", "injected failure", status=500)
    cvs = {"type": "send_cvs_list", "content": [{"referenceNumber": "a"}]}
    assert child.ask(full_cv(), cvs, full_cv()) == [refused, refused, ok(True)]


def wrong(said: str, code: str = "invalid_content") -> dict[str, Any]:
    """The error about `cv`."""
    return error(code, f"cv: {said}", field="cv")


NO_PDF = wrong("not a PDF: %PDF- is missing at its beginning")
NO_BASE64 = wrong("neither base64 nor a path: that would have a dot, as in ann.pdf")
OUTSIDE = wrong("the path is outside SIDECAR_CV_FOLDER")
NO_FILE = wrong("SIDECAR_CV_FOLDER has no such file")
LINK = wrong("a symbolic link is not followed")


def test_base64_in_any_spelling(child: Child, server: Rtcv) -> None:
    """With line breaks, as many encoders write it; anything else is an error that names the field."""
    log_in(child, server)
    text = base64.encodebytes(PDF).decode()
    assert child.ask(full_cv(text)) == [ok(True)]
    assert server.server.to("scanCVDocument")[0].form["cv"].content == PDF
    for bad in ("", "JVBERi0", "JVBERi0x*", "JVBERi0x====", "JVBERi0é", "J=VBERi0x", "-_-_"):
        assert child.ask(full_cv(bad, "b")) == [NO_BASE64 if bad else NO_PDF], bad
    for other in (b"hello", b"PK\x03\x04", b"<html>", b" " * 1024 + PDF):
        assert child.ask(full_cv(base64.b64encode(other).decode(), "b")) == [NO_PDF]
    assert len(server.server.to("scanCVDocument")) == 1


def test_files(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """Those of the folder, by a path from there or a whole one; they are sent as they are."""
    log_in(child, server)
    folder = tmp_path / "cvs"
    (folder / "deep.er" / "still").mkdir(parents=True)
    for name in ("ann.pdf", "deep.er/still/Zoë.PDF", "...pdf"):
        (folder / name).write_bytes(PDF)
    paths = ["ann.pdf", "./ann.pdf", "deep.er/still/Zoë.PDF", "...pdf", str(folder / "ann.pdf")]
    assert child.ask(*(full_cv(path, path) for path in paths)) == [ok(True)] * len(paths)
    assert [one.form["cv"].content for one in server.server.to("scanCVDocument")] == [PDF] * len(paths)


def test_files_that_are_refused(child: Child, server: Rtcv, tmp_path: Path) -> None:
    """Outside of the folder, by links, too large, or no PDFs: each error names the field."""
    log_in(child, server)
    folder = tmp_path / "cvs"
    (folder / "in.side").mkdir()
    (tmp_path / "secret.pdf").write_bytes(PDF)
    (folder / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    (folder / "inner.pdf").symlink_to("in.side/a.pdf")
    (folder / "up.d").symlink_to(tmp_path)
    (folder / "text.pdf").write_bytes(b"hello")
    (folder / "closed.pdf").mkdir()
    os.mkfifo(folder / "pipe.pdf")
    with (folder / "huge.pdf").open("wb") as file:
        file.write(PDF)
        file.truncate((32 << 20) + 1)
    refused = {
        "../secret.pdf": OUTSIDE,
        "in.side/../../secret.pdf": OUTSIDE,
        "in.side/../text.pdf": OUTSIDE,
        "/etc/passwd.pdf": OUTSIDE,
        str(tmp_path / "secret.pdf"): OUTSIDE,
        str(folder) + ".pdf": OUTSIDE,
        str(folder / "link.pdf"): LINK,
        "link.pdf": LINK,
        "inner.pdf": LINK,
        "up.d/secret.pdf": LINK,
        "none.pdf": NO_FILE,
        "text.pdf/a": NO_FILE,
        "a\x00.pdf": NO_FILE,
        f"{'x' * 5000}.pdf": NO_FILE,
        ".": OUTSIDE,
        "..": OUTSIDE,
        "text.pdf": NO_PDF,
        "closed.pdf": wrong("not a regular file"),
        "in.side": wrong("not a regular file"),
        "pipe.pdf": wrong("not a regular file"),
        "huge.pdf": wrong("the PDF is larger than 32 MiB", "limit_exceeded"),
    }
    assert {path: child.ask(full_cv(path))[0] for path in refused} == refused
    assert server.server.to("scanCVDocument") == []


def test_files_without_a_folder(tmp_path: Path) -> None:
    """None is read as long as the setting names no folder."""
    (tmp_path / "ann.pdf").write_bytes(PDF)
    with Child(tmp_path) as child:
        said = "no file can be sent: SIDECAR_CV_FOLDER names no folder; send base64, or set it"
        assert child.ask({"type": "set_mock"}, full_cv("ann.pdf")) == [OK, wrong(said)]


def test_a_huge_pdf(child: Child, server: Rtcv) -> None:
    """It is refused before it is decoded; one below the bound is the server's affair."""
    log_in(child, server)
    too_large = "JVBERi0x" + "A" * (44 << 20)
    assert child.ask(full_cv(too_large)) == [wrong("the PDF is larger than 32 MiB", "limit_exceeded")]
    below = base64.b64encode(PDF + bytes(6 << 20)).decode()
    assert child.ask(full_cv(below)) == [error("remote_error", "Request Entity Too Large", status=413)]


METADATA_SAID = {
    "[]": ("metadata: cv expected to be an object", "metadata"),
    "null": ("metadata: cv expected to be an object", "metadata"),
    "{}": ("metadata.referenceNumber: referenceNumber field does not exists", "metadata.referenceNumber"),
    '{"referenceNumber":""}': (
        "metadata.referenceNumber: reference number cannot be an empty string",
        "metadata.referenceNumber",
    ),
}


def test_invalid_metadata_is_refused(child: Child) -> None:
    """Every error names its place; what is missing or unknown, too."""
    for text, (said, field) in METADATA_SAID.items():
        line = f'{{"type":"send_full_cv","content":{{"metadata":{text},"cv":"JVBERi0x"}}}}'
        assert child.ask(line.encode()) == [error("invalid_content", said, field=field)]
    [missing] = child.ask({"type": "send_full_cv", "content": {"pdf": "x"}})
    assert [one["field"] for one in missing["error"]["fields"]] == ["pdf", "metadata", "cv"]


def test_a_list_of_cvs(child: Child, server: Rtcv) -> None:
    """Each CV once and byte for byte, without those that have no reference; the answer counts them."""
    log_in(child, server)
    cvs = [
        '{"z":1.50,"referenceNumber":"a"}',
        '{"reference_number":"b"}',
        '{"referenceNumber":"a","x":2}',
        '{"x":1}',
        '{"referenceNumber":""}',
        '{"reference_number":"a"}',
    ]
    line = f'{{"type":"send_cvs_list","content":[{" , ".join(cvs)}]}}'
    assert child.ask(line.encode()) == [ok({"sent": 2, "duplicates": 2, "without_reference": 2})]
    [received] = server.server.to("allCVs")
    assert received.body == f'{{"cvs":[{cvs[0]},{cvs[1]}]}}'.encode()
    assert child.ask({"type": "has_cached_reference", "content": "a"}) == [ok(False)]


def test_a_list_without_any_cv(child: Child, server: Rtcv) -> None:
    """Nothing is sent."""
    log_in(child, server)
    said = [ok({"sent": 0, "duplicates": 0, "without_reference": count}) for count in (0, 1)]
    assert child.ask({"type": "send_cvs_list", "content": []}, {"type": "send_cvs_list", "content": [{}]}) == said
    assert server.server.to("allCVs") == []


LISTS = {
    "{}": ("cvs expected to be an array", "content"),
    "null": ("cvs expected to be an array", "content"),
    '[{"referenceNumber":"a"},1]': ("[1]: cv expected to be an object", "[1]"),
    '[{"referenceNumber":1}]': (
        "[0].referenceNumber: referenceNumber is expected to be a string",
        "[0].referenceNumber",
    ),
}


def test_invalid_lists_are_refused(child: Child) -> None:
    """Errors name the member; too many are refused before any is read."""
    for text, (said, field) in LISTS.items():
        line = f'{{"type":"send_cvs_list","content":{text}}}'
        assert child.ask(line.encode()) == [error("invalid_content", said, field=field)]
    full = b'{"type":"send_cvs_list","content":[' + b"{}," * 9_999 + b"{}]}"
    many = error("limit_exceeded", "content: more than 10000 CVs", field="content")
    assert child.ask(full) == [MISSING]
    assert child.ask(full.replace(b"[{}", b"[{},{}")) == [many]
    deep = b'{"type":"send_cvs_list","content":[{"a":[' + b"1," * 20_000 + b"1]}]}"
    assert child.ask({"type": "set_mock"}, deep) == [OK, ok({"sent": 0, "duplicates": 0, "without_reference": 1})]


def test_a_session_with_pdfs_replays(tmp_path: Path) -> None:
    """Its log holds all that is needed."""
    with Child(tmp_path, "--log-input", "session.log") as child:
        child.ask({"type": "set_mock"}, full_cv(), {"type": "send_cvs_list", "content": [{"referenceNumber": "a"}]})
        assert child.end() == 0
    logged = [json.loads(line) for line in (tmp_path / "session.log").read_text().splitlines()]
    assert logged[1]["content"] == full_cv()["content"]
