"""Encryption of what must not be stored in clear, with the user's key or with one that ends with this process."""

from typing import Final

import nacl.secret
import nacl.utils
from nacl.encoding import URLSafeBase64Encoder
from nacl.exceptions import CryptoError

from sidecar.errors import DecryptionKeyMissing

KEY_BYTES: Final = nacl.secret.SecretBox.KEY_SIZE


class Encryptor:
    """Encrypts strings and bytes (XSalsa20-Poly1305)."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` has 32 bytes; without one, a random key is used and nothing can be decrypted after a restart."""
        self.persistent = key is not None
        self._box = nacl.secret.SecretBox(key or nacl.utils.random(KEY_BYTES))

    def encrypt(self, text: str) -> str:
        """Encrypts a string; returns URL-safe base64."""
        return self._box.encrypt(text.encode(), encoder=URLSafeBase64Encoder).decode()

    def decrypt(self, encrypted: str) -> str:
        """Decrypts what `encrypt` returned. Raises DecryptionKeyMissing."""
        try:
            return self._box.decrypt(encrypted.encode(), encoder=URLSafeBase64Encoder).decode()
        except (CryptoError, ValueError):
            raise DecryptionKeyMissing from None

    def encrypt_bytes(self, content: bytes) -> bytes:
        """Encrypts bytes; returns bytes."""
        return bytes(self._box.encrypt(content))

    def decrypt_bytes(self, encrypted: bytes) -> bytes:
        """Decrypts what `encrypt_bytes` returned. Raises DecryptionKeyMissing."""
        try:
            return self._box.decrypt(encrypted)
        except (CryptoError, ValueError):
            raise DecryptionKeyMissing from None
