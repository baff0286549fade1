"""`sidecar report`: one page that shows what happened in a recorded session."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

_MEGABYTE: Final = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and where the page goes."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a recording, or a folder with recordings")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the page here (report.html)")
    parser.add_argument("--max-mb", metavar="MB", type=_megabytes, default=3.0, help="how large it may be (3)")
    parser.add_argument("--live", action="store_true", help="serve it on this machine, for a session that still runs")
    parser.add_argument("--port", metavar="PORT", type=int, default=0, help="with --live: the port (a free one)")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:  # noqa: ARG001 - it needs no settings
    """Writes or serves the page. 0, or 2 if there is no recording, or the page can't be written."""
    from sidecar.recording.recording_folder import RecordingError
    from sidecar.recording.replay_recording import newest

    if parsed.live and parsed.output:
        print("sidecar: -o writes a page, --live serves one: only one of them, please", file=sys.stderr)
        return 2
    most = int(parsed.max_mb * _MEGABYTE)
    try:
        folder = newest(parsed.folder)
        return _serve(folder, most, parsed.port) if parsed.live else _write(folder, most, parsed.output)
    except RecordingError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
    except OSError as failure:
        place = f"{failure.filename}: " if failure.filename else ""
        print(f"sidecar: {place}{(failure.strerror or str(failure)).lower()}", file=sys.stderr)
    return 2


def _write(folder: Path, most: int, output: Path | None) -> int:
    from sidecar.recording.report.report_page import report_page

    path = output or Path("report.html")
    base = quote(f"{os.path.relpath(folder.resolve(), path.parent.resolve())}/")
    page = report_page(folder, most, base=base)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(page)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    print(path)
    return 0


def _serve(folder: Path, most: int, port: int) -> int:
    from sidecar.net.local_page import LocalPage
    from sidecar.recording.report.live_report import LiveReport

    async def serve() -> None:
        report = LiveReport(folder, most)
        await report.page()  # what is wrong with the folder is better said now
        await LocalPage(report.page, report.data, report.artifact, port).serve(
            lambda address: print(address, flush=True)
        )

    asyncio.run(serve())
    return 0


def _megabytes(text: str) -> float:
    value = float(text)
    if not 0.3 <= value <= 100:
        raise argparse.ArgumentTypeError("from 0.3 to 100 MB")
    return value
