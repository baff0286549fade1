"""`sidecar install`: Playwright's real installer against a server of this machine, then apt; once is enough."""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fakes import nobody_listens
from tests.harness import SECONDS, environment

PATIENCE = 5 * SECONDS
FFMPEG = b"#!/bin/sh\necho ffmpeg of this test\n"


class Downloads(BaseHTTPRequestHandler):
    """Serves an archive with an executable `ffmpeg-linux`, as Playwright's servers do."""

    def do_GET(self) -> None:
        """Answers."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            about = zipfile.ZipInfo("ffmpeg-linux")
            about.external_attr = 0o755 << 16
            made.writestr(about, FFMPEG)
        self.send_response(200 if "ffmpeg" in self.path else 404)
        self.send_header("Content-Length", str(len(archive.getvalue())))
        self.end_headers()
        self.wfile.write(archive.getvalue())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def downloads() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Downloads) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(SECONDS)


def install(folder: Path, host: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a machine that has no browser, no ffmpeg and no apt but that of the test."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    own = {"PATH": str(tools), "PLAYWRIGHT_DOWNLOAD_HOST": host, "SIDECAR_BROWSERS_PATH": str(folder / "browsers")}
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "install", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(folder, own),
        timeout=PATIENCE,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_playwrights_own_way(tmp_path: Path, downloads: str) -> None:
    """It is downloaded to where jobs look for it, once."""
    code, said, wrong = install(tmp_path, downloads, "ffmpeg")
    (path,) = (tmp_path / "browsers").glob("ffmpeg-*/ffmpeg-linux")
    assert (code, said) == (0, f"ffmpeg is {path}, installed now\n"), wrong
    assert path.read_bytes() == FFMPEG
    assert install(tmp_path, "http://127.0.0.1:1", "ffmpeg") == (0, f"ffmpeg is {path}\n", "")


def test_apt_where_that_fails(tmp_path: Path) -> None:
    """As root, after its lists were renewed; where it brings nothing, a sentence with what is left, and 1."""
    asked = tmp_path / "asked"
    apt = tmp_path / "tools" / "apt-get"
    apt.parent.mkdir()
    program = tmp_path / "tools" / "ffmpeg"
    makes = f"[ $1 = update ] || (echo '#!/bin/sh' >{program} && /bin/chmod +x {program})"
    apt.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n{makes}\n')
    apt.chmod(0o755)
    with nobody_listens() as nowhere:
        code, said, wrong = install(tmp_path, nowhere, "ffmpeg")
        assert (code, said) == (0, f"ffmpeg is {program}, installed now\n"), wrong
        assert asked.read_text() == "update\ninstall -y --no-install-recommends ffmpeg\n"
        apt.write_text("#!/bin/sh\nexit 100\n")
        shutil.rmtree(tmp_path / "browsers")
        (tmp_path / "browsers").touch()  # where nothing can be put, nothing is asked for again and again
        code, said, wrong = install(tmp_path, nowhere, "firefox")
    assert (code, said) == (1, "")
    way = "as root: `apt-get install firefox-esr`; or set SIDECAR_FIREFOX"
    assert wrong.splitlines()[-1] == f"sidecar: firefox could not be installed, see above; {way}"


def test_the_libraries_of_a_browser(tmp_path: Path) -> None:
    """One that is missing is named, with what brings it; `--with-deps` asks Playwright's installer, which asks apt."""
    chromium = tmp_path / "chromium"
    lacking = "error while loading shared libraries: libnss3.so: cannot open shared object file: No such file"
    chromium.write_text(f"#!/bin/sh\necho '{chromium}: {lacking}' >&2\nexit 127\n")
    chromium.chmod(0o755)
    flag = f"--chromium={chromium}"
    code, said, wrong = install(tmp_path, "", "chromium", flag)
    assert (code, said) == (1, f"chromium is {chromium}\n")
    way = "as root: `sidecar install chromium --with-deps`"
    assert wrong == f"sidecar: chromium needs libnss3.so, which is missing; {way}\n"
    asked = tmp_path / "asked"
    for name in ("apt-get", "sudo", "su"):
        tool = tmp_path / "tools" / name
        tool.write_text(f'#!/bin/sh\necho "$@" >>{asked}\n[ ! -e {tmp_path}/refuses ] || exit 100\n')
        tool.chmod(0o755)
    for name in ("sh", "bash"):
        (tmp_path / "tools" / name).symlink_to(f"/bin/{name}")
    install(tmp_path, "", "chromium", flag, "--with-deps")
    assert "libnss3" in asked.read_text()
    (tmp_path / "refuses").touch()
    code, said, wrong = install(tmp_path, "", "chromium", flag, "--with-deps")
    assert (code, said) == (1, "")
    assert wrong.endswith("sidecar: the libraries of chromium could not be installed, see above; that needs root\n")
