"""Message type -> who handles it."""

from collections.abc import Callable
from functools import partial

from protocol import codec
from protocol.replies import RequestId
from protocol.session import HelloReply
from sidecar.handlers import cvs, jobs, references, secrets, session, tokens
from sidecar.handlers.route import Route
from sidecar.session import Session


def routes(
    parts: Session,
    about: Callable[[], HelloReply],
    runner: Callable[[], jobs.Runner],
    issuer: Callable[[], tokens.Issuer],
) -> dict[str, Route]:
    """Every message type with its handler, bound to the parts that it works on.

    But `cancel`, which acts on the dispatcher's own lanes.
    """
    in_progress = cvs.InProgress()
    login = Route(partial(session.set_credentials, parts), waits=True, barrier=True)
    return {
        "hello": Route(partial(session.hello, parts, about)),
        "ping": Route(session.ping, encode=_pong),
        "set_credentials": login,
        "set_multiple_credentials": login,
        "set_mock": Route(partial(session.set_mock, parts), waits=True, barrier=True),
        "get_secret": Route(partial(secrets.get_secret, parts), waits=True),
        "get_users_secret": Route(partial(secrets.get_users_secret, parts), waits=True),
        "get_user_secret": Route(partial(secrets.get_user_secret, parts), waits=True),
        "set_cached_reference": Route(partial(references.set_cached_reference, parts), accepts=True),
        "set_short_cached_reference": Route(partial(references.set_short_cached_reference, parts), accepts=True),
        "has_cached_reference": Route(partial(references.has_cached_reference, parts)),
        "send_cv": Route(partial(cvs.send_cv, parts, in_progress), waits=True, accepts=True),
        "send_job": Route(partial(jobs.send_job, parts, runner, in_progress), waits=True, accepts=True),
        "issue_token": Route(partial(tokens.issue_token, parts, issuer)),
    }


def _pong(request_id: RequestId | None, _: object) -> bytes:
    return codec.encode_pong(request_id)
