"""issue_token."""

from collections.abc import Callable
from typing import Protocol

from sidecar_protocol.base import Secret
from sidecar_protocol.tokens import IssuedToken, IssueToken

from sidecar.server.session import Session


class Issuer(Protocol):
    """Signs visit tokens."""

    def check_issuer(self, token: Secret) -> None:
        """Raises Unauthorized and Forbidden."""

    def issue(self, scope: str, validity: int, *, strict: bool, strict_resources: bool) -> str:
        """A visit token. Raises InvalidContent and Forbidden."""


async def issue_token(session: Session, issuer: Callable[[], Issuer], content: IssueToken) -> IssuedToken:
    """A visit token, for whoever holds the issuer token."""
    session.add_secret(content.issuer_token.reveal())
    tokens = issuer()
    tokens.check_issuer(content.issuer_token)
    narrow = {"strict": content.strict, "strict_resources": content.strict_resources}
    token = tokens.issue(content.scope, content.validity, **narrow)
    session.add_secret(token)
    return IssuedToken(token=token)
