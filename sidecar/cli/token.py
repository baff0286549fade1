"""`sidecar token`: prints a token signed with SIDECAR_TOKEN_SECRET."""

import argparse
from collections.abc import Mapping

from sidecar import settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A token of an issuer, or of a visit with its scope."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    kinds.add_parser("issuer", help="the token that `issue_token` asks for; it does not expire")
    visit = kinds.add_parser("visit", help="a token for jobs within a scope")
    visit.add_argument("--scope", metavar="URL", required=True, help="where the pages of a job may be")
    visit.add_argument("--strict", action="store_true", help="only this URL, not its whole domain")
    held = "everything that pages load must be in the scope too"
    visit.add_argument("--strict-resources", action="store_true", help=held)
    lasts = "how long it is valid; a week by default"
    visit.add_argument("--validity", metavar="SECONDS", type=int, default=604_800, help=lasts)


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Prints the token. Raises SettingsError, SidecarError."""
    from sidecar.clock import Clock
    from sidecar.jobs.token_signers import secret_signer
    from sidecar.jobs.visit_tokens import VisitTokens

    tokens = VisitTokens(secret_signer(settings.load(flags).token_secret), Clock())
    if parsed.kind == "issuer":
        print(tokens.issuer())
    else:
        narrow = {"strict": parsed.strict, "strict_resources": parsed.strict_resources}
        print(tokens.issue(parsed.scope, parsed.validity, **narrow))
    return 0
