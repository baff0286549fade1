"""Words that stand for secrets in a recording."""

import hashlib
import hmac
import re
from typing import Final

from sidecar.recording.redaction.encoded_values import unescaped

_WORD: Final = re.compile(r"secret_[a-z0-9-]{1,24}_[0-9a-f]{12}")
_NO_NAME: Final = re.compile("[^a-z0-9]+")
_NAME_LENGTH: Final = 24
_UNNAMED: Final = "value"
_MAX_NAMES: Final = 100_000
_DIGITS: Final = re.compile("[0-9]")


class SecretWords:
    """A word for each secret, such as `secret_api-key_1f2e3d4c5b6a`: its name and a keyed hash.

    The same secret is the same word, however it was escaped. A word is valid wherever a secret is: in JSON, a URL, a
    header, a form, JavaScript. So a recording keeps its shape, and can be replayed with the words in place of secrets.
    A word stands for itself.
    """

    def __init__(self, key: bytes) -> None:
        """`key` are random bytes that nobody else knows: with them short secrets could be guessed."""
        self._key = key
        self._names: dict[str, str] = {}

    def of(self, secret: str, name: str = "") -> str:
        """The word for a text that is secret; `name` is that of the member that holds it, if it is known."""
        if not secret or _WORD.fullmatch(secret):
            return secret
        plain = unescaped(secret.encode(errors="surrogatepass"))
        digest = hmac.new(self._key, plain, hashlib.sha256).hexdigest()[:12]
        if digest not in self._names and len(self._names) < _MAX_NAMES:
            self._names[digest] = _NO_NAME.sub("-", name.lower())[-_NAME_LENGTH:].strip("-") or _UNNAMED
        return f"secret_{self._names.get(digest, _UNNAMED)}_{digest}"

    def of_token(self, raw: str, name: str) -> str | None:  # noqa: ARG002 - as `Stars`
        """What replaces a number: as many nines. None leaves `true`, `false`, `null` and empty strings."""
        return _DIGITS.sub("9", raw.split("e")[0].split("E")[0]) if raw[:1] in "-0123456789" else None
