"""Encryption with the user's key and with one that ends with the process."""

import pytest

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing

KEY = bytes(range(32))


def test_the_same_key_decrypts() -> None:
    """Another encryptor with the same key decrypts it."""
    assert Encryptor(KEY).decrypt(Encryptor(KEY).encrypt("hällo\n")) == "hällo\n"
    assert "hällo" not in Encryptor(KEY).encrypt("hällo")
    assert Encryptor(KEY).persistent


@pytest.mark.parametrize(
    "encrypted",
    ["", "x", "ä", Encryptor().encrypt("secret"), Encryptor(KEY).encrypt("secret")[:-4] + "AAA="],
    ids=["empty", "short", "not ASCII", "another's", "changed"],
)
def test_what_another_key_encrypted_or_what_was_changed_is_refused(encrypted: str) -> None:
    """The error code says what to do."""
    with pytest.raises(DecryptionKeyMissing) as refused:
        Encryptor(KEY).decrypt(encrypted)
    assert refused.value.code == "missing_credentials"


def test_without_a_key_each_encryptor_has_its_own() -> None:
    """It decrypts what it has encrypted, and nothing else."""
    first, second = Encryptor(), Encryptor()
    assert not first.persistent
    assert first.decrypt(first.encrypt("secret")) == "secret"
    with pytest.raises(DecryptionKeyMissing):
        second.decrypt(first.encrypt("secret"))
