"""Where profiles lie between jobs: one file each in the state folder, sealed where there is a key, or memory."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sidecar_protocol.jobs import BrowserName

from sidecar import files
from sidecar.encryption import Encryptor
from sidecar.errors import LimitExceeded, SidecarError, StoreFailed

MAX_BYTES: Final = 64 << 20
"""Of one profile's cookies and storage."""
_LOCK_POLL_INTERVAL: Final = 0.05
"""Seconds between two looks at a profile that another sidecar uses."""
_ENCRYPTED_PREFIX: Final = b"sealed:"


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose cookies and storage. Each kind of browser has its own; so has each domain where visit tokens are on."""

    name: str
    """Letters, digits, `_`, `-` and `.`, which it does not begin with."""
    kind: BrowserName
    domain: str = ""

    @property
    def file_name(self) -> str:
        """No two profiles share it."""
        apart = f"@{hashlib.sha256(self.domain.encode()).hexdigest()[:16]}" if self.domain else ""
        return f"{self.name}{apart}.{self.kind.lower()}"


class ProfileStore(Protocol):
    """Keeps what a profile's jobs left: Playwright's `storage_state`, as JSON."""

    def lock(self, profile: Profile) -> AbstractAsyncContextManager[None]:
        """Only one job at a time holds a profile's turn, also among several sidecars. Raises StoreFailed."""

    def version(self, profile: Profile) -> object:
        """Changes with each `save`, whoever made it; None before the first."""

    async def load(self, profile: Profile) -> bytes | None:
        """What was saved last. Raises StoreFailed, and DecryptionKeyMissing."""

    async def save(self, profile: Profile, state: bytes) -> None:
        """Replaces it, whole or not at all. Raises StoreFailed."""


class MemoryProfileStore:
    """Profiles that end with the process."""

    def __init__(self) -> None:
        self._saved: dict[Profile, tuple[int, bytes]] = {}

    def lock(self, profile: Profile) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Nobody else has them."""
        return contextlib.nullcontext()

    def version(self, profile: Profile) -> object:
        """How often it was saved."""
        return self._saved.get(profile, (None,))[0]

    async def load(self, profile: Profile) -> bytes | None:
        """What was saved last."""
        return self._saved.get(profile, (0, None))[1]

    async def save(self, profile: Profile, state: bytes) -> None:
        """Replaces it."""
        self._saved[profile] = self._saved.get(profile, (0,))[0] + 1, state


class FileProfileStore:
    """Profiles as files of mode 0600 in a folder of mode 0700, shared by all sidecars that use it."""

    def __init__(self, folder: Callable[[], Path], encryptor: Encryptor) -> None:
        """`folder` makes the folder where it is missing; files are sealed where the seal lasts."""
        self._folder = folder
        self._encryptor = encryptor

    @asynccontextmanager
    async def lock(self, profile: Profile) -> AsyncIterator[None]:
        """Holds a lock on a file beside the profile's; it ends with the process, too."""
        with _store_errors(profile, "can't be used"):
            descriptor = files.open_file(self._path(profile, "lock"), os.O_RDWR | os.O_CREAT)
        try:
            with _store_errors(profile, "can't be locked"):
                while not _try_lock(descriptor):  # noqa: ASYNC110 - other processes give no sign
                    await asyncio.sleep(_LOCK_POLL_INTERVAL)
            yield
        finally:
            os.close(descriptor)

    def version(self, profile: Profile) -> object:
        """Which file it is."""
        with _store_errors(profile, "can't be used"):
            try:
                file = self._path(profile).lstat()
            except FileNotFoundError:
                return None
        return file.st_ino, file.st_mtime_ns, file.st_size

    async def load(self, profile: Profile) -> bytes | None:
        """What was saved last, opened where it is sealed."""
        with _store_errors(profile, "can't be read"):
            try:
                content = await asyncio.to_thread(files.read, self._path(profile))
            except FileNotFoundError:
                return None
        if content.startswith(_ENCRYPTED_PREFIX):
            return self._encryptor.decrypt(content.removeprefix(_ENCRYPTED_PREFIX).decode("ascii", "replace")).encode()
        return content

    async def save(self, profile: Profile, state: bytes) -> None:
        """Writes another file and puts it in the place of the one before."""
        if self._encryptor.persistent:
            state = _ENCRYPTED_PREFIX + self._encryptor.encrypt(state.decode()).encode()
        with _store_errors(profile, "can't be saved"):
            await asyncio.to_thread(_replace, self._path(profile), state)

    def _path(self, profile: Profile, suffix: str = "json") -> Path:
        return self._folder() / f"{profile.file_name}.{suffix}"


def decode(profile: Profile, saved: bytes) -> Any:
    """Playwright's `storage_state`. Raises StoreFailed."""
    try:
        return json.loads(saved)
    except ValueError:
        raise _failed(profile, "is damaged; remove its file") from None


def encode(profile: Profile, state: Any) -> bytes:
    """Playwright's `storage_state` as bytes. Raises LimitExceeded."""
    # pages may store lone surrogates, which msgspec refuses
    encoded = json.dumps(state, separators=(",", ":")).encode()
    if len(encoded) > MAX_BYTES:
        raise LimitExceeded(f"the profile {profile.name} has {len(encoded)} bytes; the limit is {MAX_BYTES}")
    return encoded


def _replace(path: Path, content: bytes) -> None:
    # whoever holds the turn is alone here; what a dead one left is overwritten
    new = path.with_name(f"{path.name}.new")
    try:
        with os.fdopen(files.create_file(new), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _store_errors(profile: Profile, problem: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(profile, f"{problem}: {error.strerror}") from None


def _failed(profile: Profile, problem: str) -> SidecarError:
    return StoreFailed(f"the profile {profile.name} {problem}", retryable=False)
