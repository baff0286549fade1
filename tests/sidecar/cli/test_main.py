"""The command line: flags, commands, and what it says to wrong ones."""

import importlib
import json
import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from sidecar_protocol.json_schema import schemas

import sidecar
from sidecar.cli import client, commands
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


def test_help_fits_a_screen(tmp_path: Path) -> None:
    """Usage and a line for each command; nothing of a command's module is needed for it."""
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(commands.COMMANDS)
    for name in commands.COMMANDS:
        assert importlib.import_module(f"sidecar.cli.{name.replace('-', '_')}").run


def test_all_help_explains_every_setting(tmp_path: Path) -> None:
    """With its flag, unit, meaning and default; but secrets have no flag: a process's arguments are public."""
    done = run(tmp_path, "--help-all")
    assert done.returncode == 0
    said = done.stdout.decode()
    assert max(map(len, said.splitlines())) <= 80
    for name in SETTINGS:
        assert (f"  --{name.replace('_', '-')} " in said) == (name not in SECRETS)
        assert f"SIDECAR_{name.upper()}_FILE" in said or name not in SECRETS
    assert "  --max-line BYTES\n      Longest accepted line. Default: 67108864.\n" in said
    for word in ("-replay", "-replaySkipCommands", "-repeatReplay"):
        assert word in said


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_help_of_a_command(command: str) -> None:
    """It is complete, and leaves settings to `--help-all`."""
    said = commands.parsers()[1][command].complete().format_help()
    assert said.startswith(f"usage: sidecar {command}")
    assert "--help-all" in said
    assert "--max-line" not in said


