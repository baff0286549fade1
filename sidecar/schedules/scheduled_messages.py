"""The messages that schedules hold: checked when given, sealed while they wait, shown without their secrets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sidecar_protocol.base import UNSET, Raw
from sidecar_protocol.codec import member
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.schedules import Push
from sidecar_protocol.writing import encode

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, InvalidContent, MissingCredentials
from sidecar.jobs.job_redaction import redactor_for
from sidecar.jobs.payloads import contains_secrets, decode_stored
from sidecar.queue.submission import DEFAULT_TIMEOUT, decrypt_content, encrypt_content
from sidecar.recording.redaction.redactor import Redactor

_CONTENT: Final = "push.content"
_TYPE: Final = "push.type"


class Messages(Protocol):
    """What can be done unattended."""

    def supports(self, message_type: str) -> bool:
        """Whether this type of message makes sense unattended."""

    def validate(self, message_type: str, content: bytes) -> None:
        """Checks a message as if it were sent now. Raises WireError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedMessage:
    """A message that may be run later, and what comes with it."""

    type: str
    content: bytes
    webhooks: str
    """The endpoints that are told of its run, packed."""
    retries: int = 0
    timeout: float = DEFAULT_TIMEOUT
    """Seconds that one attempt may take, the wait for a place in a browser included."""


class ScheduledMessages:
    """What schedules need to know of the messages that they hold."""

    def __init__(
        self,
        encryptor: Encryptor,
        messages: Messages,
        check_job: Callable[[SendJob, float], object],
        pack: Callable[[Sequence[str]], str],
    ) -> None:
        """`check_job` takes a job and the Unix time at which it is to run.

        It raises InvalidContent, and Unauthorized and Forbidden for the job's visit token.

        `pack` takes a job's own webhooks and gives all that are in force, for the store. Raises InvalidContent.
        """
        self._encryptor = encryptor
        self._pack = pack
        self._messages = messages
        self._check_job = check_job

    def check(self, push: Push, due: float, *, logged_in: bool) -> CheckedMessage:
        """A message that is to be run at a Unix time, checked as if it were sent now.

        `logged_in`: whether there is a server for what needs one.

        Raises WireError, whose field begins with `push`, MissingCredentials, Unauthorized, Forbidden.
        """
        message_type, content = push.type, push.content
        if not self._messages.supports(message_type):
            raise InvalidContent(f"{_TYPE}: {message_type} is no message that makes sense unattended", _TYPE)
        if content is UNSET:
            raise InvalidContent(f"{_CONTENT}: missing", _CONTENT)
        checked = bytes(content)
        try:
            self._messages.validate(message_type, checked)
            decoded = decode_stored(message_type, checked)
            job = decoded if isinstance(decoded, SendJob) else None
            if job:
                self._check_job(job, due)
            webhooks = self._pack(job.webhooks if job else ())
        except WireError as error:
            raise _with_prefix(error) from None
        if not logged_in and (message_type == "send_cv" or (job and (job.secrets or job.forward))):
            raise MissingCredentials
        if job is None:
            return CheckedMessage(type=message_type, content=checked, webhooks=webhooks)
        timeout = job.timeout_ms / 1000 + DEFAULT_TIMEOUT
        return CheckedMessage(
            type=message_type, content=checked, webhooks=webhooks, retries=job.retries, timeout=timeout
        )

    def recheck(self, message_type: str, stored: dict[str, str], due: float) -> None:
        """Checks that what is stored may run at another Unix time; not what only another process can open.

        Raises as `check`.
        """
        if message_type != "send_job":
            return
        try:
            job: SendJob = decode_stored(message_type, self.decrypt(stored))
        except DecryptionKeyMissing:
            return
        try:
            self._check_job(job, due)
        except WireError as error:
            raise _with_prefix(error) from None

    def encrypt(self, checked: CheckedMessage) -> dict[str, str]:
        """The content as it may lie on disk."""
        secret = self._encryptor.persistent or contains_secrets(checked.type, checked.content)
        return encrypt_content(self._encryptor, checked.content, secret=secret)

    def decrypt(self, stored: dict[str, str]) -> bytes:
        """What was sealed. Raises DecryptionKeyMissing."""
        return decrypt_content(self._encryptor, stored)

    def redacted(self, checked: CheckedMessage) -> Raw:
        """The content with its secrets replaced."""
        message_type, content, redactor = checked.type, checked.content, Redactor()
        decoded = decode_stored(message_type, content)
        if isinstance(decoded, SendJob):
            redactor = redactor_for(decoded)
        line = redactor.redact_request(encode({"type": message_type, "content": Raw(content)}))
        return member(line, "content") if line else Raw(b"null")


def _with_prefix(error: WireError) -> WireError:
    """The same error; a wrong place is named from the outside."""
    if error.code is not ErrorCode.INVALID_CONTENT and not error.details.get("field"):
        return error  # about who asks
    field = str(error.details.get("field") or "content")
    place = _CONTENT if field == "content" else f"{_CONTENT}.{field}"
    message = error.message.removeprefix(f"{field}: ")
    places = {**error.details, "field": place}
    return WireError(error.code, f"{place}: {message}", retryable=error.retryable, **places)
