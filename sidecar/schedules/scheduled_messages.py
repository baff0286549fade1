"""The messages of schedules: checks, encryption at rest, redaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sidecar_protocol.codec import member
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode, WireError
from sidecar_protocol.jobs import SendJob
from sidecar_protocol.schedules import DEVICE_PUSH, Push
from sidecar_protocol.wire_types import UNSET, Raw

from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, InvalidContent, MissingCredentials
from sidecar.jobs.job_redaction import redactor_for
from sidecar.jobs.payloads import check_content, contains_secrets, decode_message
from sidecar.queue.submission import DEFAULT_TIMEOUT, decrypt_content, encrypt_content
from sidecar.recording.redaction.redactor import Redactor
from sidecar.rtcv.documents import DocumentLoader

if TYPE_CHECKING:
    from sidecar.browser.steps.plan import PlannedStep

_SENDING: Final = frozenset({"send_cv", "send_full_cv", "send_cvs_list"})
"""Types that need a server."""
_CONTENT: Final = "push.content"
_TYPE: Final = "push.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedMessage:
    """A message that may be run later."""

    type: str
    content: bytes
    decoded: Any
    steps: "Sequence[PlannedStep]" = ()
    """A job's, planned."""
    webhooks: str
    """The endpoints of its run, packed."""
    retries: int = 0
    timeout: float = DEFAULT_TIMEOUT
    """Seconds that one attempt may take, including the wait for a browser slot."""


class ScheduledMessages:
    """Checks, encrypts and redacts the messages of schedules."""

    def __init__(
        self,
        encryptor: Encryptor,
        supports: Callable[[str], bool],
        check_job: "Callable[[SendJob, float], Sequence[PlannedStep]]",
        documents: DocumentLoader,
        pack: Callable[[Sequence[str]], str],
        check_push: Callable[[], None],
    ) -> None:
        """`supports` says whether a message type can be scheduled.

        `check_job` takes a job and the Unix time of its run, returns its steps, and raises InvalidContent, Unauthorized
        and Forbidden. `pack` adds the session's webhooks to a job's own and packs them; it raises InvalidContent.
        `check_push` raises InvalidContent where pushes in EngageLab's own form have no target.
        """
        self._encryptor = encryptor
        self._supports = supports
        self._check_job = check_job
        self._documents = documents
        self._pack = pack
        self._check_push = check_push

    def check(self, push: Push, due: float, *, logged_in: bool) -> CheckedMessage:
        """Checks a message that is to run at a Unix time as if it were sent now.

        `logged_in`: whether there is a login, for a message that needs a server.

        Raises WireError, whose field begins with `push`, MissingCredentials, Unauthorized, Forbidden.
        """
        message_type, raw = push.type, push.content
        if not self._supports(message_type):
            raise InvalidContent(f"{_TYPE}: {message_type} can't be scheduled", _TYPE)
        if raw is UNSET:
            raise InvalidContent(f"{_CONTENT}: missing", _CONTENT)
        if message_type == DEVICE_PUSH:
            self._check_push()
        content = bytes(raw)
        steps: Sequence[PlannedStep] = ()
        try:
            decoded = decode_message(message_type, content)
            job = decoded if isinstance(decoded, SendJob) else None
            if job:
                steps = self._check_job(job, due)
            else:
                check_content(message_type, decoded, self._documents)
            webhooks = self._pack(job.webhooks if job else ())
        except WireError as error:
            if message_type == "send_job":
                from sidecar.jobs.job_mistakes import add_job_mistakes  # late: it brings playwright with it

                add_job_mistakes(error, content)
            _prefix_fields(error)
            raise
        if not logged_in and (message_type in _SENDING or (job and (job.secrets or job.forward))):
            raise MissingCredentials
        return CheckedMessage(
            type=message_type,
            content=content,
            decoded=decoded,
            steps=steps,
            webhooks=webhooks,
            retries=job.retries if job else 0,
            timeout=DEFAULT_TIMEOUT + (job.timeout_ms / 1000 if job else 0),
        )

    def recheck(self, message_type: str, stored: dict[str, str], due: float) -> None:
        """Checks that what is stored may run at another Unix time; not what only another process can open.

        Raises as `check`.
        """
        if message_type != "send_job":
            return
        try:
            job: SendJob = decode_message(message_type, self.decrypt(stored))
        except DecryptionKeyMissing:
            return
        try:
            self._check_job(job, due)
        except WireError as error:
            _prefix_fields(error)
            raise

    def encrypt(self, checked: CheckedMessage) -> dict[str, str]:
        """The content as it may be stored."""
        secret = self._encryptor.persistent or contains_secrets(checked.decoded, checked.steps)
        return encrypt_content(self._encryptor, checked.content, secret=secret)

    def decrypt(self, stored: dict[str, str]) -> bytes:
        """The decrypted content. Raises DecryptionKeyMissing."""
        return decrypt_content(self._encryptor, stored)

    def redacted(self, checked: CheckedMessage) -> Raw:
        """The content with its secrets replaced."""
        redactor = redactor_for(checked.decoded) if isinstance(checked.decoded, SendJob) else Redactor()
        line = redactor.redact_request(encode({"type": checked.type, "content": Raw(checked.content)}))
        return member(line, "content") if line else Raw(b"null")


def _prefix_fields(error: WireError) -> None:
    """Names fields as the schedule's parent knows them; an error about who asks names none."""
    if error.code is ErrorCode.INVALID_CONTENT or error.details.get("field"):
        error.prefix_fields(_CONTENT)
