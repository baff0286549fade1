"""`sidecar client LANGUAGE`: prints the client for a language, or writes it into a scraper's folder."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.cli.output import print_text

_INSTALLED: Final = Path(__file__).parent / "client_files"
_CHECKOUT: Final = Path(__file__).parents[2] / "clients"


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """The files of one client, by their paths in `folder`, which they keep where they are written."""

    folder: str
    """Of `clients/`."""
    client: tuple[str, ...]
    """The client itself, then what belongs to it, such as its types."""
    example: tuple[str, ...]
    """The small scraper, then what it needs."""
    run: str
    """The command that runs the example, with `sidecar` on the PATH."""


_NODE: Final = ("sidecar.mjs", "sidecar.d.mts", "index.d.ts")
CLIENTS: Final = {
    "node": ClientFiles("typescript", _NODE, ("scraper.mjs",), "node scraper.mjs"),
    "deno": ClientFiles("typescript", _NODE, ("scraper.mjs",), "deno run --allow-run --allow-env scraper.mjs"),
    "go": ClientFiles("go", ("sidecar.go",), ("scraper/main.go", "go.mod"), "go run ./scraper"),
    "php": ClientFiles("php", ("Sidecar.php",), ("scraper.php",), "php scraper.php"),
    "ruby": ClientFiles("ruby", ("sidecar.rb",), ("scraper.rb",), "ruby scraper.rb"),
    "bash": ClientFiles("bash", ("sidecar.bash",), ("scraper.bash",), "bash scraper.bash"),
}
"""Each language's files."""


_OTHER_NAMES: Final = {
    **dict.fromkeys(("javascript", "js", "nodejs", "ts", "typescript"), "node"),
    **dict.fromkeys(("sh", "shell"), "bash"),
    "golang": "go",
    "rb": "ruby",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which client, and where it goes."""
    parser.add_argument("language", type=_language, choices=tuple(CLIENTS), help="of which language")
    parser.add_argument(
        "--out", metavar="PATH", help="write it to this file; to a folder also what belongs to it, such as types"
    )
    parser.add_argument("--example", action="store_true", help="a small scraper; with --out FOLDER, and its client")
    parser.add_argument("--force", action="store_true", help="replace files that have other content")
    parser.epilog = f"Python's client is in the package: `from sidecar.client import Sidecar`. {parser.epilog}"


def _language(word: str) -> str:
    if word.lower() in ("python", "py"):
        raise argparse.ArgumentTypeError("Python's is in the package: `from sidecar.client import Sidecar`")
    return _OTHER_NAMES.get(word.lower(), word.lower())


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Prints or writes; gives 2 for a path that can't be written, or holds something else."""
    files = CLIENTS[parsed.language]
    source = (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / files.folder
    asked = files.example if parsed.example else files.client
    if parsed.out is None:
        return print_text((source / asked[0]).read_text(encoding="utf-8"))
    out = Path(parsed.out)
    if out.is_dir() or parsed.out.endswith("/"):
        names = files.client + files.example if parsed.example else files.client
        copies = {out / name: source / name for name in names}
    else:
        copies = {out: source / asked[0]}
    try:
        written = _write(copies, force=parsed.force)
    except OSError as failure:
        print(f"sidecar client: can't write {failure.filename}: {failure.strerror}", file=sys.stderr)
        return 2
    if written and parsed.example and len(copies) > 1:
        print(f"sidecar client: to run the example in {out}: {files.run}", file=sys.stderr)
    return 0 if written else 2


def _write(copies: Mapping[Path, Path], *, force: bool) -> bool:
    """Writes all files or none, and prints their paths. Raises OSError."""
    contents = {path: source.read_bytes() for path, source in copies.items()}
    other = [path for path, content in contents.items() if path.exists() and path.read_bytes() != content]
    if other and not force:
        shown = ", ".join(map(str, other))
        print(f"sidecar client: {shown}: there with other content; --force replaces it", file=sys.stderr)
        return False
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print_text("".join(f"{path}\n" for path in contents))
    return True
