"""A replay with real servers: secrets take the place of the words of a recording, and are hidden in what comes back."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from sidecar_protocol.wire_types import REDACTED

from sidecar.recording.redaction.json_secrets import Sensitivity, classify_tokens
from sidecar.recording.redaction.placeholders import ANY_WORD, word_name
from sidecar.recording.redaction.redactor import Redactor
from sidecar.recording.reply_log import SECRET_REQUESTS

_NO_NAME: Final = re.compile("[^a-z0-9]+")


class SecretFiller:
    """Fills the secrets of one replay in.

    Several words of one name get the values of a list in the order in which they are met; the same word gets the same.
    """

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        """`secrets`: the name of a secret, or a whole word, -> its value or a list of values."""
        self._secrets = {_name(key): value for key, value in secrets.items()}
        self._values: dict[str, str | None] = {}
        self._used: dict[str, int] = {}
        self._redactor = Redactor()
        self.missing: dict[str, None] = {}
        """Names without a value, in the order in which they were met."""

    def fill(self, line: bytes) -> bytes:
        """The line with secrets in place of words; a word without a value stays."""
        text = line.decode(errors="surrogateescape")
        if not ANY_WORD.search(text):
            return line
        done, pieces = 0, list[str]()
        for token in sorted(classify_tokens(text), key=lambda token: token.start):
            raw = text[token.start : token.end]
            if token.start >= done and raw.startswith('"') and ANY_WORD.search(raw):
                is_script = token.sensitivity is Sensitivity.SOURCE
                pieces += (text[done : token.start], self._filled(raw, is_script=is_script))
                done = token.end
        return "".join([*pieces, text[done:]]).encode(errors="surrogateescape")

    def hide(self, kind: str, message: dict[str, Any]) -> dict[str, Any]:
        """A reply to a request of type `kind` without secrets."""
        if kind in SECRET_REQUESTS and message.get("type") == "ok":
            self._remember(message.get("content"))
            return {**message, "content": REDACTED}
        redacted = self._redactor.redact_request(json.dumps(message).encode())
        hidden: dict[str, Any] = json.loads(redacted) if redacted else {"type": message.get("type"), "content": None}
        return hidden

    def _filled(self, raw: str, *, is_script: bool) -> str:
        def value_of(found: re.Match[str]) -> str:
            value = self._value(found[0])
            if value is None:
                return found[0]
            return json.dumps(value)[1:-1].replace("`", "\\`").replace("${", "\\${") if is_script else value

        return json.dumps(ANY_WORD.sub(value_of, json.loads(raw)), ensure_ascii=False)

    def _value(self, word: str) -> str | None:
        if word not in self._values:
            self._values[word] = self._take(word)
        return self._values[word]

    def _take(self, word: str) -> str | None:
        name = word_name(word)
        if name is None:  # it only looks like one
            return None
        value = self._secrets.get(_name(word), self._secrets.get(name))
        if isinstance(value, list):
            number = self._used.get(name, 0)
            self._used[name] = number + 1
            value = value[number] if number < len(value) else None
        if value is None:
            self.missing[name] = None
            return None
        text = value if isinstance(value, str) else json.dumps(value)
        self._redactor.add_secret(text)
        return text

    def _remember(self, value: Any) -> None:
        if isinstance(value, str):
            self._redactor.add_secret(value)
        elif isinstance(value, (dict, list)):
            for inner in value.values() if isinstance(value, dict) else value:
                self._remember(inner)


def without_words(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """A recorded reply to a request of type `kind` as `SecretFiller.hide` would show it."""
    if kind in SECRET_REQUESTS and message.get("type") == "ok":
        return {**message, "content": REDACTED}
    shown: dict[str, Any] = json.loads(ANY_WORD.sub(REDACTED, json.dumps(message)))
    return shown


def _name(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-")
