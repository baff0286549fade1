"""Words that stand for secrets in a recording."""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

from sidecar.javascript.calls import Sensitivity
from sidecar.recording.redaction.encoded_values import unescaped
from sidecar.secret_encodings import MIN_SECRET_LENGTH

_WORD: Final = re.compile(r"secret_[a-z0-9-]{1,24}_[0-9a-f]{12}")
ANY_WORD: Final = re.compile(r"secret_[a-z0-9-]{1,24}_[0-9a-f]{12}|whsec_[A-Za-z0-9+/]{16,}={0,2}")
"""Words in a text; what begins with `whsec_` may be none, see `word_name`."""
_NO_NAME: Final = re.compile("[^a-z0-9]+")
_NAME_LENGTH: Final = 24
_UNNAMED: Final = "value"
_MAX_NAMES: Final = 100_000
_DIGITS: Final = re.compile("[0-9]")
SIGNING_PREFIX: Final = "whsec_"
"""The prefix of a signing secret in Standard Webhooks; base64 follows."""


class SecretWords:
    """A word for each secret, such as `secret_api-key_1f2e3d4c5b6a`: its name and a keyed hash.

    The same secret is the same word, however it was escaped. A word is valid wherever a secret is: in JSON, a URL, a
    header, a form, JavaScript. So a recording keeps its shape, and can be replayed with the words in place of secrets.
    A word stands for itself. That for a webhook's signing secret is such a secret, too.
    """

    min_literal_length = MIN_SECRET_LENGTH
    remembers_typed = True

    def __init__(self, key: bytes) -> None:
        """`key` are secret random bytes: with them short secrets could be guessed."""
        self._key = key
        self._names: dict[str, str] = {}

    def of(self, secret: str, name: str = "") -> str:
        """The word for a text that is secret; `name` is that of the member that holds it, if it is known."""
        if not secret or _is_word(secret):
            return secret
        plain = unescaped(secret.encode(errors="surrogatepass"))
        digest = hmac.new(self._key, plain, hashlib.sha256).hexdigest()[:12]
        if digest not in self._names and len(self._names) < _MAX_NAMES:
            self._names[digest] = _NO_NAME.sub("-", name.lower())[-_NAME_LENGTH:].strip("-") or _UNNAMED
        if secret.startswith(SIGNING_PREFIX):
            return SIGNING_PREFIX + base64.b64encode(f"secret_webhook_{digest}".encode()).decode()
        return f"secret_{self._names.get(digest, _UNNAMED)}_{digest}"

    def of_typed(self, value: str, name: str) -> str | None:
        """The word for text that is given to a page; None leaves what is too short to be found where it arrives."""
        return None if len(value) < MIN_SECRET_LENGTH else self.of(value, name)

    def of_literal(self, value: str, sensitivity: Sensitivity) -> str | None:
        """The word for a literal of JavaScript; None leaves what the console prints anyway, and what is very short.

        The others are known from then on: a script that compares one with a page finds the same word there.
        """
        if sensitivity is Sensitivity.PRINTED or len(value) < self.min_literal_length:
            return None
        return self.of(value, "literal")

    def of_token(self, raw: str, name: str) -> str | None:  # noqa: ARG002 - as `Stars`
        """The replacement of a number: as many nines. None leaves `true`, `false`, `null` and empty strings."""
        return _DIGITS.sub("9", raw.split("e")[0].split("E")[0]) if raw[:1] in "-0123456789" else None


def word_name(word: str) -> str | None:
    """The name in a word, such as `api-key`; None if it is no word."""
    if not _is_word(word):
        return None
    return "webhook" if word.startswith(SIGNING_PREFIX) else word.split("_")[1]


def _is_word(text: str) -> bool:
    if text.startswith(SIGNING_PREFIX):
        try:
            text = base64.b64decode(text.removeprefix(SIGNING_PREFIX)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
    return _WORD.fullmatch(text) is not None
