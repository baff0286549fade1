"""The single boundary between exceptions and replies."""

import logging

from protocol import codec
from protocol.errors import ErrorCode, ErrorDetail, WireError
from protocol.replies import RequestId
from sidecar.errors import StoreFailed

log = logging.getLogger(__name__)


def refusal(request_id: RequestId | None, wrong: BaseException) -> bytes:
    """The `error` reply to a failure; one that is no WireError is a fault of ours, and only the log says more."""
    if isinstance(wrong, WireError):
        return codec.encode_error(request_id, wrong.detail)
    log.error("a request failed in a way that it should not", exc_info=wrong)
    said = "internal error; the sidecar's log on stderr says more"
    return codec.encode_error(request_id, ErrorDetail(code=ErrorCode.INTERNAL, message=said, retryable=False))


def not_stored(request_id: RequestId | None, failure: BaseException) -> bytes:
    """The `error` reply to what was accepted and then refused by the disk."""
    return refusal(request_id, failure if isinstance(failure, StoreFailed) else StoreFailed("could not be stored"))
