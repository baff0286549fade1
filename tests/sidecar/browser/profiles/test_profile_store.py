"""Where profiles lie: whole files, encrypted where there is a key, one user at a time."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from sidecar.browser.profiles.profile_store import (
    FileProfileStore,
    MemoryProfileStore,
    Profile,
    ProfileStore,
    decode,
    encode,
)
from sidecar.encryption import Encryptor
from sidecar.errors import DecryptionKeyMissing, LimitExceeded, StoreFailed

SHOP = Profile("shop", "CHROMIUM")
KEY = b"k" * 32


def in_folder(folder: Path, key: bytes | None = None) -> FileProfileStore:
    """States in this folder."""
    return FileProfileStore(lambda: folder, Encryptor(key))


def names_in(folder: Path) -> set[str]:
    """The files that are there."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["memory", "folder", "sealed"])
async def test_what_was_saved_comes_back(tmp_path: Path, kind: str) -> None:
    """Nothing at first, then the last state, with a new version each time, apart for each kind of browser."""
    made: dict[str, ProfileStore] = {
        "memory": MemoryProfileStore(),
        "folder": in_folder(tmp_path),
        "sealed": in_folder(tmp_path, KEY),
    }
    states = made[kind]
    assert await states.load(SHOP) is None
    versions = [states.version(SHOP)]
    for state in (b"one", b"another"):
        async with states.lock(SHOP):
            await states.save(SHOP, state)
        versions.append(states.version(SHOP))
        assert await states.load(SHOP) == state
    assert len(set(versions)) == 3
    assert await states.load(Profile("shop", "FIREFOX")) is None
    assert await states.load(Profile("shop", "CHROMIUM", "a.example")) is None


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """0600, whatever the umask; a key leaves nothing to read; no half file stays behind."""
    before = os.umask(0)
    try:
        for name, key in (("clear", None), ("sealed", KEY)):
            profile = Profile(name, "CHROMIUM")
            async with in_folder(tmp_path, key).lock(profile):
                await in_folder(tmp_path, key).save(profile, b'"canary"')
    finally:
        os.umask(before)
    names = names_in(tmp_path)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == {0o600}
    assert b"canary" in (tmp_path / "clear.chromium.json").read_bytes()
    assert b"canary" not in (tmp_path / "sealed.chromium.json").read_bytes()
    assert names == {f"{name}.chromium.{suffix}" for name in ("clear", "sealed") for suffix in ("json", "lock")}


async def test_another_key_opens_nothing(tmp_path: Path) -> None:
    """Encrypted with one key: neither another nor none reads it; what was clear before the key came is read."""
    await in_folder(tmp_path, KEY).save(SHOP, b"{}")
    for key in (b"o" * 32, None):
        with pytest.raises(DecryptionKeyMissing):
            await in_folder(tmp_path, key).load(SHOP)
    await in_folder(tmp_path).save(SHOP, b"{}")
    assert await in_folder(tmp_path, KEY).load(SHOP) == b"{}"


async def test_the_profile_lock_belongs_to_one_sidecar_at_a_time(tmp_path: Path) -> None:
    """Another process on the same folder waits for the lock, and can be cancelled."""
    first, second = in_folder(tmp_path), in_folder(tmp_path)
    entered = asyncio.Event()

    async def enter() -> None:
        async with second.lock(SHOP):
            entered.set()

    async with first.lock(SHOP):
        tired, waiting = asyncio.create_task(enter()), asyncio.create_task(enter())
        await asyncio.sleep(0.2)
        assert not entered.is_set()
        tired.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tired
    await asyncio.wait_for(waiting, 5)
    assert entered.is_set()


async def test_what_can_not_be_used_is_said(tmp_path: Path) -> None:
    """A folder that is none, a damaged state, one that is too large."""
    (tmp_path / "file").write_bytes(b"")
    states = in_folder(tmp_path / "file")
    with pytest.raises(StoreFailed, match="the profile shop can't be used: Not a directory"):
        await states.lock(SHOP).__aenter__()
    with pytest.raises(StoreFailed, match="can't be read"):
        await states.load(SHOP)
    with pytest.raises(StoreFailed, match="can't be saved"):
        await states.save(SHOP, b"")
    with pytest.raises(StoreFailed, match="is damaged"):
        decode(SHOP, b"{")
    with pytest.raises(LimitExceeded, match="the limit is 67108864"):
        encode(SHOP, "x" * (64 << 20))


def test_any_string_that_a_page_stores_survives() -> None:
    """Half of a surrogate pair, zero bytes and line ends are letters to a page."""
    state = {"origins": [{"localStorage": [{"name": "\ud800", "value": "\x00\u2028\n"}]}]}
    assert decode(SHOP, encode(SHOP, state)) == state
