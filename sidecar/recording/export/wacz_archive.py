"""A recording as a web archive (WACZ 1.1.1) for ReplayWeb.page: what pages loaded, made by the public `wacz` tool."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sidecar import __version__
from sidecar.recording.export.entries import Network, content_of, read_network
from sidecar.recording.recording_folder import RecordingError, read_manifest

if TYPE_CHECKING:
    from warcio.warcwriter import WARCWriter

_DECODED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of a body as it was sent; a recording has it decoded."""
_SECONDS: Final = 300
_INSTALL: Final = "WACZ needs the public wacz tool: pip install 'scraper-sidecar[export]'"


def write_wacz(folder: Path, target: Path) -> None:
    """Writes the archive to a new file. Raises RecordingError."""
    try:
        import wacz  # noqa: F401 - it is run as a process
        from warcio.warcwriter import WARCWriter
    except ImportError:
        raise RecordingError(_INSTALL) from None
    title = f"session of {read_manifest(folder).get('started_at')}"
    network = read_network(folder)
    with TemporaryDirectory(prefix="sidecar-export-") as work:
        warc, pages = Path(work) / "data.warc.gz", Path(work) / "pages.jsonl"
        with warc.open("wb") as file:
            _write_warc(WARCWriter(file, gzip=True), network)
        pages.write_text("".join(json.dumps(line) + "\n" for line in _pages(network)))
        made = Path(work) / "archive.wacz"
        command = [sys.executable, "-P", "-m", "wacz", "create", "-o", str(made), "-p", str(pages), "-c"]
        try:
            done = subprocess.run(  # noqa: S603 - ours
                [*command, "--title", title, str(warc)], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise RecordingError(f"the wacz tool took more than {_SECONDS} seconds") from None
        if done.returncode or not made.exists():
            last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            raise RecordingError(f"the wacz tool failed: {last}")
        target.write_bytes(made.read_bytes())


def _write_warc(writer: "WARCWriter", network: Network) -> None:
    writer.write_record(
        writer.create_warcinfo_record("data.warc.gz", {"software": f"sidecar {__version__}", "format": "WARC/1.1"})
    )
    for entry in network.entries:
        if entry["response"]["status"] > 0 and entry["request"]["url"].startswith(("http://", "https://")):
            _write_entry(writer, entry)


def _write_entry(writer: "WARCWriter", entry: dict[str, Any]) -> None:
    from warcio.statusandheaders import StatusAndHeaders

    request, response = entry["request"], entry["response"]
    url, when = request["url"], {"WARC-Date": entry["startedDateTime"]}
    body = content_of(entry)
    headers = [(one["name"], value) for one in response["headers"] for value in one["value"].split("\n")]
    kept = [(name, value) for name, value in headers if name.lower() not in _DECODED and not name.startswith(":")]
    status = StatusAndHeaders(
        f"{response['status']} {response.get('statusText', '')}".rstrip(),
        [*kept, ("Content-Length", str(len(body)))],
        protocol="HTTP/1.1",
    )
    answered = writer.create_warc_record(
        url, "response", payload=io.BytesIO(body), http_headers=status, warc_headers_dict=when
    )
    sent = str(request.get("postData", {}).get("text", "")).encode(errors="surrogatepass")
    fields = [(one["name"], one["value"]) for one in request["headers"] if not one["name"].startswith(":")]
    asked = writer.create_warc_record(
        url,
        "request",
        payload=io.BytesIO(sent),
        http_headers=StatusAndHeaders(f"{request['method']} {_path(url)} HTTP/1.1", fields, is_http_request=True),
        warc_headers_dict={**when, "WARC-Concurrent-To": answered.rec_headers.get_header("WARC-Record-ID")},
    )
    writer.write_record(answered)
    writer.write_record(asked)


def _path(url: str) -> str:
    path = url.partition("://")[2].partition("/")[2].partition("#")[0]
    return f"/{path}"


def _pages(network: Network) -> Iterator[dict[str, Any]]:
    """The documents that the main frames of pages showed."""
    yield {"format": "json-pages-1.0", "id": "pages", "title": "All Pages"}
    titles = {page["id"]: page.get("title", "") for page in network.pages}
    frames: dict[str, str] = {}
    for number, entry in enumerate(network.entries):
        page, status = entry.get("pageref", ""), entry["response"]["status"]
        if entry.get("_resourceType") != "document" or not 200 <= status < 300:
            continue
        if frames.setdefault(page, entry.get("_frameref", "")) == entry.get("_frameref", ""):
            url = entry["request"]["url"]
            yield {"id": f"page-{number}", "url": url, "ts": entry["startedDateTime"], "title": titles.get(page) or url}
