"""The child's side: has a client's driver do what a case says, with a child that follows the case."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sidecar.conformance import cases
from sidecar.conformance.cases import Case
from sidecar.conformance.patterns import Names, differences, expected, shown

_AT_ONCE: Final = 4
"""Cases that are played at the same time; each has processes of its own."""


def play(
    wanted: Sequence[Case], command: Sequence[str], env: Mapping[str, str], timeout: float
) -> Iterator[tuple[Case, str]]:
    """Each case with what is wrong, empty where nothing is."""
    with TemporaryDirectory(prefix="sidecar-conformance-") as folder, ThreadPoolExecutor(_AT_ONCE) as threads:
        each = [threads.submit(_wrong, case, command, env, timeout, Path(folder) / case.name) for case in wanted]
        for case, wrong in zip(wanted, each, strict=True):
            yield case, wrong.result()


def _wrong(case: Case, command: Sequence[str], env: Mapping[str, str], timeout: float, report: Path) -> str:
    file = cases.folder_of("client") / f"{case.file}.md"
    report.write_text("")
    child = [
        sys.executable,
        "-P",
        "-m",
        "sidecar.conformance.child",
        str(file),
        case.name,
        str(report),
        str(timeout / 2),
    ]
    names = Names()
    wishes = "".join(names.fill(step.text) + "\n" for step in case.steps if step.mark == "?")
    try:
        done = subprocess.run(  # noqa: S603
            [*command, *child], input=wishes.encode(), capture_output=True, env=env, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"").decode(errors="replace")
        return report.read_text() or f"the driver has not ended within {timeout:g} s; it has printed {shown(said)}"
    if told := report.read_text():
        return told
    printed = [step for step in case.steps if step.mark == "="]
    patterns: list[tuple[int, Any]] = [(step.line, expected(names.fill(step.text))) for step in printed]
    if not any("closed" in pattern or ("ended" in pattern and "as" not in pattern) for _, pattern in patterns):
        patterns.append((case.steps[-1].line, {"closed": 0}))  # the end of nearly every case, so it stands in none
    return _compared(patterns, done.stdout, done.stderr)


def _compared(patterns: list[tuple[int, Any]], printed: bytes, errors: bytes) -> str:
    """What the driver has printed against what it should have, in any order."""
    missing = list(patterns)
    for line in printed.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            return f"the driver prints what is no JSON: {shown(line.decode(errors='replace'))}"
        fitting = [one for one in missing if not list(differences(one[1], value, Names()))]
        if fitting:
            missing.remove(fitting[0])
        else:
            near = min(missing, key=lambda one: len(list(differences(one[1], value, Names()))), default=None)
            against = f"\n  - {shown(near[1])} (line {near[0]})" if near else "\n  - nothing more"
            return f"the driver prints something else:{against}\n  + {shown(value)}"
    if missing:
        number, pattern = missing[0]
        said = "\n    ".join(errors.decode(errors="replace").splitlines()[-5:])
        return f"line {number}: the driver does not print {shown(pattern)}" + (
            f"; its stderr:\n    {said}" if said else ""
        )
    return ""
