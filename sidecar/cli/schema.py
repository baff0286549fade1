"""`sidecar schema FOLDER`: writes the JSON Schema of every message."""

import argparse
from collections.abc import Mapping
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("--typescript", type=Path, metavar="FILE", help="write TypeScript declarations, too")


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Writes the files and prints their paths."""
    from sidecar_protocol.json_schema import write_schemas
    from sidecar_protocol.typescript import declarations

    for path in write_schemas(parsed.folder):
        print(path)
    if parsed.typescript:
        parsed.typescript.parent.mkdir(parents=True, exist_ok=True)
        parsed.typescript.write_text(declarations(), encoding="utf-8")
        print(parsed.typescript)
    return 0
