"""What signs visit tokens: the secret of the settings, noted in a recording, or the recording that is replayed."""

from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.errors import StoreFailed
from sidecar.jobs.token_signers import NotedSigner, ReplayedSigner, TokenSigner, secret_signer
from sidecar.recording.recording_folder import RecordingError, read_manifest
from sidecar.recording.token_recordings import read_tokens
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.recording.recorder_process import RecorderProcess

TOKENS_ARE_ON = "visit_tokens"
"""The member of a manifest that says whether jobs needed tokens."""


def token_signer(settings: Settings, recording: "RecorderProcess | None") -> TokenSigner | None:
    """The signer of a process; None if tokens are off. Raises StoreFailed for a damaged recording."""
    if settings.offline:
        return _replayed_signer(Path(settings.offline), settings)
    signer = secret_signer(settings.token_secret)
    return NotedSigner(signer, recording.record_token) if signer and recording else signer


def _replayed_signer(folder: Path, settings: Settings) -> TokenSigner | None:
    """An older recording does not say whether tokens were on: then the settings decide."""
    try:
        were_on = read_manifest(folder).get(TOKENS_ARE_ON)
        if were_on is None:
            return secret_signer(settings.token_secret)
        return ReplayedSigner(read_tokens(folder)) if were_on else None
    except RecordingError as wrong:
        raise StoreFailed(str(wrong), retryable=False) from None
