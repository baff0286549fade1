"""Checks of `sidecar doctor` that need no browser: settings, clock, state folder, and a session with a real child."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from sidecar import isolated_launch, settings
from sidecar.client import Sidecar, SidecarEnded, SidecarFailure
from sidecar.clock import Clock
from sidecar.files import permission_warning
from sidecar.settings import Settings, host_zone

Verdict = Literal["ok", "note", "MISSING"]
"""`note` is what some users need; `MISSING` is what keeps jobs from running."""
MAX_FILES: Final = 100_000
"""Files of the state folder whose sizes are added up."""
MAX_SKEW: Final = 5.0
"""Seconds that the clocks of a fleet may differ: schedules and leases are compared across machines."""
EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""No clock is right that says less."""
READY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; `fix` mends what is wrong."""

    verdict: Verdict
    check: str
    said: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.said}" + (f"; {self.fix}" if self.fix else "")


def variables(_: Settings) -> Iterator[Finding]:
    """Variables with our prefix that name no setting; one that resembles a setting has ended the process before."""
    foreign = ", ".join(settings.foreign_variables())
    if foreign:
        fix = "unset them if they were meant for the sidecar: `sidecar --help-all` lists the settings"
        yield Finding("note", "variables", f"no settings of the sidecar, left to other programs: {foreign}", fix)


def state_folder(loaded: Settings) -> Iterator[Finding]:
    """Whether it can be written, by whom, and how much it holds."""
    try:
        folder = loaded.state_folder()
    except OSError as failure:
        fix = "set SIDECAR_HOME to a folder that can be written"
        yield Finding("MISSING", "state folder", failure.strerror or str(failure), fix)
        return
    if not os.access(folder, os.W_OK):
        yield Finding("MISSING", "state folder", f"{folder} can't be written", "set SIDECAR_HOME to one that can")
    elif wide := permission_warning(folder):
        said, _, fix = wide.partition(": ")
        yield Finding("MISSING", "state folder", said.removeprefix("the state folder "), fix)
    else:
        free = shutil.disk_usage(folder).free >> 20
        yield Finding("ok", "state folder", f"{folder} holds {_size(folder)}, {free:,} MB free")


def _size(folder: Path) -> str:
    """The size of what is in it, up to MAX_FILES files."""
    total, count = 0, 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it was removed meanwhile
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118  a path object for each is slow
            count += 1
            if count >= MAX_FILES:
                return f"more than {total >> 20:,} MB in more than {MAX_FILES:,} files"
    return f"{total / (1 << 20):,.1f} MB in {count:,} files"


def clock(_: Settings) -> Iterator[Finding]:
    """The time zone, and whether the time can be right."""
    zone = host_zone()
    now = datetime.now(UTC).astimezone(zone)
    name = str(zone) if zone else "/".join(dict.fromkeys(time.tzname))
    said = f"{name}, it is {now.isoformat(sep=' ', timespec='seconds')}"
    if now < EARLIEST:
        fix = "set the clock: tokens, certificates and schedules need it"
        yield Finding("MISSING", "clock", f"time zone {said}", fix)
    else:
        yield Finding("ok", "time zone", said)


async def fleet_clock(url: str, clock: Clock) -> Finding:
    """Whether this machine's clock agrees with that of the fleet's Redis. Raises StoreFailed."""
    from sidecar.storage.redis_client import call, connect  # late: only a fleet has redis installed

    redis = connect(url)
    try:
        seconds, microseconds = await call(redis.time())
    finally:
        await redis.aclose()
    skew = clock.now() - (seconds + microseconds / 1e6)
    if abs(skew) > MAX_SKEW:
        said = f"this machine's is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of the fleet's Redis"
        return Finding("MISSING", "fleet's clock", said, "synchronise them, for example with chrony")
    return Finding("ok", "fleet's clock", f"{abs(skew):.1f} s apart")


def protocol(flags: Mapping[str, str]) -> Finding:
    """A session with a real child, which has a state folder of its own: start, mock login, a secret, end."""
    given = {name: value for name, value in flags.items() if name not in ("webhook", "record", "offline")}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sidecar-", ignore_cleanup_errors=True) as folder:
        given |= {"home": folder, "webhook": "", "record": "", "log_input": "", "log_debug": ""}
        command = isolated_launch.command(*(f"--{name.replace('_', '-')}={value}" for name, value in given.items()))
        environment = settings.child_environment({"SIDECAR_QUEUE": "", "SIDECAR_QUEUE_FILE": ""})
        try:
            with Sidecar(command, env=environment, timeout=READY_SECONDS, close_timeout=READY_SECONDS) as child:
                ready = time.monotonic() - began
                child.ping()
                child.set_mock({"user": {"username": "a", "password": "b"}})
                known = child.get_user_secret("any")["username"] == "a"
        except (SidecarEnded, SidecarFailure, TimeoutError, OSError) as failure:
            fix = 'run `sidecar` by hand and type {"type":"ping"}'
            return Finding("MISSING", "protocol", f"a child does not answer: {failure}", fix)
    if not known:
        return Finding("MISSING", "protocol", "a child answers wrongly", "reinstall the sidecar")
    return Finding("ok", "protocol", f"a child is ready in {ready:.1f} s and answers")
