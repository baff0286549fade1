"""The visit tokens of a recorded session: the word that stands for each, and what it says."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar import files
from sidecar.recording.recording_folder import TOKENS, RecordingError
from sidecar.recording.redaction.redactor import Redactor

MAX_TOKENS: Final = 10_000
"""Of one session."""


class TokenRecorder:
    """Writes the tokens of a session that were signed or accepted, each once."""

    def __init__(self, folder: Path, redactor: Redactor, on_bytes: Callable[[int], bool]) -> None:
        """`on_bytes` takes the size of a line, and says whether the recording is full."""
        self._path = folder / TOKENS
        self._redactor = redactor
        self._on_bytes = on_bytes
        self._written: set[tuple[str, bool]] = set()

    def record(self, token: str, claims: Mapping[str, Any], *, issued: bool) -> None:
        """Writes one; `issued` says whether this session has signed it. Raises OSError."""
        word = self._redactor.replace_secret(token, "token")
        if (word, issued) in self._written or len(self._written) >= MAX_TOKENS:
            return
        self._written.add((word, issued))
        said = {name: self._redactor.redact_text(one) if isinstance(one, str) else one for name, one in claims.items()}
        line = orjson.dumps({"token": word, "issued": issued, "claims": said}) + b"\n"
        if not self._on_bytes(len(line)):
            with os.fdopen(files.open_file(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
                file.write(line)


@dataclass(frozen=True, slots=True)
class RecordedTokens:
    """The tokens of a recording."""

    claims: Mapping[str, Mapping[str, Any]]
    """Word -> what the token says."""
    issued: deque[str]
    """The words of those that the session has signed, in order."""


def read_tokens(folder: Path) -> RecordedTokens:
    """The tokens of a recording. Raises RecordingError."""
    claims: dict[str, Mapping[str, Any]] = {}
    issued: deque[str] = deque()
    path = folder / TOKENS
    try:
        for line in files.read(path).splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue  # cut off as its process died
            one = orjson.loads(line)
            claims[str(one["token"])] = dict(one["claims"])
            if one["issued"]:
                issued.append(str(one["token"]))
    except FileNotFoundError:
        pass
    except OSError as failure:
        raise RecordingError(f"can't read {path}: {failure.strerror or failure}") from None
    except (ValueError, KeyError, TypeError):
        raise RecordingError(f"{path} has a line that is no visit token") from None
    return RecordedTokens(claims, issued)
