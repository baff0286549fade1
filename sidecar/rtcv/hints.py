"""What to do about a server's refusal; its own sentence stays as it is."""

from sidecar.errors import Forbidden, NotFound, RemoteFailed, RemoteUnreachable, SidecarError, Unauthorized

_NO_RTCV = "is this an RT-CV server? server_location is what stands before /api/v1"
_UNREACHABLE = (
    ("WRONG_VERSION_NUMBER", "the server speaks http: write server_location with http://"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted here: add its authority to this machine's"),
    ("not known", "check the host name in server_location"),
    ("No address associated", "check the host name in server_location"),
    ("refused", "nothing listens there: check host and port, and whether the server runs"),
)
"""Words of a failure to connect, and what to do."""


def add_login_hint(error: SidecarError) -> None:
    """Adds to a failed login what is usually wrong."""
    if isinstance(error, Unauthorized):
        hint = "check api_key_id and api_key: the server does not know this pair"
    elif isinstance(error, Forbidden):
        hint = "the key needs the role scraper (1); an administrator of the server can add it"
    elif isinstance(error, RemoteUnreachable):
        hint = next((hint for words, hint in _UNREACHABLE if words in error.message), "")
    elif isinstance(error, NotFound) or (isinstance(error, RemoteFailed) and not error.retryable):
        hint = _NO_RTCV
    else:
        hint = ""
    if hint:
        error.details.setdefault("hint", hint)


def add_secret_hint(error: SidecarError) -> None:
    """Adds to a refused secret what is usually wrong."""
    if isinstance(error, NotFound):
        error.details.setdefault("hint", "the primary server has no secret under this `key` for this API key")
    elif error.details.get("status") == 500:
        error.details.setdefault("hint", "check encryption_key: RT-CV answers a wrong one in this way")
