"""`sidecar run-job FILE`: runs one browser job and prints its reply; its files are written next to it."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidecar.cli.one_job import EXIT_CODES, INVALID, Destinations, run_job
from sidecar.cli.output import print_text


class _NotAJob(Exception):
    """The file holds no job; the message is one sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job, and where its files go."""
    parser.add_argument("file", metavar="FILE", help="JSON: the content of send_job, or the message; - reads stdin")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="for its files (default: this folder)")
    named = "Files are named after FILE: shop.json leaves shop.png, shop.html, and after a failure shop.failed.png"
    parser.epilog = f"{named}. {EXIT_CODES}. {parser.epilog}"


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Runs the job; gives the exit code that tells its outcome."""
    stem = "job" if parsed.file == "-" else Path(parsed.file).stem
    try:
        job = _read(parsed.file)
        outcome = run_job(job, flags, Destinations(parsed.out, stem), own_settings=False)
    except _NotAJob as wrong:
        print(f"sidecar run-job: {wrong}", file=sys.stderr)
        return INVALID
    except OSError as failure:
        print(f"sidecar run-job: can't write {failure.filename}: {failure.strerror}", file=sys.stderr)
        return INVALID
    print_text(json.dumps(outcome.reply, ensure_ascii=False) + "\n")
    if outcome.error:
        outcome.print_failure("run-job")
    return outcome.code


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        job = json.loads(text)
    except OSError as failure:
        raise _NotAJob(f"can't read {file}: {failure.strerror}") from None
    except (ValueError, RecursionError) as wrong:
        raise _NotAJob(f"{file} is not JSON: {wrong}") from None
    if isinstance(job, dict) and job.get("type") == "send_job":
        job = job.get("content")
    if not isinstance(job, dict):
        raise _NotAJob(f'{file} is not a job, such as {{"steps": [{{"url": "https://example.com"}}]}}')
    return job
