"""Browsers and what runs browser jobs in them, built at first use."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sidecar.clock import Clock
from sidecar.composition.job_networks import JobNetworks
from sidecar.rtcv.send_cv import ReferenceLocks
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.browser.pool import BrowserPool
    from sidecar.browser.processes.driver_process import DriverProcesses
    from sidecar.browser.profiles.profile_store import ProfileStore
    from sidecar.browser.sandbox.sandbox_pool import SandboxPool
    from sidecar.jobs.browser_job_runner import BrowserJobRunner
    from sidecar.jobs.run_service import RunService
    from sidecar.jobs.visit_tokens import VisitTokens
    from sidecar.recording.recorder_process import RecorderProcess
    from sidecar.rtcv.documents import DocumentLoader
    from sidecar.scratch_folder import Scratch


class BrowserServices:
    """One for each process."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        is_mock: Callable[[], bool],
        job_networks: JobNetworks | None = None,
        recording: "RecorderProcess | None" = None,
    ) -> None:
        """`is_mock` says whether this is a mock session, which leaves nothing on disk.

        `job_networks` says where the jobs' pages get their network from; None is the real one. `recording` takes the
        visit tokens of the session.
        """
        self._recording = recording
        self._visit_tokens: VisitTokens | None = None
        self._job_networks = job_networks or JobNetworks(settings, clock)
        self._settings = settings
        self._clock = clock
        self._is_mock = is_mock
        self._swept = False
        self._scratch: Scratch | None = None
        self._drivers: DriverProcesses | None = None
        self._pool: BrowserPool | None = None
        self._runner: BrowserJobRunner | None = None
        self._states: ProfileStore | None = None
        self._mock_states: ProfileStore | None = None
        self.reference_locks = ReferenceLocks()
        self._run_service: RunService | None = None

    def expect_job(self) -> None:
        """A browser job is coming: what takes longest to start does so while the rest is imported."""
        self._get_drivers().expect()

    def run_service(self) -> "RunService":
        """The service that runs browser jobs."""
        if self._run_service is None:
            from sidecar.jobs.run_service import RunService  # late: with updates of runs it takes 15 ms to import

            self._run_service = RunService(
                self._get_runner, lambda job, at: self.visit_tokens().check(job, at), self.reference_locks, self._clock
            )
        return self._run_service

    def documents(self) -> "DocumentLoader":
        """The source of CVs' PDFs."""
        from sidecar.rtcv.documents import DocumentLoader  # late: only a CV with a document needs it

        return DocumentLoader(self._settings.cv_folder)

    def forget_mock(self) -> None:
        """Forgets the profiles of the last mock session."""
        self._mock_states = None

    def visit_tokens(self) -> "VisitTokens":
        """Visit tokens."""
        from sidecar.composition.visit_tokens import token_signer  # late: only jobs ask
        from sidecar.jobs.visit_tokens import VisitTokens

        if self._visit_tokens is None:
            signer = token_signer(self._settings, self._recording)
            self._visit_tokens = VisitTokens(signer, self._clock, allow_proxies=self._settings.token_proxies)
        return self._visit_tokens

    def sandbox_pool(self) -> "SandboxPool":
        """The sandboxes of task scripts; those of jobs are from the same pool."""
        return self._get_pool().sandbox_pool

    async def close(self) -> None:
        """Closes the browsers, and removes temporary files."""
        if self._runner:
            await self._runner.close()
        if self._pool:
            await self._pool.close()
        if self._drivers:
            await self._drivers.close()
        if self._scratch:
            await asyncio.to_thread(self._scratch.close)
        await self.sweep()  # a session that was too short for it

    async def sweep(self) -> None:
        """Removes, once, temporary files of killed processes: they may include raw recordings."""
        if not self._swept:
            from sidecar.scratch_folder import remove_abandoned  # late: the first pong need not wait for it

            self._swept = True
            await asyncio.to_thread(lambda: remove_abandoned(self._settings.state_path()))

    def _get_pool(self) -> "BrowserPool":
        if self._pool is None:
            from sidecar.browser.pool import BrowserPool

            drivers = self._get_drivers()
            self._pool = BrowserPool(self._settings, self._clock, scratch=self._scratch, drivers=drivers)
        return self._pool

    def _get_drivers(self) -> "DriverProcesses":
        if self._drivers is None:
            from sidecar.browser.processes.driver_process import DriverProcesses  # late: only jobs need it
            from sidecar.scratch_folder import Scratch

            self._scratch = Scratch(lambda: None if self._is_mock() else self._settings.state_folder())
            self._drivers = DriverProcesses(self._settings, self._scratch)
        return self._drivers

    def _get_runner(self) -> "BrowserJobRunner":
        if self._runner is None:
            from sidecar.jobs.browser_job_runner import BrowserJobRunner  # late: playwright takes 200 ms to import

            folder = self._settings.artifacts_folder
            self._runner = BrowserJobRunner(
                self._get_pool(),
                folder,
                self._clock,
                self._get_states,
                allow_files=self._settings.allow_file_urls,
                max_filled_bytes=self._settings.max_line,
                network_of=self._job_networks.of,
            )
        return self._runner

    def _get_states(self) -> "ProfileStore":
        """The store of profiles: in the state folder, or in memory for a mock session."""
        from sidecar.browser.profiles.profile_store import FileProfileStore, MemoryProfileStore
        from sidecar.encryption import Encryptor

        if self._is_mock():
            self._mock_states = self._mock_states or MemoryProfileStore()
            return self._mock_states
        if self._states is None:
            self._states = FileProfileStore(self._settings.profiles_folder, Encryptor(self._settings.encryption_key()))
        return self._states
