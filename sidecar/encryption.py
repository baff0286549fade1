"""Sealed values: what must not lie on disk in clear, closed with the user's key or with one of this process alone."""

from typing import Final

import nacl.secret
import nacl.utils
from nacl.encoding import URLSafeBase64Encoder
from nacl.exceptions import CryptoError

from sidecar.errors import DecryptionKeyMissing

KEY_BYTES: Final = nacl.secret.SecretBox.KEY_SIZE


class Encryptor:
    """Seals strings (XSalsa20-Poly1305). Without a key it makes one up, and its seals last as long as the process."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` has 32 bytes."""
        self.lasting = key is not None
        self._box = nacl.secret.SecretBox(key or nacl.utils.random(KEY_BYTES))

    def seal(self, text: str) -> str:
        """The sealed form, in URL-safe base64."""
        return self._box.encrypt(text.encode(), encoder=URLSafeBase64Encoder).decode()

    def seal_bytes(self, content: bytes) -> bytes:
        """The same for bytes, which stay bytes."""
        return bytes(self._box.encrypt(content))

    def open_bytes(self, sealed: bytes) -> bytes:
        """What `seal_bytes` has sealed. Raises DecryptionKeyMissing."""
        try:
            return self._box.decrypt(sealed)
        except (CryptoError, ValueError):
            raise DecryptionKeyMissing from None

    def open(self, sealed: str) -> str:
        """What was sealed. Raises DecryptionKeyMissing."""
        try:
            return self._box.decrypt(sealed.encode(), encoder=URLSafeBase64Encoder).decode()
        except (CryptoError, ValueError):
            raise DecryptionKeyMissing from None
