"""What a report holds: bounded, whatever was recorded; and nothing of it can leave its place in the page."""

import json
import os
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.recording.recording_folder import RecordingError
from sidecar.recording.report.latency import Latencies
from sidecar.recording.report.report_data import gather
from sidecar.recording.report.report_page import MAX_BYTES, embedded_json, report_page

RECORDINGS = sorted(Path("replay_logs").glob("recorded_*"))
AT = "2026-11-27T12:00:%02d.%03dZ"
PICTURE = b"\xff\xd8\xff" + b"p" * 30_000


def write(folder: Path, name: str, *lines: object) -> None:
    """Writes lines of a recording; bytes as they are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = (line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(b"".join(parts))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording without messages."""
    write(
        tmp_path, "manifest.json", {"format": 1, "started_at": AT % (0, 0), "complete": True, "ended_at": AT % (59, 0)}
    )
    return tmp_path


def embedded(page: bytes) -> dict[str, Any]:
    """The data of a page, read as a browser does: up to the first end of its script."""
    text = page.decode()
    start = text.index('id="data">') + len('id="data">')
    data: dict[str, Any] = json.loads(text[start : text.index("</script", start)])
    return data


def job(folder: Path, number: int, *, failed: bool = False, pictures: int = 4, **more: Any) -> None:
    """A job with some pictures."""
    actions = [{"label": f"click {place}", "at": place, "ms": 1, "picture": place} for place in range(pictures - 1)]
    step = {"name": "s", "url": "http://h/", "at": 0, "ms": 9, "actions": actions, "picture": pictures - 1}
    failure = (
        {"code": "action_failed", "message": "no", "step": 0, "at": 9, "picture": pictures - 1} if failed else None
    )
    began = 1_795_780_800 + number
    film = {"job": "[]", "seed": number, "began": began, "seconds": 1, "steps": [step], "failure": failure}
    write(folder, f"jobs/{number:06}/job.json", {**film, **more})
    for place in range(pictures):
        write(folder, f"jobs/{number:06}/{place:03}.jpg", PICTURE)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_every_recording_gives_a_report(recording: Path) -> None:
    """A recording without pictures, of an older version, has all requests, jobs and failures."""
    data = embedded(report_page(recording))
    sent = [json.loads(line) for line in (recording / "session.jsonl").read_text().splitlines()]
    replies = [json.loads(line) for line in (recording / "replies.jsonl").read_text().splitlines()]
    failed = [reply for reply in replies if reply["type"] == "error"]
    assert [one["seq"] for one in data["messages"]] == [line["_log"]["seq"] for line in sent]
    assert sum(not one["ok"] for one in data["messages"]) == len(failed) == data["counts"]["failed"]
    assert bool(data["failures"]) == bool(failed) or data["counts"]["servers_failed"]
    jobs = [line["_log"]["seq"] for line in sent if line["type"] == "send_job"]
    assert [one["seq"] for one in data["jobs"]] == jobs
    assert all(one["at"] is None or 0 <= one["at"] <= data["length"] for one in data["messages"])


def test_nothing_recorded_ends_the_script(folder: Path) -> None:
    """Texts of pages and servers stay data, however they try."""
    nasty = "</script><script>alert(1)</script><!--\u2028]]>&lt;"
    write(folder, "session.jsonl", {"type": nasty, "content": nasty, "_log": {"seq": 1, "at": AT % (1, 0)}})
    error = {"type": "error", "content": nasty, "error": {"code": nasty, "message": nasty}}
    write(folder, "replies.jsonl", {**error, "_log": {"seq": 1, "read": 1, "at": AT % (2, 0), "ms": 5}})
    job(folder, 1, failed=True, name=nasty)
    page = report_page(folder)
    data = embedded(page)
    assert data["messages"][0]["error"] == data["jobs"][0]["name"] == nasty
    outside = page.decode().replace(embedded_json(data), "")
    assert "alert(1)</script>" not in outside
    assert page.count(b"<script") == page.count(b"</script>") == 2  # the data, and our own
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page.decode())
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


RUBBISH = [
    b"\x00\xff\xfe rubbish\n",
    b"[1,2]\n",
    b'"text"\n',
    b"{\n",
    b'{"_log": 7}\n',
    b'{"type": {}, "content": [[]]}\n',
    b"\n",
]


