"""The command line: flags, commands, and what it says to wrong ones."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sidecar_protocol.json_schema import schemas

import sidecar
from sidecar.cli import commands
from sidecar.settings import SECRETS, SETTINGS
from tests.harness import SECONDS, Child, environment


def run(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs the command line to its end, without input."""
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(folder, env),
        timeout=SECONDS,
    )


def test_the_version(tmp_path: Path) -> None:
    """On stdout, for people."""
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sidecar {sidecar.__version__}\n".encode(), b"")


def test_help_names_every_flag_and_command(tmp_path: Path) -> None:
    """Every setting has its flag, but those that are secret: a process's arguments are public."""
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for field in SETTINGS:
        assert (f"--{field.replace('_', '-')}".encode() in done.stdout) == (field not in SECRETS)
    for word in (b"replay", b"schema", b"doctor", b"-replaySkipCommands", b"-repeatReplay"):
        assert word in done.stdout


def test_schemas_are_written(tmp_path: Path) -> None:
    """Into a folder that is made, and their paths are told."""
    done = run(tmp_path, "schema", "made/here")
    assert done.returncode == 0
    paths = done.stdout.decode().split()
    assert sorted(Path(path).name for path in paths) == sorted(schemas())
    assert json.loads((tmp_path / "made/here/ping.json").read_bytes())["title"] == "ping"


@pytest.mark.parametrize(
    "arguments",
    [
        "agenda",
        "agenda --json",
        pytest.param("doctor", marks=pytest.mark.browser),
        "schema made",
        "-replay log",
        "--version",
    ],
)
def test_without_a_standard_output(tmp_path: Path, arguments: str) -> None:
    """Every command does its work where nobody can read of it."""
    (tmp_path / "log").write_text('{"type":"ping"}\n')
    command = f"exec {sys.executable} -m sidecar {arguments} >&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, env=environment(tmp_path), cwd=tmp_path, timeout=SECONDS
    )
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)


@pytest.mark.parametrize(
    "arguments",
    [["--max-lines", "5"], ["--max-lin", "2048"], ["nothing"], ["schema"], ["replay"], ["--max-line"], ["-x"]],
)
def test_arguments_without_sense(tmp_path: Path, arguments: list[str]) -> None:
    """A usage line on stderr, nothing on stdout, exit code 2."""
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: sidecar")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--max-line", "5"], {}, b"sidecar: --max-line: Expected int >= 1024\n"),
        ([], {"SIDECAR_MAX_LINE": "x"}, b"sidecar: SIDECAR_MAX_LINE: Expected int, got str\n"),
        (["doctor"], {"SIDECAR_MAX_LINE": "x"}, b"sidecar: SIDECAR_MAX_LINE: Expected int, got str\n"),
    ],
)
def test_settings_without_sense(tmp_path: Path, arguments: list[str], env: dict[str, str], said: bytes) -> None:
    """One sentence on stderr, no `ready`, exit code 2."""
    done = run(tmp_path, *arguments, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


def test_flags_are_settings() -> None:
    """By their field's name; those that aren't given are left to the environment."""
    parsed = commands.parse(["--max-line", "2048", "--log-input", "--log-debug", "d.log"])
    assert parsed.run is None
    assert parsed.flags == {"max_line": "2048", "log_input": "scraper_client_input.log", "log_debug": "d.log"}


def test_a_session_with_flags_and_variables(tmp_path: Path) -> None:
    """`hello` tells the bounds in force."""
    with Child(
        tmp_path, "--max-in-flight", "3", env={"SIDECAR_MAX_LINE": "2048", "SIDECAR_MAX_IN_FLIGHT": "9"}
    ) as child:
        [told] = child.ask({"type": "hello"})
        assert told["content"]["limits"] == {"max_line_bytes": 2048, "max_in_flight": 3, "max_nesting": 1000}
        assert told["content"]["version"] == sidecar.__version__
        assert child.end() == 0


def test_the_installed_command_serves_too(tmp_path: Path) -> None:
    """`sidecar` is the same as `python -m sidecar`."""
    command = Path(sys.executable).with_name("sidecar")
    with Child(tmp_path, command=[os.fspath(command)]) as child:
        assert child.ask({"type": "ping"}) == [{"type": "pong"}]
        assert child.end() == 0


def test_a_working_folder_that_was_removed(tmp_path: Path) -> None:
    """A scraper whose folder was replaced meanwhile still gets its sidecar, by command line and client."""
    client = "from sidecar.client import Sidecar\nwith Sidecar() as sidecar:\n    sidecar.set_mock({})\nprint('fine')"
    for command, told in (
        ([sys.executable, "-c", "from sidecar.__main__ import main; main()"], b'{"type":"pong"}'),
        ([sys.executable, "-c", client], b"fine"),
    ):
        gone = tmp_path / "gone"
        gone.mkdir()
        shell = f'cd {gone} && rmdir {gone} && exec "$@"'
        done = subprocess.run(
            ["sh", "-c", shell, "sh", *command],
            input=b'{"type":"ping"}\n',
            capture_output=True,
            env=environment(tmp_path),
            timeout=SECONDS,
        )
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [told]), done.stderr