def test_schemas_are_printed_and_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prints one schema, all of them, or writes files into a new folder and prints their paths."""
    assert json.loads(run(tmp_path, "schema", "ping").stdout) == schemas()["ping.json"]
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> tuple[int, str, str]:
        run = commands.parse(["schema", *arguments]).run
        assert run is not None
        return run(), *capfd.readouterr()

    assert json.loads(typed()[1]) == {name.removesuffix(".json"): schema for name, schema in schemas().items()}
    assert json.loads(typed("actions")[1])["$defs"]["Fill"]["required"] == ["selector", "value"]
    code, said, _ = typed("--out", "made/here", "--typescript", "types/index.d.ts")
    assert code == 0
    assert sorted(Path(path).name for path in said.split()) == sorted([*schemas(), "index.d.ts"])
    assert json.loads((tmp_path / "made/here/ping.json").read_bytes())["title"] == "ping"
    (tmp_path / "file").touch()
    for arguments, wrong in (
        (["action"], "unknown type 'action'; did you mean 'actions'?"),
        (["send_jbo"], "unknown type 'send_jbo'; did you mean 'send_job'?"),
        (["protocol/schema"], "unknown type 'protocol/schema'; to write files: `sidecar schema --out DIR`"),
        (["--out", "file"], "can't write file: File exists"),
    ):
        assert typed(*arguments) == (2, "", f"sidecar: {wrong}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "agenda",
        "agenda --json",
        pytest.param("doctor", marks=pytest.mark.browser),
        "schema --out made",
        "completion bash",
        "-replay log",
        "--version",
    ],
)
def test_without_a_standard_output(tmp_path: Path, arguments: str) -> None:
    """Every command works without readable output."""
    (tmp_path / "log").write_text('{"type":"ping"}\n')
    command = f"exec {sys.executable} -m sidecar {arguments} >&-"
    env = environment(tmp_path, {"SIDECAR_FIREFOX": "/nowhere"})  # one browser takes its streams as the other does
    done = subprocess.run(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, env=env, cwd=tmp_path, timeout=3 * SECONDS
    )
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--max-lines 5", "sidecar: unknown flag '--max-lines'; did you mean '--max-line'?"),
        ("--max-lin=2048 worker", "sidecar: unknown flag '--max-lin'; did you mean '--max-line'?"),
        ("-replayy log", "sidecar: unknown flag '-replayy'; did you mean '-replay'?"),
        ("-x", "sidecar: unknown flag '-x'; see `sidecar --help`"),
        ("--max-line", "sidecar: --max-line: expected one argument; see `sidecar --help`"),
        ("wroker", "sidecar: unknown command 'wroker'; did you mean 'worker'?"),
        ("nothing", "sidecar: unknown command 'nothing'; see `sidecar --help`"),
        ("agenda --jsn", "sidecar agenda: unknown flag '--jsn'; did you mean '--json'?"),
        ("agenda today", "sidecar: unrecognized arguments: today; see `sidecar --help`"),
        ("replay", "sidecar replay: the following arguments are required: PATH; see `sidecar replay --help`"),
        ("replay --speed 2x log", "sidecar replay: unknown speed '2x'; one of: 1x, max; see `sidecar replay --help`"),
        ("completion bsh", "sidecar completion: unknown shell 'bsh'; did you mean 'bash'?"),
        ("client nod", "sidecar client: unknown language 'nod'; did you mean 'node'?"),
        (
            "client perl",
            "sidecar client: unknown language 'perl'; one of: node, deno, go, php, ruby, bash;"
            " see `sidecar client --help`",
        ),
        (
            "client python",
            "sidecar client: language: Python's is in the package: `from sidecar.client import Sidecar`;"
            " see `sidecar client --help`",
        ),
        ("help", "sidecar: type `sidecar --help`"),
        ("shop.example/list", "sidecar: to open a page: sidecar get shop.example/list"),
        (
            "job.json",
            "sidecar: a job in a file is run by `sidecar run-job job.json`;"
            " lines in a file are sent by `sidecar < job.json`",
        ),
        ("ping", 'sidecar: ping is a message, which goes to stdin: echo \'{"type":"ping"}\' | sidecar'),
        (
            '{"type":"get_secret","content":{"encryption_key":"hidden"}}',
            "sidecar: a message goes to stdin, on a line of its own:"
            ' echo \'{"type":"get_secret","content":…}\' | sidecar',
        ),
        (
            "worker --http-token=hidden",
            "sidecar worker: --http-token is no flag, because every user of the machine can read the arguments of a"
            " process: set the variable SIDECAR_HTTP_TOKEN,"
            " or SIDECAR_HTTP_TOKEN_FILE to the path of a file that holds it",
        ),
        (
            "--store-key-file k worker",
            "sidecar: --store-key-file is no flag: set the variable SIDECAR_STORE_KEY_FILE to the file's path",
        ),
    ],
)
def test_mistyped_arguments(capsys: pytest.CaptureFixture[str], arguments: str, said: str) -> None:
    """One line on stderr, with the nearest name; nothing on stdout, exit code 2."""
    with pytest.raises(SystemExit) as caught:
        commands.parse(arguments.split())
    assert (caught.value.code, *capsys.readouterr()) == (2, "", f"{said}\n")


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--max-line", "5"], {}, b"sidecar: --max-line: Expected int >= 1024\n"),
        ([], {"SIDECAR_MAX_LINE": "x"}, b"sidecar: SIDECAR_MAX_LINE: Expected int, got str\n"),
        (["doctor"], {"SIDECAR_MAX_LINE": "x"}, b"sidecar: SIDECAR_MAX_LINE: Expected int, got str\n"),
        (["wroker"], {}, b"sidecar: unknown command 'wroker'; did you mean 'worker'?\n"),
        (
            [],
            {"SIDECAR_MAXLINE": "2048"},
            b"sidecar: SIDECAR_MAXLINE is not a setting; did you mean SIDECAR_MAX_LINE?"
            b" Unset it if it belongs to another program\n",
        ),
        (
            ["--log-debug", "no/log"],
            {},
            b"sidecar: --log-debug: no/log can't be written: No such file or directory\n",
        ),
        (["--record", "/dev/null/x"], {}, b"sidecar: --record: /dev/null is not a folder\n"),
        (["--home", "/dev/null"], {}, b"sidecar: --home: /dev/null is not a folder\n"),
        (["--offline", "nowhere"], {}, b"sidecar: --offline: nowhere holds no recording: manifest.json is missing\n"),
    ],
)
def test_invalid_settings_are_refused(tmp_path: Path, arguments: list[str], env: dict[str, str], said: bytes) -> None:
    """One sentence on stderr, no `ready`, exit code 2."""
    done = run(tmp_path, *arguments, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


def test_flags_are_settings() -> None:
    """By their field's name; those that aren't given are left to the environment."""
    parsed = commands.parse(["--max-line", "2048", "--log-input", "--log-debug", "d.log"])
    assert parsed.run is None
    assert parsed.flags == {"max_line": "2048", "log_input": "scraper_client_input.log", "log_debug": "d.log"}


def test_settings_stand_before_and_after_a_command() -> None:
    """The later one counts; webhooks add up."""
    seen: list[Mapping[str, str]] = []

    def see(_: object, flags: Mapping[str, str]) -> int:
        seen.append(flags)
        return 1

    before, after = ["--max-line", "2048", "--webhook", "http://a"], ["--webhook", "http://b", "--max-line", "4096"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sidecar.cli.worker.run", see)
        run = commands.parse([*before, "worker", *after, "--record", "r"]).run
        assert run is not None
        assert run() == 1
    assert seen == [{"max_line": "4096", "webhook": "http://a http://b", "record": "r"}]


def test_at_a_terminal(tmp_path: Path) -> None:
    """A person reads on stderr what to type; the protocol is the same."""
    main, side = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar"], stdin=side, stdout=subprocess.PIPE, stderr=side, env=environment(tmp_path)
    ) as child:
        os.close(side)
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["type"] == "ready"
        said = os.read(main, 1000).decode()
        assert '{"type":"ping"}' in said
        assert "sidecar --help" in said
        os.write(main, b'{"type":"ping"}\n\x04')
        assert json.loads(child.stdout.readline()) == {"type": "pong"}
        assert child.wait(SECONDS) == 0
    os.close(main)


def test_completion_in_bash(tmp_path: Path) -> None:
    """Commands, a command's flags and values, the values of a flag; files for the rest."""
    script = tmp_path / "completion"
    script.write_bytes(run(tmp_path, "completion", "bash").stdout)
    (tmp_path / "some.log").touch()

    def completed(line: str) -> list[str]:
        """What bash proposes for the last word."""
        words = line.split(" ")
        ask = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _sidecar || :; printf '%s\\n'"
        done = subprocess.run(
            ["bash", "-euc", f'source {script}; complete -p sidecar; {ask} "${{COMPREPLY[@]}}"'],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        registered, *proposed = done.stdout.splitlines()
        assert registered == "complete -o default -F _sidecar sidecar"
        return [one for one in proposed if one]

    assert completed("sidecar wo") == ["worker"]
    assert set(completed("sidecar ")) == set(commands.COMMANDS)
    assert completed("sidecar --max-li") == ["--max-line"]
    assert completed("sidecar completion ") == ["bash", "zsh", "fish"]
    assert completed("sidecar replay --sp") == ["--speed"]
    assert completed("sidecar replay --speed ") == ["1x", "max"]
    assert completed("sidecar --max-line 4 agenda --js") == ["--json"]
    assert completed("sidecar redact some") == []  # bash proposes files itself


def test_completion_in_zsh(tmp_path: Path) -> None:
    """A real zsh at a terminal, after TAB: commands, a command's flags, the values of a flag."""
    script = tmp_path / "completion"
    script.write_bytes(run(tmp_path, "completion", "zsh").stdout)
    main, terminal = os.openpty()
    command = ["zsh", "-f", "-i"]
    env = environment(tmp_path, {"TERM": "xterm", "HOME": str(tmp_path), "PS1": ""})
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path, env=env) as zsh:
        os.close(terminal)
        try:
            os.write(main, f"autoload -Uz compinit; compinit -D -u; source {script}; echo is-$((1))-ready\n".encode())
            read_until(main, "is-1-ready")
            for line, proposed in {
                "sidecar rep": ("replay", "report"),
                "sidecar replay --sp": ("--speed",),
                "sidecar replay --speed ": ("1x", "max"),
                "sidecar redact compl": ("completion",),  # a file, where nothing is known
            }.items():
                os.write(main, line.encode() + b"\t")
                read_until(main, *proposed)
                os.write(main, b"\x15")  # Ctrl-U: the line is empty again
        finally:
            zsh.kill()
            os.close(main)


