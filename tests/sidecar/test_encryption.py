"""Sealed values."""

import pytest

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing

KEY = bytes(range(32))


def test_what_is_sealed_opens_with_the_same_key() -> None:
    """Also by another object with that key."""
    assert Encryptor(KEY).open(Encryptor(KEY).seal("hällo\n")) == "hällo\n"
    assert "hällo" not in Encryptor(KEY).seal("hällo")
    assert Encryptor(KEY).lasting


@pytest.mark.parametrize(
    "sealed",
    ["", "x", "ä", Encryptor().seal("secret"), Encryptor(KEY).seal("secret")[:-4] + "AAA="],
    ids=["empty", "short", "not ASCII", "another's", "changed"],
)
def test_what_another_sealed_or_what_was_changed_does_not_open(sealed: str) -> None:
    """Refused with a code that says what to do."""
    with pytest.raises(DecryptionKeyMissing) as refused:
        Encryptor(KEY).open(sealed)
    assert refused.value.code == "missing_credentials"


def test_without_a_key_seals_last_as_long_as_the_process() -> None:
    """Its own seals, and nobody else's."""
    first, second = Encryptor(), Encryptor()
    assert not first.lasting
    assert first.open(first.seal("secret")) == "secret"
    with pytest.raises(DecryptionKeyMissing):
        second.open(first.seal("secret"))
