"""Every message a parent may send, by its type."""

from typing import Any, Final

import msgspec

from protocol.jobs import SendJob
from protocol.secrets import SecretRequest
from protocol.session import Cancel, Credentials, Hello, MockOptions
from protocol.tokens import IssueToken

CONTENTS: Final[dict[str, Any]] = {
    "hello": Hello,
    "ping": None,
    "cancel": Cancel,
    "set_credentials": Credentials | list[Credentials],
    "set_multiple_credentials": list[Credentials],
    "set_mock": MockOptions,
    "get_secret": SecretRequest,
    "get_users_secret": SecretRequest,
    "get_user_secret": SecretRequest,
    "set_cached_reference": str,
    "set_short_cached_reference": str,
    "has_cached_reference": str,
    "send_cv": msgspec.Raw,
    "send_job": SendJob,
    "issue_token": IssueToken,
}
"""Message type -> type of its content; None where the content is ignored."""

OPTIONAL: Final[dict[str, Any]] = {"hello": Hello(), "ping": None, "set_mock": MockOptions()}
"""What an absent content means, for the types that can do without one."""
