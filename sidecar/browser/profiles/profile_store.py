"""Stores of profiles: a file for each in the state folder, encrypted if there is a key, or memory."""

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

from sidecar_protocol.wire_types import BrowserName

from sidecar import files
from sidecar.encryption import Encryptor
from sidecar.errors import LimitExceeded, SidecarError, StoreFailed

MAX_BYTES: Final = 64 << 20
"""The largest profile, cookies and storage together."""
_LOCK_POLL_INTERVAL: Final = 0.05
"""Seconds between attempts to lock a profile that another sidecar uses."""
_ENCRYPTED_PREFIX: Final = b"sealed:"


@dataclass(frozen=True, slots=True)
class Profile:
    """The identity of a profile. Kinds of browsers, and domains if visit tokens are on, have separate profiles."""

    name: str
    """Letters, digits, `_`, `-` and `.`; it does not begin with a dot."""
    kind: BrowserName
    domain: str = ""

    @property
    def file_name(self) -> str:
        """A name that is unique to the profile."""
        apart = f"@{hashlib.sha256(self.domain.encode()).hexdigest()[:16]}" if self.domain else ""
        return f"{self.name}{apart}.{self.kind.lower()}"


class ProfileStore(Protocol):
    """Stores the state of profiles: Playwright's `storage_state` as JSON."""

    def lock(self, profile: Profile) -> AbstractAsyncContextManager[None]:
        """An exclusive lock on a profile, also across sidecars. Raises StoreFailed."""

    def version(self, profile: Profile) -> object:
        """A value that changes with each `save` by any sidecar; None before the first."""

    async def load(self, profile: Profile) -> bytes | None:
        """The state that was saved last. Raises StoreFailed, and DecryptionKeyMissing."""

    async def save(self, profile: Profile, state: bytes) -> None:
        """Replaces the state atomically. Raises StoreFailed."""


class MemoryProfileStore:
    """Profiles in memory, which end with the process."""

    def __init__(self) -> None:
        self._saved: dict[Profile, tuple[int, bytes]] = {}

    def lock(self, profile: Profile) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        """Locks nothing: other processes can't reach these profiles."""
        return contextlib.nullcontext()

    def version(self, profile: Profile) -> object:
        """The number of saves."""
        return self._saved.get(profile, (None,))[0]

    async def load(self, profile: Profile) -> bytes | None:
        """The state that was saved last."""
        return self._saved.get(profile, (0, None))[1]

    async def save(self, profile: Profile, state: bytes) -> None:
        """Replaces the state."""
        self._saved[profile] = self._saved.get(profile, (0,))[0] + 1, state


class FileProfileStore:
    """Profiles as files of mode 0600 in a folder of mode 0700, shared by all sidecars that use it."""

    def __init__(self, folder: Callable[[], Path], encryptor: Encryptor) -> None:
        """`folder` creates the folder if it is missing; files are encrypted if the encryptor is persistent."""
        self._folder = folder
        self._encryptor = encryptor

    @asynccontextmanager
    async def lock(self, profile: Profile) -> AsyncIterator[None]:
        """Holds `flock` on a lock file next to the profile's; the lock ends with the process."""
        with _store_errors(profile, "can't be used"):
            descriptor = files.open_file(self._path(profile, "lock"), os.O_RDWR | os.O_CREAT)
        try:
            with _store_errors(profile, "can't be locked"):
                while not _try_lock(descriptor):  # noqa: ASYNC110 - other processes can't notify
                    await asyncio.sleep(_LOCK_POLL_INTERVAL)
            yield
        finally:
            os.close(descriptor)

    def version(self, profile: Profile) -> object:
        """The identity of the file."""
        with _store_errors(profile, "can't be used"):
            try:
                file = self._path(profile).lstat()
            except FileNotFoundError:
                return None
        return file.st_ino, file.st_mtime_ns, file.st_size

    async def load(self, profile: Profile) -> bytes | None:
        """The state that was saved last, decrypted if it is encrypted."""
        with _store_errors(profile, "can't be read"):
            try:
                content = await asyncio.to_thread(files.read, self._path(profile))
            except FileNotFoundError:
                return None
        if content.startswith(_ENCRYPTED_PREFIX):
            return self._encryptor.decrypt(content.removeprefix(_ENCRYPTED_PREFIX).decode("ascii", "replace")).encode()
        return content

    async def save(self, profile: Profile, state: bytes) -> None:
        """Writes a new file and renames it over the old one."""
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
    # pages may store lone surrogates, which orjson refuses
    encoded = json.dumps(state, separators=(",", ":")).encode()
    if len(encoded) > MAX_BYTES:
        raise LimitExceeded(f"the profile {profile.name} has {len(encoded)} bytes; the limit is {MAX_BYTES}")
    return encoded


def _replace(path: Path, content: bytes) -> None:
    # the lock makes this exclusive; what a crashed process left is overwritten
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
