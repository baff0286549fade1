"""Where browser jobs get their network from: the real one, which may be recorded, or a recording."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.clock import Clock
from sidecar.errors import NotRecorded, StoreFailed
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar_protocol.jobs import SendJob

    from sidecar.browser.job_network import JobNetwork
    from sidecar.recording.page_recordings import PageRecordings
    from sidecar.recording.recorder_process import RecorderProcess


class JobNetworks:
    """One for each process."""

    def __init__(self, settings: Settings, clock: Clock, recording: "RecorderProcess | None" = None) -> None:
        """Jobs are recorded into `recording`; the settings may name a recording that answers instead."""
        self._settings = settings
        self._clock = clock
        self._recording = recording
        self._pages: PageRecordings | None = None

    def of(self, job: "SendJob") -> "JobNetwork | None":
        """The network of a job that begins now; None for the real one. Raises NotRecorded and StoreFailed."""
        if self._settings.offline:
            return self._offline(job)
        if self._recording is None:
            return None
        from sidecar.browser.job_network import RecordedNetwork

        seed = int.from_bytes(os.urandom(4)) >> 1
        record = partial(self._recording.record_pages, _key(job), seed, self._clock.now())
        return RecordedNetwork(seed, record)

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
        return OfflineNetwork(pages.seed, pages.began, pages.har, pages.exchanges.find)


def _key(job: "SendJob") -> str:
    from sidecar.recording.page_recordings import job_key

    return job_key(job.browser, (step.url for step in job.steps))
