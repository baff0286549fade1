"""Shared parts of the measurements: the two sides, a folder for each child, alternating rounds, and the result rows."""

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
    """One row: a measured value, its baseline and its target."""

    what: str
    unit: str
    baseline: float | None
    sidecar: float
    least: float | None = None
    """The lowest allowed ratio to `baseline`, or the lowest value without a baseline."""
    most: float | None = None
    """The highest allowed ratio or value."""
    wished: bool = False
    """Whether missing the target is no failure."""

    @property
    def ratio(self) -> float | None:
        """The sidecar's figure divided by the baseline."""
        return None if self.baseline is None else self.sidecar / self.baseline

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
    """Starts the two sides, each time in a new folder."""

    folder: Path
    rounds: int
    jobs: int = 60
    """Number of browser jobs in a row while memory is measured."""

    @contextlib.contextmanager
    def child(self, command: Sequence[str], **variables: str) -> Iterator[Child]:
        """A fresh child with an empty state folder."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            clean = {k: v for k, v in os.environ.items() if not k.startswith("SIDECAR_") and "_SCRAPER_CLIENT" not in k}
            environ = {**clean, "SIDECAR_HOME": f"{folder}/state", **variables}
            with Child(command, Path(folder), environ) as child:
                yield child

    def medians(self, *measures: Callable[[], float]) -> list[float]:
        """Runs the measures alternately, A B A B, and returns each one's median."""
        taken = [[measure() for measure in measures] for _ in range(self.rounds)]
        return [statistics.median(values) for values in zip(*taken, strict=True)]

    @contextlib.contextmanager
    def server(self, latency_ms: float = 0.0) -> Iterator[str]:
        """A stand-in RT-CV server; yields the line that logs in to it."""
        command = (sys.executable, "-m", "benchmarks.server", "--latency-ms", str(latency_ms))
        root = Path(__file__).parents[1]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdin
            assert process.stdout
            yield process.stdout.readline().strip()
            process.stdin.close()
