"""The network of browser jobs: the real one, which may be recorded, or a recording."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar.clock import Clock
from sidecar.errors import NotRecorded, SidecarError, StoreFailed
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar_protocol.jobs import SendJob

    from sidecar.browser.filmstrip.filmstrip import Film
    from sidecar.browser.filmstrip.late_pictures import LatePictures
    from sidecar.browser.job_network import Artifact, JobNetwork
    from sidecar.recording.page_recordings import PageRecordings
    from sidecar.recording.recorder_process import RecorderProcess
    from sidecar.recording.redaction.redactor import Redactor
    from sidecar.truncation import Redact

MAX_TYPED: Final = 10_000
"""Texts typed into pages that are looked for in pictures of later jobs; at least the newest."""


class JobNetworks:
    """One for each process."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        recording: "RecorderProcess | None" = None,
        redact: "Redact" = str,
    ) -> None:
        """Jobs are recorded into `recording`; the settings may name a recording that answers instead.

        `redact` takes the session's secrets out of a text.
        """
        self._settings = settings
        self._clock = clock
        self._recording = recording
        self._redact = redact
        self._typed: Redactor | None = None
        self._pages: PageRecordings | None = None
        self._late_pictures: LatePictures | None = None

    def of(self, job: "SendJob") -> "JobNetwork | None":
        """The network of a job that begins now; None for the real one. Raises NotRecorded and StoreFailed."""
        if self._settings.offline:
            return self._offline(job)
        if self._recording is None:
            return None
        from sidecar.browser.filmstrip.late_pictures import LatePictures
        from sidecar.browser.job_network import RecordedNetwork
        from sidecar.recording.job_artifacts import hold

        late_pictures = self._late_pictures = self._late_pictures or LatePictures(self._clock.monotonic)
        seed = int.from_bytes(os.urandom(4)) >> 1
        recording, key, began = self._recording, _key(job), self._clock.now()

        def record_film(film: "Film", error: SidecarError | None, artifacts: "Sequence[Artifact]") -> None:
            failed = {"code": error.code, "message": error.message} if error else None
            entry = {"name": job.name, "steps": film.steps, "failure": film.failure or failed}
            left_out = {"late": film.left_out, "secret": film.covered}
            held = [one for kind, path in artifacts if (one := hold(recording.folder, kind, path))]
            recording.record_job(key, seed, began, {**entry, "left_out": left_out, "artifacts": held}, film.pictures)

        def record_progress(steps: "Sequence[Mapping[str, Any]]", pictures: "Sequence[bytes]", before: int) -> None:
            recording.record_progress(key, seed, began, {"name": job.name, "steps": steps}, pictures, before)

        record = partial(recording.record_pages, key, seed, began)
        redact, now = self._picture_redact(job), self._clock.monotonic
        takers = (record, record_film, record_progress, self._learn_secrets)
        return RecordedNetwork(seed, *takers, redact, now, late_pictures)

    def _learn_secrets(self, extract: "Mapping[str, Any]") -> bool:
        """Makes known what was read into fields whose names are those of secrets; whether there is any."""
        from sidecar.recording.redaction.secret_patterns import named_secrets

        secrets = list(named_secrets(extract))
        for value, name in secrets:
            if self._recording:
                self._recording.name_secret(value, name)
            if self._typed:
                self._typed.add_secret(value)
        return bool(secrets)

    def _picture_redact(self, job: "SendJob") -> "Redact":
        """Takes secrets of the session out of texts of pages, and what its newer jobs have typed into them."""
        from sidecar.recording.redaction.placeholders import SecretWords
        from sidecar.recording.redaction.redactor import Redactor

        if self._typed is None:
            self._typed = Redactor(SecretWords(os.urandom(16)), MAX_TYPED)
        typed, redact = self._typed, self._redact
        if steps := [{"actions": step.actions} for step in job.steps if step.actions]:
            typed.redact_request(json.dumps({"type": "send_job", "content": {"steps": steps}}).encode())
        return lambda text: typed.redact_text(redact(text))

    def _offline(self, job: "SendJob") -> "JobNetwork":
        from sidecar.browser.job_network import OfflineNetwork
        from sidecar.recording.page_recordings import PageRecordings
        from sidecar.recording.recording_folder import RecordingError

        try:
            if self._pages is None:
                ignored = tuple(self._settings.ignore_params.split(","))
                self._pages = PageRecordings(Path(self._settings.offline), ignored)
            pages = self._pages.take(_key(job))
        except RecordingError as wrong:
            raise StoreFailed(str(wrong)) from None
        if pages is None:
            url = job.steps[0].url if job.steps else ""
            raise NotRecorded("no job that visits these pages was recorded, or not as often", url=url)
        return OfflineNetwork(pages.seed, pages.began, pages.har, pages.exchanges.find, pages.sockets, pages.workers)


def _key(job: "SendJob") -> str:
    from sidecar.recording.page_recordings import job_key

    return job_key(job.browser, (step.url for step in job.steps))