def test_what_can_be_read_is_shown(folder: Path) -> None:
    """Binary rubbish, other JSON, and a line that was cut short: they are counted, and the rest is there."""
    good = {"type": "ping", "_log": {"seq": 1, "at": AT % (1, 0)}}
    write(folder, "session.jsonl", *RUBBISH, good, b'{"type": "ping", "_lo')
    write(
        folder, "replies.jsonl", *RUBBISH, {"type": "pong", "_log": {"seq": 1, "read": 9, "at": AT % (1, 1), "ms": 1}}
    )
    write(folder, "exchanges.jsonl", *RUBBISH, b"\xff" * 1000)
    write(folder, "jobs/000001/job.json", b"\x00\x01")
    write(
        folder, "jobs/000002/job.json", {"steps": 7, "failure": [], "began": "x", "job": {}, "seed": {}, "left_out": 3}
    )
    write(
        folder,
        "jobs/000003/job.json",
        {"steps": [{"actions": "x", "at": None, "picture": -1}, 4], "failure": {"step": 99}},
    )
    write(folder, "pages/index.jsonl", *RUBBISH, {"job": "[]", "seed": {}, "began": 1, "har": "../../etc/passwd"})
    data = embedded(report_page(folder))
    assert any(one["type"] == "ping" and one["ok"] for one in data["messages"])
    assert any("could not be read" in note for note in data["left_out"])
    assert len(data["jobs"]) == 2
    (folder / "session.jsonl").unlink()
    (folder / "replies.jsonl").write_bytes(os.urandom(200_000))
    assert embedded(report_page(folder))["counts"]["messages"] == 0


def test_no_recording_is_said(tmp_path: Path, folder: Path) -> None:
    """Nothing there, and a recording of a later format."""
    with pytest.raises(RecordingError, match=r"manifest\.json is missing"):
        gather(tmp_path / "none", MAX_BYTES)
    write(folder, "manifest.json", {"format": 99})
    with pytest.raises(RecordingError, match="newer sidecar"):
        report_page(folder)


def test_a_hundred_jobs_fit(folder: Path) -> None:
    """Pictures are thinned out: those of failures and each job's last one stay, and the page says how many are gone."""
    for number in range(1, 101):
        job(folder, number, failed=number == 50)
    page = report_page(folder)
    data = embedded(page)
    assert len(page) <= MAX_BYTES
    assert len(page) > MAX_BYTES * 0.7  # as many as there is room for
    assert len(data["jobs"]) == 100
    assert data["jobs"][49]["failure"]["picture"] in data["pictures"]
    shown = {name for name in data["pictures"] if name.endswith("/003.jpg")}
    assert len(shown) == len(data["pictures"]), "each job's last picture before any other"
    assert f"{400 - len(data['pictures'])} pictures are not in this page" in " ".join(data["left_out"])
    assert sum(one["pictures_left_out"] for one in data["jobs"]) == 400 - len(data["pictures"])


def many(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Requests and replies, every hundredth with an error."""
    for seq in range(1, count + 1):
        at = AT % (seq % 60, seq % 1000)
        text = "x" * 200
        yield (
            b'{"type":"send_cv","content":{"referenceNumber":"%d","t":"%s"},"_log":{"seq":%d,"at":"%s"}}\n'
            % (seq, text.encode(), seq, at.encode()),
            b'{"type":"%s","content":"%s","_log":{"seq":%d,"read":%d,"at":"%s","ms":%d}}\n'
            % (b"error" if seq % 100 == 0 else b"ok", text.encode(), seq, seq, at.encode(), seq % 500),
        )


def test_memory_does_not_grow_with_the_recording(folder: Path) -> None:
    """Every message counts in the latencies; some are shown, failed ones first; the page stays small."""
    peaks = []
    for count in (3_000, 15_000):
        with (folder / "session.jsonl").open("wb") as session, (folder / "replies.jsonl").open("wb") as replies:
            for request, reply in many(count):
                session.write(request)
                replies.write(reply)
        tracemalloc.start()
        page = report_page(folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        data = embedded(page)
        assert len(page) <= MAX_BYTES
        assert data["types"][0]["count"] == count
        assert data["counts"]["failed"] == count // 100
        assert sum(not one["ok"] for one in data["messages"]) == count // 100
        shown = [one["seq"] for one in data["messages"]]
        assert count / 4 < sum(shown) / len(shown) < count * 3 / 4, "they come from all of the session"
        assert len(shown) <= 2_000
    assert peaks[1] < peaks[0] * 1.5, peaks


def test_latencies_are_near_enough() -> None:
    """Percentiles to a twentieth, of fast and slow ones."""
    latencies = Latencies()
    for number in range(1, 1_001):
        latencies.add(number / 10, failed=False)
    summary = latencies.summary()
    for name, exact in (("p50", 50), ("p90", 90), ("p99", 99)):
        assert abs(summary[name] - exact) < exact / 20, summary
    assert summary["max"] == 100.0
    assert sum(count for _, count in summary["bars"]) == 1_000
