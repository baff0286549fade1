"""Files of the state folder: links are not followed, and only the owner may read or write."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar import files
from sidecar.browser.profiles.profile_store import FileProfileStore, Profile
from sidecar.encryption import Encryptor
from sidecar.errors import StoreFailed
from sidecar.queue.process_registry import ProcessLock
from sidecar.settings import Settings
from sidecar.storage.agenda_snapshot import read_snapshot
from sidecar.storage.database import Database

PROFILE = Profile("ann", "CHROMIUM")


def mode(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.lstat().st_mode)


def content(path: Path) -> bytes:
    """What is in it."""
    return path.read_bytes()


def names_in(folder: Path) -> list[str]:
    """What is there."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that a planted link leads to."""
    path = tmp_path / "victim"
    path.write_bytes(b"mine")
    path.chmod(0o644)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_what_is_opened_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A file found wider gets its mode back; a link, a pipe and a folder are refused, and named."""
    path = tmp_path / "a"
    path.touch(mode=0o644)
    path.chmod(0o664)
    os.close(files.open_file(path, os.O_RDWR))
    assert mode(path) == 0o600
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="link is a symbolic link"):
        files.open_file(tmp_path / "link", os.O_RDWR)
    with pytest.raises(OSError, match="not a regular file"):
        files.open_file(tmp_path / "pipe", os.O_RDONLY)
    with pytest.raises(FileNotFoundError):
        files.open_file(tmp_path / "none", os.O_RDWR)


async def test_the_database_is_not_opened_by_a_link(home: Path, victim: Path) -> None:
    """Neither to write nor to look; its own files get their mode back."""
    (home / "sidecar.db").symlink_to(victim)
    with pytest.raises(StoreFailed, match="symbolic link"):
        await Database.open(home / "sidecar.db")
    with pytest.raises(StoreFailed, match="symbolic link"):
        read_snapshot(home / "sidecar.db", 0.0)
    assert (content(victim), mode(victim)) == (b"mine", 0o644)
    (home / "sidecar.db").unlink()
    first = await Database.open(home / "sidecar.db")
    names = names_in(home)
    assert names == ["sidecar.db", "sidecar.db-shm", "sidecar.db-wal"]
    for name in names:
        (home / name).chmod(0o666)
    second = await Database.open(home / "sidecar.db")
    assert {mode(home / name) for name in names} == {0o600}
    await second.close()
    await first.close()


async def test_profiles_are_not_written_or_read_by_a_link(home: Path, victim: Path) -> None:
    """A link in the place of a profile, of its lock or of the file that is to replace it leads nowhere."""
    states = FileProfileStore(lambda: home, Encryptor())
    names = ("ann.chromium.json", "ann.chromium.json.new", "ann.chromium.lock")
    for name in names:
        (home / name).symlink_to(victim)
    with pytest.raises(StoreFailed, match="symbolic link"):
        async with states.lock(PROFILE):
            pass
    with pytest.raises(StoreFailed, match="symbolic link"):
        await states.load(PROFILE)
    await states.save(PROFILE, b"{}")
    assert (content(victim), mode(victim)) == (b"mine", 0o644)
    assert (await states.load(PROFILE), mode(home / names[0])) == (b"{}", 0o600)
    (home / names[0]).chmod(0o644)
    await states.load(PROFILE)
    assert mode(home / names[0]) == 0o600


def test_folders_are_not_entered_by_a_link(home: Path, tmp_path: Path) -> None:
    """Artifacts, profiles and the list of processes would lie, and be swept, wherever the link leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    settings = Settings(home=str(home))
    users: dict[str, Callable[[], object]] = {
        "artifacts": settings.artifacts_folder,
        "profiles": settings.profiles_folder,
        "processes": lambda: ProcessLock(home),
    }
    for name, use in users.items():
        (home / name).symlink_to(elsewhere)
        with pytest.raises(OSError, match=f"{name} is a symbolic link"):
            use()
        (home / name).unlink()
    assert names_in(elsewhere) == ["precious"]
    (home / "artifacts").mkdir()
    (home / "artifacts").chmod(0o777)
    assert mode(settings.artifacts_folder()) == 0o755


def test_scripts_are_not_read_by_a_planted_link(home: Path, tmp_path: Path) -> None:
    """A link for the scripts folder in the state folder is refused; a folder that the settings name may be a link."""
    (home / "scripts").symlink_to(tmp_path)
    with pytest.raises(OSError, match="scripts is a symbolic link"):
        Settings(home=str(home)).scripts_path()
    assert Settings(home=str(home), scripts_folder=str(home / "scripts")).scripts_path() == home / "scripts"


def test_a_folder_that_others_may_write_to_is_reported(home: Path) -> None:
    """The warning says what to do."""
    home.chmod(0o755)
    assert files.permission_warning(home) is None
    home.chmod(0o775)
    assert (
        files.permission_warning(home)
        == f"the state folder {home} is writable by others (mode 0775): run `chmod go-w {home}`"
    )
