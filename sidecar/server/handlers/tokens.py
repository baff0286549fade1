"""issue_token."""

from sidecar_protocol.tokens import IssuedToken, IssueToken

from sidecar.server.handlers.context import HandlerContext


def issue_token(context: HandlerContext, content: IssueToken) -> IssuedToken:
    """Issues a visit token to a holder of the issuer token."""
    context.session.add_secret(content.issuer_token.reveal())
    tokens = context.visit_tokens()
    tokens.check_issuer(content.issuer_token)
    narrow = {"strict": content.strict, "strict_resources": content.strict_resources}
    token = tokens.issue(content.scope, content.validity, **narrow)
    context.session.add_secret(token)
    return IssuedToken(token=token)
