"""A reader who follows a page of the documentation: saves its files, runs its commands, compares what they print.

A block's language and title say what becomes of it:

- `sh`: run in bash, in the reader's folder, with the variables that earlier blocks have exported. It must succeed.
- `sh` with a title that names a terminal: left running in the background until the page has ended.
- `sh` with a title that begins with `on`: for another machine; only its syntax is checked.
- `text`: what the last command has printed, or with the title of a terminal what that one prints; `…` is anything.
- a title that is a file's name: saved under that name.
- `json` without a title: messages that the sidecar would take, one a block. `yaml`, `toml`: parsed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml
from sidecar_protocol import codec

from tests.harness import NODE, OURS, SECONDS
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[1]
PORTS: Final = (3000, 4000, 5000, 8000)
"""What pages call the ports of their servers; a reader of a test gets free ones."""
_BLOCK: Final = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_DONE_BY_SET_UP: Final = re.compile(r"^make (setup|demo|test)\b.*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in their order."""
    return [Block(*found.groups(default="")) for found in _BLOCK.finditer(page.read_text())]


class Reader:
    """A checkout after `make setup`, and a shell in it. Used as a context manager: terminals end with it."""

    def __init__(self, folder: Path, *, has_path: bool = False) -> None:
        """Where `has_path`, what `.venv` has is in the PATH already."""
        self.folder = folder
        self._ports = {str(port): str(free_port()) for port in PORTS}
        self._terminals: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._printed = ""
        (folder / ".venv").symlink_to(sys.prefix)
        for name in ("clients", "examples", "tests"):
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)
        (folder / "node_modules").symlink_to(Path(sys.prefix) / "javascript" / "node_modules")
        (folder / "bin").mkdir()
        (folder / "bin" / "node").symlink_to(NODE)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        path = f"{folder / '.venv' / 'bin'}:{path}" if has_path else path
        self._env = {**kept, "PATH": path, "SIDECAR_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}

    def follow(self, page: Path) -> None:
        """Does what the page says, from its beginning to its end. Raises AssertionError with the block that failed."""
        found = blocks(page)
        assert found, page
        for block in found:
            self._do(block, self._with_ports(block.text))

    def _do(self, block: Block, text: str) -> None:
        if block.language == "text":
            self._compare(block.title, text)
        elif block.language == "sh" and "terminal" in block.title:
            self._open_terminal(block.title, text)
        elif block.language == "sh" and block.title.startswith("on "):
            self._bash("-n", text)
        elif block.language == "sh":
            self._printed = self._run(text)
        elif block.title:
            self._save(block.title, text)
        else:
            check(block.language, text)

    def _with_ports(self, text: str) -> str:
        return re.sub(r"\b(3000|4000|5000|8000)\b", lambda found: self._ports[found[0]], text)

    def _save(self, name: str, text: str) -> None:
        check(name.rpartition(".")[2], text)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _run(self, script: str) -> str:
        """What a block prints on stdout and stderr."""
        script = _DONE_BY_SET_UP.sub("true", script)
        return self._bash("-euo", "pipefail", f"[ ! -f .exported ] || . ./.exported\n{script}\nexport -p >.exported\n")

    def _bash(self, *arguments: str) -> str:
        *options, script = arguments
        done = subprocess.run(
            ["bash", *options, "-c", script],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, f"exit code {done.returncode} of\n{script}\nwhich printed\n{done.stdout}"
        return done.stdout

    def _open_terminal(self, title: str, script: str) -> None:
        """Runs until the end of the page; returns once it has printed its first line."""
        output = self.folder / f"{title}.out"
        script = f"[ ! -f .exported ] || . ./.exported\n{script}"
        with output.open("wb") as out:
            terminal = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._terminals[title] = terminal, output
        self._until(title, re.compile(".*\n"))

    def _compare(self, title: str, expected: str) -> None:
        lines = (".*".join(map(re.escape, line.split("…"))) for line in expected.splitlines())
        pattern = re.compile("^" + "\n".join(lines) + "$", re.MULTILINE)
        if title:
            self._until(title, pattern)
        else:
            assert pattern.search(self._printed), f"expected\n{expected}\nprinted\n{self._printed}"

    def _until(self, title: str, pattern: re.Pattern[str]) -> None:
        """Returns once a terminal has printed what matches."""
        terminal, output = self._terminals[title]
        deadline = time.monotonic() + SECONDS
        while not pattern.search(output.read_text()):
            assert terminal.poll() is None, f"{title}: exit code {terminal.returncode}\n{output.read_text()}"
            assert time.monotonic() < deadline, f"{title}: expected\n{pattern.pattern}\nprinted\n{output.read_text()}"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        for terminal, _ in self._terminals.values():
            if terminal.poll() is None:
                os.killpg(terminal.pid, signal.SIGKILL)
            terminal.communicate(timeout=SECONDS)


def check(language: str, text: str) -> Any:
    """Whether a block is what its language says; gives the value of what has one."""
    if language == "json":
        value = json.loads(text)
        if isinstance(value, dict) and "type" in value:
            codec.decode_content(codec.decode(json.dumps(value).encode()))
        return value
    if language in ("yaml", "yml"):
        return yaml.safe_load(text)
    if language == "toml":
        return tomllib.loads(text)
    if language in ("py", "python"):
        return compile(text, "block", "exec")
    return text
