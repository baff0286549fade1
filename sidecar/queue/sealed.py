"""How a message's content lies in the store: as it is, or sealed as a whole."""

from typing import Any, Final

from sidecar.sealing import Seal

_PLAIN: Final = "content"
_SEALED: Final = "sealed"


def stored_content(seal: Seal, content: bytes, *, secret: bool) -> dict[str, str]:
    """What is stored of a content, as strings by name."""
    text = content.decode()
    return {_SEALED: seal.seal(text)} if secret else {_PLAIN: text}


def opened_content(seal: Seal, stored: dict[str, Any]) -> bytes:
    """The content again. Raises SealedByAnother."""
    if _SEALED in stored:
        return seal.open(stored[_SEALED]).encode()
    content: str = stored[_PLAIN]
    return content.encode()
