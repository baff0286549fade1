"""What every measurement needs: the two sides, a folder for each child, rounds in turn, and the rows that come out."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.child import Child

FLOOR: Final = (sys.executable, str(Path(__file__).with_name("floor.py")))
SIDECAR: Final = (str(Path(sys.executable).with_name("sidecar")),)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, what stands beside it, and what it has to be."""

    what: str
    unit: str
    beside: float | None
    sidecar: float
    least: float | None = None
    """The lowest ratio to `beside`, or the lowest value where nothing is beside it."""
    most: float | None = None
    """The highest, in the same way."""
    wished: bool = False
    """Whether missing it is no failure."""

    @property
    def ratio(self) -> float | None:
        """The sidecar's figure divided by the one beside it."""
        return None if self.beside is None else self.sidecar / self.beside

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        value = self.sidecar if self.ratio is None else self.ratio
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def target(self) -> str:
        """The target in words."""
        words = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
        return f"({words})" if self.wished else words


@dataclass(frozen=True, slots=True)
class Bench:
    """Starts the two sides, each time in a folder of its own."""

    folder: Path
    rounds: int
    jobs: int = 60
    """How many browser jobs run in a row where memory is watched."""

    @contextlib.contextmanager
    def child(self, command: Sequence[str], **variables: str) -> Iterator[Child]:
        """A fresh child with an empty state folder."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            clean = {k: v for k, v in os.environ.items() if not k.startswith("SIDECAR_") and "_SCRAPER_CLIENT" not in k}
            environ = {**clean, "SIDECAR_HOME": f"{folder}/state", **variables}
            with Child(command, Path(folder), environ) as child:
                yield child

    def medians(self, *measures: Callable[[], float]) -> list[float]:
        """Runs the measures in turn, A B A B, and gives each one's median."""
        taken = [[measure() for measure in measures] for _ in range(self.rounds)]
        return [statistics.median(values) for values in zip(*taken, strict=True)]

    @contextlib.contextmanager
    def server(self, latency_ms: float = 0.0) -> Iterator[str]:
        """A stand-in RT-CV server; gives the line that logs in to it."""
        command = (sys.executable, "-m", "benchmarks.server", "--latency-ms", str(latency_ms))
        root = Path(__file__).parents[1]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdin
            assert process.stdout
            yield process.stdout.readline().strip()
            process.stdin.close()
