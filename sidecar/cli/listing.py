"""Tables and details of what is stored, for a terminal, a pipe, or as one line of JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from sidecar.cli.output import print_text
from sidecar.clock import Clock
from sidecar.composition.stored_work import StoredWork, open_stored_work
from sidecar.settings import load

_WIDEST: Final = 60
"""Characters of a cell, but for the last of a row."""


def look(flags: Mapping[str, str], read: Callable[[StoredWork], Awaitable[Any]]) -> Any:
    """What `read` makes of the stored work. Raises SettingsError, SidecarError."""
    settings = load(flags)

    async def run() -> Any:
        async with open_stored_work(settings, Clock()) as stored:
            return await read(stored)

    return asyncio.run(run())


def print_json(content: Any) -> int:
    """One line, in ASCII, which goes through every encoding of the output."""
    return print_text(json.dumps(content, separators=(",", ":")) + "\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], total: int, what: str) -> int:
    """Columns, and what is left out of them; a sentence if there are no rows."""
    if not rows:
        return print_text(f"no {what}\n")
    shown = [tuple(heads), *(tuple(map(printable, row)) for row in rows)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*shown, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    if total > len(rows):
        lines.append(f"the first {len(rows)} of {total} {what}; --limit N shows more")
    return print_text("\n".join(lines) + "\n")


def print_details(content: Mapping[str, Any]) -> int:
    """A line for each member."""
    width = max(map(len, content))
    lines = [f"{name:{width}}  {printable(_text(value))}" for name, value in content.items()]
    return print_text("\n".join(lines) + "\n")


def not_found(sentence: str) -> int:
    """Prints the sentence on stderr; gives 1."""
    print(f"sidecar: {sentence}", file=sys.stderr)
    return 1


def printable(text: str) -> str:
    """Text without characters that move the cursor or change the text's direction."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