def read_until(descriptor: int, *words: str) -> None:
    """Reads a terminal until each word was in it. Raises AssertionError, with what came, if they don't come."""
    text, deadline = "", time.monotonic() + SECONDS
    while not all(word in text for word in words):
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, text
        text += os.read(descriptor, 65_536).decode(errors="replace")


def test_completion_in_fish(tmp_path: Path) -> None:
    """A real fish: commands, a command's flags, the values of a flag."""
    script = tmp_path / "completion"
    script.write_bytes(run(tmp_path, "completion", "fish").stdout)
    lines = ("sidecar rep", "sidecar replay --sp", "sidecar replay --speed ", "sidecar completion ")
    ask = "; echo; ".join(f"complete -C '{line}'" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; {ask}"],
        capture_output=True,
        text=True,
        env=environment(tmp_path, {"HOME": str(tmp_path)}),
        cwd=tmp_path,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    proposed = [{line.partition("\t")[0] for line in part.splitlines()} for part in done.stdout.split("\n\n")]
    assert proposed == [{"replay", "report"}, {"--speed"}, {"1x", "max"}, {"bash", "zsh", "fish"}]


@pytest.mark.parametrize("language", client.CLIENTS)
def test_clients_are_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """Printed, or written with what belongs to it and its example; a file of other content stays without `--force`."""
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> tuple[int, str, str]:
        run = commands.parse(["client", language, *arguments]).run
        assert run is not None
        return run(), *capfd.readouterr()

    assert commands.parse(["client", "TypeScript"]).run  # by another name
    files = client.CLIENTS[language]
    source = Path(__file__).parents[3] / "clients" / files.folder
    text = (source / files.client[0]).read_text()
    assert typed() == (0, text, "")
    assert typed("--out", "one") == (0, "one\n", "")
    assert Path("one").read_text() == text
    names = [*files.client, *files.example]
    code, said, way = typed("--out", "new/", "--example")
    assert (code, said.split()) == (0, [f"new/{name}" for name in names])
    assert way == f"sidecar client: to run the example in new: {files.run}\n"
    assert {name: Path("new", name).read_bytes() for name in names} == {
        name: (source / name).read_bytes() for name in names
    }
    Path("new", files.client[0]).write_text("mine")
    refused = f"sidecar client: new/{files.client[0]}: there with other content; --force replaces it\n"
    assert typed("--out", "new") == (2, "", refused)
    assert Path("new", files.client[0]).read_text() == "mine"
    assert typed("--out", "new", "--force")[0] == 0
    assert Path("new", files.client[0]).read_text() == text
    Path("file").touch()
    assert typed("--out", "file/") == (2, "", "sidecar client: can't write file: File exists\n")


def test_a_session_with_flags_and_variables(tmp_path: Path) -> None:
    """`hello` returns the limits in force."""
    with Child(
        tmp_path, "--max-in-flight", "3", env={"SIDECAR_MAX_LINE": "2048", "SIDECAR_MAX_IN_FLIGHT": "9"}
    ) as child:
        [reported] = child.ask({"type": "hello"})
        assert reported["content"]["limits"] == {"max_line_bytes": 2048, "max_in_flight": 3, "max_nesting": 1000}
        assert reported["content"]["version"] == sidecar.__version__
        assert child.end() == 0


def test_the_installed_command_serves_too(tmp_path: Path) -> None:
    """`sidecar` is the same as `python -m sidecar`."""
    command = Path(sys.executable).with_name("sidecar")
    with Child(tmp_path, command=[os.fspath(command)]) as child:
        assert child.ask({"type": "ping"}) == [{"type": "pong"}]
        assert child.end() == 0


KEPT = """
import os, sys
class Kept:
    def __del__(self, write=os.write): write(2, b"taken apart")
sys.kept = Kept()
from sidecar.__main__ import main
main()
"""
"""Runs the sidecar, and says when Python takes its modules apart at the end."""


@pytest.mark.parametrize("arguments", [[], ["schema"]], ids=["session", "command"])
def test_a_process_leaves_at_once(tmp_path: Path, arguments: list[str]) -> None:
    """All has been written, and modules are not taken apart, which would take a tenth of a second."""
    program, plain = (
        subprocess.run(
            [sys.executable, *start, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            cwd=tmp_path,
            env=environment(tmp_path),
            timeout=SECONDS,
        )
        for start in (("-c", KEPT), ("-m", "sidecar"))
    )
    assert (program.stdout[:7], program.stderr) == (plain.stdout[:7], b"")
    assert len(program.stdout) == len(plain.stdout) > 50


def test_a_working_folder_that_was_removed(tmp_path: Path) -> None:
    """A scraper whose folder was replaced meanwhile still gets its sidecar, by command line and client."""
    client = "from sidecar.client import Sidecar\nwith Sidecar() as sidecar:\n    sidecar.set_mock({})\nprint('fine')"
    for command, reported in (
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
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [reported]), done.stderr
