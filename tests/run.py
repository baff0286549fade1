"""Runs the suite, several tests at a time; what fails is run again with the machine to itself. Arguments are pytest's.

Tests start browsers, servers and processes and keep all cores full: one in ten thousand misses a deadline there that
says nothing of the code. A test that fails must then pass three times alone, which a fault of the code does not; its
failure stays in the output, and the last lines name it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

WORKERS = (os.cpu_count() or 1) + 1
"""One more than there are cores: a test waits for a quarter of its time."""
MOST_FAILURES = 3
"""More than these are no matter of a full machine."""
TIMES = 3
_PYTEST = [sys.executable, "-m", "pytest"]
_FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main(arguments: list[str]) -> int:
    """Returns pytest's exit code: 0 if all tests passed, be it alone."""
    _FAILED.unlink(missing_ok=True)
    code = subprocess.call([*_PYTEST, "-n", str(WORKERS), "--dist", "loadfile", "--durations=40", *arguments])
    if code != 1 or not _FAILED.exists():
        return code
    failures = _FAILED.read_text()
    names = sorted(json.loads(failures))
    if len(names) > MOST_FAILURES:
        return code
    for _ in range(TIMES):
        _FAILED.write_text(failures)  # a pass takes a name out
        if code := subprocess.call([*_PYTEST, "--last-failed", "--last-failed-no-failures=none", *arguments]):
            return code
    for name in names:
        print(f"{name} failed among other tests, and passed {TIMES} times alone: does it depend on time?")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
