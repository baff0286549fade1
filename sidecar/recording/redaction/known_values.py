"""Known secret values, and a fast test whether a logged line may contain one."""

import re
from typing import Final

from sidecar.recording.redaction.encoded_values import ValueSet
from sidecar.recording.redaction.value_search import HEAD_BYTES, ValueFinder
from sidecar.secret_encodings import MIN_SECRET_LENGTH

_RUN: Final = re.compile(r"[A-Za-z0-9_.~-]+")


class KnownValues(ValueSet):
    """Known secret values with a fast test for lines of JSON."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = ValueFinder()
        self._seen: set[bytes] = set()
        self._any_escape_hides = False

    def add(self, value: str) -> bool:
        """Adds a value; False if it is already known."""
        if value in self:
            return False
        run = max(_RUN.findall(value), key=len, default="")  # characters that JSON and URLs need not escape
        if len(run) < MIN_SECRET_LENGTH:
            run, self._any_escape_hides = value, True
        part = run.encode(errors="surrogatepass")[: HEAD_BYTES - 1]
        if part not in self._seen:
            self._seen.add(part)
            self._runs.add(part)
        return super().add(value)  # last: what is known is found

    def may_stand_in(self, lines: bytes) -> bool:
        """Whether these lines may contain a value; False is certain."""
        if self._any_escape_hides and any(mark in lines for mark in (b"\\", b"%", b"&", b"+")):
            return True
        return self._runs.contains(lines)
