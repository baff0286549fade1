"""`sidecar schema [TYPE]`: prints the JSON Schema of messages, or writes it into a folder."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sidecar.cli.arguments import unknown
from sidecar.cli.output import print_text

_ACTIONS: Final = "actions"
"""Names the actions of a job's steps, which `send_job` takes without looking at them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which schema, and where to write all."""
    parser.add_argument("type", metavar="TYPE", nargs="?", help="a message's type, or `actions`; all without it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a file for each type, and print their paths")
    parser.add_argument("--typescript", type=Path, metavar="FILE", help="write TypeScript declarations")


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Prints or writes; gives 2 for an unknown type or a folder that can't be written."""
    try:
        written = [*_schema_files(parsed.out), *_typescript_file(parsed.typescript)]
    except OSError as failure:
        print(f"sidecar: can't write {failure.filename}: {failure.strerror}", file=sys.stderr)
        return 2
    if written and not parsed.type:
        return print_text("".join(f"{path}\n" for path in written))
    return _print_schema(parsed.type)


def _print_schema(kind: str | None) -> int:
    from sidecar_protocol.json_schema import schemas

    known = {name.removesuffix(".json"): schema for name, schema in schemas().items()}
    if kind is None:
        shown = known
    elif kind == _ACTIONS:
        from sidecar.browser.steps.action_schema import action_schema  # late: it imports Playwright

        shown = action_schema()
    elif kind in known:
        shown = known[kind]
    else:
        way = "; to write files: `sidecar schema --out DIR`" if "/" in kind or Path(kind).is_dir() else ""
        print(f"sidecar: {unknown('type', kind, [*known, _ACTIONS])}{way}", file=sys.stderr)
        return 2
    return print_text(json.dumps(shown, indent=2) + "\n")


def _schema_files(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    from sidecar_protocol.json_schema import write_schemas

    return write_schemas(folder)


def _typescript_file(path: Path | None) -> list[Path]:
    if path is None:
        return []
    from sidecar_protocol.typescript import declarations

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(declarations(), encoding="utf-8")
    return [path]
