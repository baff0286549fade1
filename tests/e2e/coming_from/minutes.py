"""A section's first minute, run as its reader runs it."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.coming_from.page import minute
from tests.harness import environment

SECONDS = 100


def run_minute(section: str, folder: Path, *changes: tuple[str, str]) -> str:
    """What its commands print in a folder that has a `.venv`; `changes` are put in the place of what stands there."""
    (folder / ".venv").symlink_to(sys.prefix)
    commands = minute(section)
    for before, after in changes:
        assert before in commands
        commands = commands.replace(before, after)
    return run(["bash", "-euo", "pipefail", "-c", commands], folder)


def run(command: list[str], folder: Path) -> str:
    """What a command prints, which must succeed."""
    env, nothing = environment(folder), subprocess.DEVNULL
    done = subprocess.run(command, cwd=folder, env=env, stdin=nothing, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout
