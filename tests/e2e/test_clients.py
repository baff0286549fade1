"""The clients for other languages: their scrapers run, their files are short, and TypeScript's types hold."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.harness import NODE, environment

CLIENTS = Path(__file__).parents[2] / "clients"
DENO = str(Path(sys.prefix) / "bin" / "deno")
SIDECAR = [sys.executable, "-m", "sidecar"]
FILES = ("bash/sidecar.bash", "go/sidecar.go", "php/Sidecar.php", "ruby/sidecar.rb", "typescript/sidecar.mjs")
COMMANDS = {
    "bash": ["bash", "bash/{}.bash"],
    "deno": [DENO, "run", "--allow-run", "--allow-env", "typescript/{}.mjs"],
    "go": ["go/{}"],
    "node": [NODE, "typescript/{}.mjs"],
    "php": ["php", "php/{}.php"],
    "ruby": ["ruby", "-W", "ruby/{}.rb"],
}
TYPED = """
import {{ Sidecar }} from "{folder}/sidecar.mjs";
const sidecar = await Sidecar.spawn(["sidecar"], {{ onEvent: (event) => console.log(event.event) }});
const job = await sidecar.request("send_job", {{ {steps}: [{{ url: "about:blank" }}] }});
const known: {known} = await sidecar.request("has_cached_reference", "a");
await sidecar.request("ping");
await sidecar.request("list_jobs", {{ status: "{status}" }}, {{ signal: new AbortController().signal }});
console.log(job.status, known, sidecar.ready.pid);
"""


README = re.findall(
    r'^### ([^\n]+)\n\n```\w+ title="([^"]+)"\n(.*?)^```\n\n```sh\n(.*?)^```$',
    (CLIENTS / "README.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
"""Title, name of the file, the file, and the commands of each first extract."""
GO = {"GOPROXY": "off", "GOFLAGS": "", "GOCACHE": str(Path(tempfile.gettempdir()) / "sidecar-tests-go")}
"""The cache stays, because the standard library takes half a minute to build."""
PAGE = "data:text/html,<h1>Hello</h1>"


EXTRACT = '{"price":{"selector":"b","required":true}}'
FAILING = f'{{"artifacts":"files","steps":[{{"url":"data:text/html,<p>a","extract":{EXTRACT}}}]}}'
CAUGHT = {
    "node": (
        "mjs",
        """import { Sidecar, SidecarFailure } from "CLIENT";
const sidecar = await Sidecar.spawn(process.argv.slice(2));
const failure = await sidecar.request("send_job", JOB).catch((error) => error);
if (!(failure instanceof SidecarFailure)) throw failure;
console.log(failure.code, failure.retryable, failure.field, Object.keys(failure.artifacts).sort().join(" "));
await sidecar.close();
""",
    ),
    "php": (
        "php",
        """<?php require 'CLIENT';
$sidecar = new Sidecar(array_slice($argv, 1));
try {
    $sidecar->request('send_job', json_decode('JOB'));
} catch (SidecarFailure $failure) {
    $kinds = array_keys((array) $failure->artifacts);
    sort($kinds);
    echo implode(' ', [$failure->reason, json_encode($failure->retryable), $failure->field, ...$kinds]);
}
exit($sidecar->close());
""",
    ),
    "ruby": (
        "rb",
        """require "CLIENT"
Sidecar.open(*ARGV) do |sidecar|
  sidecar.request("send_job", JSON.parse('JOB'))
rescue Sidecar::Failure => e
  puts [e.code, e.retryable, e.field, *e.artifacts.keys.sort].join(" ")
end
""",
    ),
}
"""Programs that print what the exception of a failed job carries."""


def command(language: str, program: str, folder: Path) -> list[str]:
    """The command line of a client's scraper or driver; the one in Go is built, for which nothing is fetched."""
    if language == "go":
        go = shutil.which("go")
        assert go, "no go here; `make setup` installs it"
        env = os.environ | GO
        build = [go, "build", "-o", str(folder / program), f"./{program}"]
        subprocess.run(build, cwd=CLIENTS / "go", env=env, check=True, timeout=110)
        return [str(folder / program)]
    return [
        one if "/" not in one or one.startswith("/") else str(CLIENTS / one.format(program))
        for one in COMMANDS[language]
    ]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a client to its end, its state in `folder`."""
    deno = {"DENO_DIR": str(folder / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    env = environment(folder, deno)
    return subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, timeout=110)


@pytest.mark.parametrize("language", COMMANDS)
def test_the_small_scraper(tmp_path: Path, language: str) -> None:
    """It sends what was not sent before; without a sidecar it fails with a sentence."""
    program = command(language, "scraper", tmp_path)
    done = run([*program, *SIDECAR], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "scraping as demo",
        "cv-1: sent, matched",
        "cv-2: sent, matched",
        "cv-1: was sent before",
    ]
    failed = run([*program, "false"], tmp_path)
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "the sidecar has ended" in failed.stderr or "no sidecar" in failed.stderr or "not `ready`" in failed.stderr


@pytest.mark.browser
@pytest.mark.parametrize("about", README, ids=lambda about: about[0])
def test_the_first_extract(tmp_path: Path, about: tuple[str, str, str, str]) -> None:
    """As the page says, in an empty folder with an empty home; what is wrong is said, with what to do."""
    title, name, text, commands = about
    (tmp_path / name).write_text(text)
    tools = tmp_path / "tools"
    tools.mkdir()
    for program, path in {"deno": DENO, "node": NODE, "sidecar": str(Path(sys.prefix) / "bin" / "sidecar")}.items():
        (tools / program).symlink_to(path)
    home = {"HOME": str(tmp_path), "PATH": f"{tools}:{os.environ['PATH']}", **GO}

    def reader(line: str) -> subprocess.CompletedProcess[str]:
        """Types the commands."""
        env = environment(tmp_path, home)
        shell = ["bash", "-euc", line]
        return subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=110)

    done = reader(commands.replace("https://example.com", f"'{PAGE}'"))
    assert done.returncode == 0, done.stderr
    written, printed = done.stdout.split("Hello", 1)
    assert "Hello" + printed == "Hello\n" * (1 + ("Deno" in title))
    assert written.split()
    assert all((tmp_path / path).is_file() for path in written.split())
    refused = reader(commands.splitlines()[-1].replace("https://example.com", "http://127.0.0.1:1/"))
    sentence, hint = "could not open http://127.0.0.1:1/: net::ERR_UNSAFE_PORT", "browsers refuse this port"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert sentence in refused.stderr
    assert hint in refused.stderr
    assert len(refused.stderr.splitlines()) == (2 if title == "Go" else 1)  # `go run` adds the exit code


@pytest.mark.browser
@pytest.mark.parametrize("language", CAUGHT)
def test_what_an_exception_carries(tmp_path: Path, language: str) -> None:
    """Code, whether to try again, the field, and where the page's picture and HTML are."""
    suffix, text = CAUGHT[language]
    name = {"node": "sidecar.mjs", "php": "Sidecar.php", "ruby": "sidecar.rb"}[language]
    folder = "typescript" if language == "node" else language
    program = tmp_path / f"caught.{suffix}"
    program.write_text(text.replace("CLIENT", str(CLIENTS / folder / name)).replace("JOB", FAILING))
    done = run([*COMMANDS[language][:-1], str(program), *SIDECAR], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["action_failed", "false", "price", "html", "screenshot"]


def test_there_is_a_first_extract_for_each_client() -> None:
    """Of those that are one file."""
    assert len(README) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_client_is_one_short_file(name: str) -> None:
    """Of at most 150 lines, none of them long."""
    lines = (CLIENTS / name).read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 140] == []


def test_the_types_of_typescript(tmp_path: Path) -> None:
    """What fits the protocol is accepted, each mistake is found."""
    good, bad = tmp_path / "good.ts", tmp_path / "bad.ts"
    folder = CLIENTS / "typescript"
    good.write_text(TYPED.format(folder=folder, steps="steps", known="boolean", status="failed"))
    bad.write_text(TYPED.format(folder=folder, steps="stepz", known="string", status="faild"))
    refused = run([DENO, "check", str(good), str(bad)], tmp_path)
    assert refused.returncode == 1
    assert "good.ts:" not in refused.stderr
    for mistake in ("stepz", "'boolean' is not assignable to type 'string'", "faild"):
        assert mistake in refused.stderr
