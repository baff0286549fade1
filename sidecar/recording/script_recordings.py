"""The files that scripts of tasks were made of, secrets replaced: `scripts/`, laid out as the scripts folder was.

A replay has it as its scripts folder, so what a file asks for is found, or missing, as it was.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

import orjson

from sidecar import files
from sidecar.recording.recording_folder import SCRIPTS
from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.redaction.secret_patterns import SOURCE_KEY

MAX_SCRIPT: Final = 1 << 20
"""Characters of a file that is searched for secret literals, which takes seconds; longer ones are left out."""
INSTALLED: Final = "node_modules"
"""What is below has no secrets of its own: those that are known are replaced, other texts stay."""


class ScriptRecorder:
    """Writes the files of scripts; of one that changes the newest stays."""

    def __init__(self, folder: Path, redactor: Redactor, on_bytes: Callable[[int], bool]) -> None:
        """`on_bytes` takes the size of a file, and says whether the recording is full."""
        self._folder = folder
        self._redactor = redactor
        self._on_bytes = on_bytes

    def record(self, name: str, content: bytes) -> None:
        """Writes one, by its path in the scripts folder. Raises OSError, and ValueError for what is left out."""
        redacted = self._redacted(PurePosixPath(name), content.decode("utf-8-sig"))
        if not self._on_bytes(len(redacted)):
            with os.fdopen(files.create_file(self._place(name)), "wb") as file:
                file.write(redacted)

    def link(self, name: str, target: str) -> None:
        """Makes a file a link to another, as it was in the scripts folder. Raises OSError."""
        place = self._place(name)
        with contextlib.suppress(FileExistsError):
            place.symlink_to(os.path.relpath(target, PurePosixPath(name).parent))

    def _place(self, name: str) -> Path:
        """Its path; the folders above are made."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute():
            raise ValueError("a path that leads out of the scripts folder")
        folder = files.ensure_subfolder(self._folder, SCRIPTS)
        for part in parts[:-1]:
            folder = files.ensure_subfolder(folder, part)
        return folder / parts[-1]

    def _redacted(self, name: PurePosixPath, text: str) -> bytes:
        if INSTALLED in name.parts:
            return self._redactor.redact_text(text).encode()
        if name.suffix == ".json":
            return self._redactor.redact_body(text).encode()
        if len(text) > MAX_SCRIPT:
            raise ValueError(f"it has more than {MAX_SCRIPT >> 10} KiB")
        line = self._redactor.redact_request(orjson.dumps({"content": {SOURCE_KEY: text}}), MAX_SCRIPT)
        if line is None:
            raise ValueError("its secrets can't be found")
        redacted: str = orjson.loads(line)["content"][SOURCE_KEY]
        return redacted.encode()
