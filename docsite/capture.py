"""Runs real sidecars through one of every message, and keeps what was asked and answered for the reference.

What differs from run to run (ids, times, ports) is replaced by what stands for it in the reference. Servers are the
stand-ins of the tests, on this machine.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sidecar_protocol.wire_types import Secret

from docsite import failures
from sidecar.clock import Clock
from sidecar.jobs.token_signers import SecretSigner
from sidecar.jobs.visit_tokens import VisitTokens
from tests.harness import Child, rtcv
from tests.ports import free_port

SCRIPT: Final = Path(__file__).with_name("script.jsonl")
"""One request a line, or under `raw` a line that is none.

`$name` stands for what `keep` took from an earlier reply, or for what Setting gives."""
EXCHANGES: Final = Path(__file__).with_name("exchanges.jsonl")
"""What came of it: `{"request", "reply"}` a line."""
TOKEN_SECRET: Final = "an-example-of-a-secret-for-visit-tokens"
_FOR: Final = {
    "browsers": {"CHROMIUM": "/usr/bin/chromium"},
    "pid": 4711,
    "duration_ms": 120,
    "version": "0.1.0",
    "size": 529,
}
"""Members that differ from machine to machine, and what stands for them."""
_LATER: Final = "2027-02-15 13:16:59"
_TEXTS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "2027-02-15T12:16:59Z"),
    (re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"), "e77eb3a5-5b0c-4d0f-9a52-0c8c4b1d2e3f"),
    (re.compile(r"\b(upd|dlv|[a-z]{2,8})_[0-9a-f]{24,32}\b"), r"\1_0123456789abcdef01234567"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "0123456789abcdef0123456789abcdef"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0123456789abcdef" * 4),
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6Ii4uLiJ9.c2lnbmF0dXJl"),
)


@dataclass
class Setting:
    """What stands for what, in one run."""

    values: dict[str, str]
    """What `$name` is in a request."""
    shown: dict[str, str]
    """What the reference shows in place of a value."""

    def fill(self, request: Any) -> Any:
        """The request as it is sent."""
        text = json.dumps(request)
        for name, value in self.values.items():
            text = text.replace(f"${name}", value)
        return json.loads(text)

    def show(self, value: Any) -> Any:
        """A request or reply as the reference shows it."""
        if isinstance(value, dict):
            return {key: _FOR.get(key, self.show(inner)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.show(inner) for inner in value]
        if not isinstance(value, str):
            return value
        for real, shown in self.shown.items():
            value = value.replace(real, shown)
        for pattern, shown in _TEXTS:
            value = pattern.sub(shown, value)
        return value


def capture() -> list[dict[str, Any]]:
    """All exchanges, in the order of the script."""
    script = [json.loads(line) for line in SCRIPT.read_text().splitlines()]
    later = (datetime.now(UTC) + timedelta(days=200)).strftime("%Y-%m-%d %H:%M:%S")
    closed = f"http://127.0.0.1:{free_port()}"
    with rtcv() as server, tempfile.TemporaryDirectory() as folder:
        url = server.credentials["server_location"]
        setting = Setting(
            {
                "server": url,
                "later": later,
                "closed": closed,
                "issuer": VisitTokens(SecretSigner(Secret(TOKEN_SECRET)), Clock()).issuer(),
            },
            {url: "https://rtcv.example", closed: "https://hooks.example", closed[7:]: "hooks.example", later: _LATER},
        )
        ran = [*_run(Path(folder), script, setting)]
        return ran + [
            {"request": setting.show(request), "reply": setting.show(reply)}
            for request, reply in failures.provoked(Path(folder))
        ]


def _run(folder: Path, script: list[dict[str, Any]], setting: Setting) -> Iterator[dict[str, Any]]:
    """One process, and one more for what comes after `{"tokens": true}`, which has the secret for visit tokens."""
    for number, part in enumerate(_parts(script)):
        env = {"SIDECAR_CONCURRENCY": "2", "SIDECAR_ALLOW_PRIVATE_NETWORK": "true", "TZ": "UTC"}
        state = folder / str(number)
        state.mkdir()
        with Child(state, env=env | ({"SIDECAR_TOKEN_SECRET": TOKEN_SECRET} if number else {})) as child:
            for line in part:
                keep, until = line.pop("keep", {}), line.pop("until", None)
                request = setting.fill(line.get("raw", line))
                (reply,) = child.ask(request.encode() if isinstance(request, str) else request)
                while until and until not in json.dumps(reply):
                    (reply,) = child.ask(request)
                for name, path in keep.items():
                    value: Any = reply
                    for key in path.split("."):
                        value = value[int(key)] if isinstance(value, list) else value[key]
                    setting.values[name] = str(value)
                yield {"request": setting.show(request), "reply": setting.show(reply)}
            child.end()


def _parts(script: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    cut = script.index({"tokens": True})
    return [script[:cut], script[cut + 1 :]]


def main() -> None:
    """Writes the exchanges."""
    EXCHANGES.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in capture()))


if __name__ == "__main__":
    main()
