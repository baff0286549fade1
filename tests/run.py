"""Runs the suite, several tests at a time; files with failures are run again alone. Arguments are pytest's.

Tests start browsers, servers and processes and keep all cores full: one in ten thousand misses a deadline there that
says nothing of the code. The files of failed tests must then pass twice, with the machine to themselves, which a fault
of the code does not let them; the failure stays in the output, and the last lines name it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKERS = os.cpu_count() or 1
"""With one more, two cores were no faster, and four tests missed a deadline instead of one."""
MOST_FAILURES = 5
"""More than these are no matter of a full machine."""
TIMES = 2
_FAILED = Path(".pytest_cache/v/cache/lastfailed")


class _Workers:
    """Watches pytest-xdist's workers: where one has died, tests may be left that were never run."""

    died = False

    def pytest_testnodedown(self, error: object) -> None:
        self.died = self.died or bool(error)


def main(arguments: list[str]) -> int:
    """Returns pytest's exit code: 0 if all tests passed, be it alone."""
    _FAILED.unlink(missing_ok=True)
    workers = _Workers()
    code = int(pytest.main(["-n", str(WORKERS), "--dist", "loadfile", "--durations=40", *arguments], [workers]))
    sys.stdout.flush()  # before the runs of single files, which write past it
    if code != pytest.ExitCode.TESTS_FAILED or workers.died or not _FAILED.exists():
        return code
    names = sorted(json.loads(_FAILED.read_text()))
    if len(names) > MOST_FAILURES:
        return code
    for file in sorted({name.partition("::")[0] for name in names}):
        for _ in range(TIMES):
            if code := subprocess.call([sys.executable, "-m", "pytest", *arguments, file]):
                return code
    for name in names:
        print(f"{name} failed among other tests, and its file passed {TIMES} times alone: does it depend on time?")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
