"""Visit tokens: who may have which pages opened. Source: Tourist's authentication."""

from typing import Annotated

from sidecar_protocol.durations import Duration
from sidecar_protocol.models import Bound, Model
from sidecar_protocol.wire_types import Secret

WEEK = 604_800


class IssueToken(Model):
    """Content of `issue_token`."""

    scope: Annotated[str, Bound(min_length=1)]
    """An http or https URL; every page of its registrable domain may be opened."""
    issuer_token: Secret
    """The one that `sidecar token issuer` prints."""
    validity: Annotated[int, Duration(ge=1, le=315_360_000, unit="seconds")] = WEEK
    """Seconds, or text such as `"7d"`."""
    strict: bool = False
    """Whether only the scope itself may be opened."""
    strict_resources: bool = False
    """Whether pages' resources have to be within the scope, too: frames, images, scripts, fetch, sockets, workers."""


class IssuedToken(Model):
    """Content of the reply to `issue_token`."""

    token: str
    """The `token` for `send_job`."""
