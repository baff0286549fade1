"""What signs visit tokens and says what they claim: a secret, or a recording in an offline replay."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from sidecar_protocol.wire_types import Secret

from sidecar.errors import NotRecorded
from sidecar.recording.token_recordings import RecordedTokens

_ALGORITHM: Final = "HS256"
_EXPIRY: Final = "exp"
Note = Callable[[str, Mapping[str, Any], bool], None]
"""Takes a token, what it claims, and whether it was signed just now."""


class TokenSigner(Protocol):
    """Signs tokens, and reads those that it has signed."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token with these claims."""

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What a token claims; None unless it was signed here."""


class SecretSigner:
    """Signs JWTs with a secret."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The JWT with these claims."""
        import jwt  # late: only where tokens are used

        return jwt.encode(dict(claims), self._secret.reveal(), algorithm=_ALGORITHM)

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What a JWT claims; None for another signature. Times are not checked."""
        import jwt

        options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret.reveal(), algorithms=[_ALGORITHM], options=options)
        except (jwt.InvalidTokenError, RecursionError):  # the second: deeply nested headers
            return None
        return claims


def secret_signer(secret: Secret) -> SecretSigner | None:
    """The signer of a secret; None without one."""
    return SecretSigner(secret) if secret else None


class NotedSigner:
    """A signer whose valid tokens are noted, for a replay of the session."""

    def __init__(self, signer: TokenSigner, note: Note) -> None:
        self._signer = signer
        self._note = note

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token with these claims."""
        token = self._signer.sign(claims)
        self._note(token, claims, True)
        return token

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What a token claims; None unless it was signed here."""
        claims = self._signer.read(token)
        if claims is not None:
            self._note(token, claims, False)
        return claims


class ReplayedSigner:
    """Knows the tokens of a recording by the words that stand for them; checks no signature and signs nothing."""

    def __init__(self, recorded: RecordedTokens) -> None:
        self._recorded = recorded

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The next word that was signed with the same claims, at whatever time. Raises NotRecorded."""
        wanted = _without_expiry(claims)
        for word in self._recorded.issued:
            if _without_expiry(self._recorded.claims[word]) == wanted:
                self._recorded.issued.remove(word)
                return word
        raise NotRecorded("no such visit token was issued in the recording, or not as often")

    def read(self, token: str) -> Mapping[str, Any] | None:
        """What the token behind a word claimed; None for one that was not valid in the recording."""
        return self._recorded.claims.get(token)


def _without_expiry(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in claims.items() if name != _EXPIRY}
