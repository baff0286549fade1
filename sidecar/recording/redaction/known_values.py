"""Known secret values, and the quick test whether a logged line may hold one."""

import re
from typing import Final

from sidecar.recording.redaction.encoded_values import ValueSet
from sidecar.recording.redaction.value_search import HEAD_BYTES, ValueFinder
from sidecar.secret_encodings import MIN_SECRET_LENGTH

_RUN: Final = re.compile(r"[A-Za-z0-9_.~-]+")


class KnownValues(ValueSet):
    """Known values, and the quick test whether a line of JSON may hold one."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = ValueFinder()
        self._seen: set[bytes] = set()
        self._any_escape_hides = False

    def add(self, value: str) -> bool:
        """Takes a value in; False where it is known already."""
        if not super().add(value):
            return False
        run = max(_RUN.findall(value), key=len, default="")  # what JSON and URLs have no reason to escape
        if len(run) < MIN_SECRET_LENGTH:
            run, self._any_escape_hides = value, True
        part = run.encode(errors="surrogatepass")[: HEAD_BYTES - 1]
        if part not in self._seen:
            self._seen.add(part)
            self._runs.add(part)
        return True

    def may_stand_in(self, lines: bytes) -> bool:
        """Whether these lines have to be looked at closer; False is certain."""
        if self._any_escape_hides and any(mark in lines for mark in (b"\\", b"%", b"&", b"+")):
            return True
        return self._runs.contains(lines)
