"""Runs the measurements and prints them as a table. `python -m benchmarks.run --only pings,references` selects."""

import argparse
import compileall
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.bench import Bench, Figure
from benchmarks.measure import GROUPS

WIDTH = 110
"""Width of the table in columns, also without a terminal."""

PACKAGES = [Path(__file__).parents[1] / name for name in ("sidecar", "protocol", "benchmarks")]
"""Compiled first, as in an installation: with PYTHONDONTWRITEBYTECODE each start would compile them."""


def main() -> int:
    """Exits 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(GROUPS), help="comma separated, of: " + ", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs; the median counts")
    parser.add_argument("--jobs", type=int, default=60, help="browser jobs in a row where memory is watched")
    options = parser.parse_args()
    names = options.only.split(",")
    unknown = sorted(set(names) - set(GROUPS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    for package in PACKAGES:
        compileall.compile_dir(package, quiet=1)
    console = Console(width=WIDTH)
    figures: list[Figure] = []
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, medians of {options.rounds}")
    with tempfile.TemporaryDirectory(prefix="sidecar-bench-") as folder:
        for name in names:
            with console.status(name):
                figures += GROUPS[name](Bench(Path(folder), options.rounds, options.jobs))
    console.print(_table(figures))
    return 0 if all(figure.met or figure.wished for figure in figures) else 1


def _table(figures: Sequence[Figure]) -> Table:
    table = Table("what", "unit")
    for heading in ("baseline", "sidecar", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in figures:
        table.add_row(
            figure.what,
            figure.unit,
            _number(figure.baseline),
            _number(figure.sidecar),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.target,
            "ok" if figure.met else "missed",
        )
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
