"""Exceptions become `error` replies here, and only here."""

import logging
from collections.abc import Callable
from dataclasses import replace

from sidecar_protocol import codec
from sidecar_protocol.errors import ErrorDetail, WireError
from sidecar_protocol.replies import RequestId

from sidecar.errors import StoreFailed, error_detail

log = logging.getLogger(__name__)


def error_reply(
    request_id: RequestId | None, wrong: BaseException, number: Callable[[ErrorDetail], int] | None = None
) -> bytes:
    """The `error` reply to a failure; one that is no WireError is a fault of ours, and only the log says more.

    `number` gives the number that the message's errors have in addition to their code.
    """
    if not isinstance(wrong, WireError):
        log.error("unexpected error while handling a request", exc_info=wrong)
    detail = error_detail(wrong)
    if number is not None:
        detail = replace(detail, number=number(detail))
    return codec.encode_error(request_id, detail)


def commit_failed_reply(request_id: RequestId | None, failure: BaseException) -> bytes:
    """The `error` reply to what was accepted and then refused by the disk."""
    return error_reply(request_id, failure if isinstance(failure, StoreFailed) else _unknown())


def _unknown() -> StoreFailed:
    return StoreFailed("could not be stored", retryable=True)
