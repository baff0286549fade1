"""A real redis-server on a port of its own, for as long as a block lasts."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

SECONDS = 20.0
"""How long a server may take to answer or to end; far more than it takes."""


class RedisServer:
    """Keeps nothing, unless `lasting`: then a restart brings everything back."""

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        self._folder = folder
        self._lasting = lasting
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def files(self) -> list[Path]:
        """What a lasting one has on disk."""
        return [path for path in (self._folder / "appendonlydir").rglob("*") if path.is_file()]

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"] if self._lasting else []
        with (self._folder / "redis.log").open("ab") as said:
            self._process = subprocess.Popen(["redis-server", *options], stdout=said, stderr=said)
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it at once, as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(SECONDS)
            self._process = None

    def signal(self, number: int) -> None:
        """Sends it a signal: SIGSTOP freezes it."""
        assert self._process
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 0.1) as asked:
                asked.settimeout(1)
                asked.sendall(b"PING\r\n")
                return asked.recv(16).startswith(b"+PONG")
        except OSError:
            return False
