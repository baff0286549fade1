"""`sidecar get URL`: opens a page in a browser and prints what was asked of it."""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sidecar.cli.one_job import EXIT_CODES, INVALID, Destinations, run_job
from sidecar.cli.output import print_text, standard_output

_HAS_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d)", re.IGNORECASE)
_IS_LOCAL: Final = re.compile(r"(localhost|127\.|\[::1\]|0\.0\.0\.0)")
_ATTRIBUTE: Final = re.compile(r"(?P<selector>(?!//|xpath=).+)@(?P<attribute>[\w:-]+)")
_FILES: Final = ("screenshot", "html", "pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The page, what is taken from it, and how it is opened."""
    parser.add_argument("url", metavar="URL", help="https:// is assumed")
    taken = "NAME=SELECTOR for text, NAME=SELECTOR@ATTRIBUTE, NAME[]=SELECTOR for all matches; several times"
    each: dict[str, Any] = {"type": _field, "action": "append", "default": []}
    parser.add_argument("-e", "--extract", metavar="NAME=SELECTOR", help=taken, **each)
    for name in _FILES:
        said = f"write {name.upper()} of the page at the end" + ("; - prints it" if name == "html" else "")
        parser.add_argument(f"--{name}", metavar="F", type=Path, help=said)
    parser.add_argument(
        "--browser",
        type=str.upper,
        choices=("CHROMIUM", "FIREFOX", "WEBKIT"),
        default="CHROMIUM",
        help="default CHROMIUM",
    )
    waits = ("load", "domcontentloaded", "networkidle", "commit")
    parser.add_argument("--wait-until", choices=waits, default="load", help="what counts as arrived (default: load)")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=30.0, help="for the page (default: 30)")
    parser.add_argument("--fail", action="store_true", help="an HTTP status of 400 or more is a failure")
    parser.epilog = f"{EXIT_CODES[0].upper()}{EXIT_CODES[1:]}. {parser.epilog}"


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Opens the page; gives the exit code that tells the outcome."""
    files = {name: path for name in _FILES if (path := getattr(parsed, name))}
    named = {name: path for name, path in files.items() if path != Path("-")}
    try:
        with tempfile.TemporaryDirectory(prefix="sidecar-") as folder:  # for HTML that is printed
            destinations = Destinations(Path(folder), "page", named, _failure_folder)
            outcome = run_job(_job(parsed, files), flags, destinations, own_settings=True)
            if outcome.code:
                outcome.print_failure("get")
                return outcome.code
            return _print(outcome.reply["result"], parsed)
    except OSError as failure:
        print(f"sidecar get: can't write {failure.filename}: {failure.strerror}", file=sys.stderr)
        return INVALID


def _job(parsed: argparse.Namespace, files: Mapping[str, Path]) -> dict[str, Any]:
    milliseconds = max(1, round(parsed.timeout * 1000))
    step: dict[str, Any] = {"url": full_url(parsed.url), "wait_until": parsed.wait_until, "timeout_ms": milliseconds}
    if parsed.extract:
        step["extract"] = dict(parsed.extract)
    return {
        "steps": [step],
        "browser": parsed.browser,
        "options": [name.upper() for name in files],
        "fail_on_status": parsed.fail,
        "timeout_ms": milliseconds + 30_000,
    }


def _failure_folder() -> Path:
    """A folder that stays, so that a failure leaves nothing in the one where the command was typed."""
    return Path(tempfile.mkdtemp(prefix="sidecar-get-"))


def full_url(url: str) -> str:
    """The URL with a scheme: `https`, or `http` for this machine."""
    if _HAS_SCHEME.match(url):
        return url
    return f"http://{url}" if _IS_LOCAL.match(url) else f"https://{url}"


def _field(text: str) -> tuple[str, Any]:
    name, _, selector = text.partition("=")
    all_matches = name.endswith("[]")
    name = name.removesuffix("[]")
    if not name or not selector:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SELECTOR, such as title=h1")
    field: dict[str, Any] = {"selector": selector, **({"all": True} if all_matches else {})}
    if with_attribute := _ATTRIBUTE.fullmatch(selector):
        field |= with_attribute.groupdict()
    return name, field


def _print(result: Mapping[str, Any], parsed: argparse.Namespace) -> int:
    if parsed.html == Path("-"):
        return print_text(Path(result["html"]).read_text(encoding="utf-8", errors="replace"))
    (step,) = result["steps"]
    about = {name: step.get(name) for name in ("url", "status", "title")}
    shown = result.get("extract") or {} if parsed.extract else about
    indent = 2 if standard_output().isatty() else None
    return print_text(json.dumps(shown, indent=indent, ensure_ascii=False) + "\n")
