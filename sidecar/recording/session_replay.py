"""Replays a recorded session, without a network or with real servers, and compares what is answered with what was."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from sidecar_protocol.volatile import GENERATED

from sidecar.recording import recording_folder
from sidecar.recording.known_references import known_references
from sidecar.recording.recorded_session import Answer, SentLine, answers, sent_lines
from sidecar.recording.replay_process import ReplayProcess
from sidecar.recording.reply_diff import Difference, differences, generated_ids
from sidecar.recording.secret_filler import SecretFiller, without_words

REPLY_TIMEOUT: Final = 120.0
"""Seconds that one reply may take."""
EVENT_TIMEOUT: Final = 10.0
"""Seconds that an event may come later than in the recording."""
_LOGINS: Final = frozenset({"set_credentials", "set_multiple_credentials"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which requests of a session are sent."""

    skip: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    """Empty for all."""
    until: int | None = None
    """The number of the last request."""

    def takes(self, line: SentLine) -> bool:
        """Whether a request is sent."""
        return line.type not in self.skip and (not self.only or line.type in self.only) and self.reaches(line.seq)

    def reaches(self, seq: int) -> bool:
        """Whether a request of this number is before the end."""
        return self.until is None or seq <= self.until


@dataclass(frozen=True, slots=True)
class Compared:
    """One reply or event, and the recorded one."""

    answer: Answer | None
    """The recorded answer; None if its recording was cut off."""
    type: str
    """The request's type, or `event` and its name."""
    message: dict[str, Any] | None
    """The received message; None if it did not come."""
    milliseconds: float = 0.0
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request that was sent and is not answered yet."""

    seq: int
    type: str
    began: float


@dataclass(frozen=True, slots=True)
class _Received:
    message: dict[str, Any]
    milliseconds: float


@dataclass(slots=True)
class SessionReplay:
    """One replay of one recording. `run` gives each reply as it comes, in the recording's order."""

    folder: Path
    command: Sequence[str]
    selection: Selection = field(default_factory=Selection)
    realtime: bool = False
    """Whether requests are sent at the intervals of the recording."""
    ignored_parameters: Sequence[str] = ()
    unsent: int = 0
    """Lines that could not be sent: they were no JSON, and so were not kept."""
    secrets: SecretFiller | None = None
    """Fills secrets in for real servers; without it nothing leaves the machine."""
    on_line: Callable[[SentLine], bytes | None] = attrgetter("line")
    """What is sent for a line; None leaves it out."""
    one_by_one: bool = False
    """Whether a request waits for the reply to the one before, also if it did not in the recording."""
    sleep: Callable[[float], None] = time.sleep
    _in_order: deque[_Pending] = field(default_factory=deque)
    _by_id: dict[str, deque[_Pending]] = field(default_factory=dict)
    _early: dict[int, _Received] = field(default_factory=dict)
    """Replies that came before the recording has them."""
    _events: deque[dict[str, Any]] = field(default_factory=deque)
    _new_ids: dict[str, str] = field(default_factory=dict)
    """Generated ids of the recording -> of this replay."""
    _types: dict[int, str] = field(default_factory=dict)
    _sent_at: float = 0.0

    def run(self) -> Generator[Compared, None, None]:
        """Replays the session. Raises RecordingError, SidecarDied, and what `on_line` raises."""
        manifest = recording_folder.read_manifest(self.folder)
        with TemporaryDirectory(prefix="sidecar-replay-") as home:
            environment = {"SIDECAR_HOME": home, "TZ": str(manifest.get("zone") or "UTC")}
            with ReplayProcess([*self.command, *self._flags(manifest)], environment) as child:
                yield from self._compare(child)

    def _flags(self, manifest: dict[str, Any]) -> list[str]:
        settings = manifest.get("settings")
        flags = []
        if self.secrets is None:
            flags = [f"--offline={self.folder}", f"--ignore-params={','.join(self.ignored_parameters)}"]
            if (self.folder / recording_folder.SCRIPTS).is_dir():
                flags.append(f"--scripts-folder={self.folder / recording_folder.SCRIPTS}")
        if isinstance(settings, dict):
            flags += [f"--{name.replace('_', '-')}={_flag(value)}" for name, value in settings.items()]
        return flags

    def _compare(self, child: ReplayProcess) -> Iterator[Compared]:
        lines = sent_lines(self.folder)
        known = known_references(self.folder)
        ahead: deque[SentLine] = deque()
        for answer in answers(self.folder):
            read = answer.seq if self.one_by_one and answer.seq else answer.read
            for line in _up_to(read, lines, ahead):
                self._send(child, line, known)
            if answer.seq is None:
                if answer.message.get("type") == "event" and self.selection.reaches(answer.read):
                    yield self._event(child, answer)
            elif answer.seq in self._types:
                yield self._reply(child, answer, answer.seq)
        for line in [*ahead, *lines]:
            self._send(child, line, known)
        yield from self._rest(child)

    def _send(self, child: ReplayProcess, line: SentLine, known: set[str]) -> None:
        if not self.selection.takes(line):
            return
        if not line.line:
            self.unsent += 1
            return
        self._wait_until_due(line)
        chosen = self.on_line(line)
        if chosen is None:
            return
        sent = self._with_new_ids(chosen)
        pending = _Pending(line.seq, line.type, time.perf_counter())
        if line.id is None:
            self._in_order.append(pending)
        else:
            self._by_id.setdefault(_id_key(line.id), deque()).append(pending)
        self._types[line.seq] = line.type
        child.send(self.secrets.fill(sent) if self.secrets else sent)
        if line.type in _LOGINS:
            self._remember(child, known)

    def _remember(self, child: ReplayProcess, known: set[str]) -> None:
        """Gives a new session the references that the recorded one already knew."""
        for reference in known:
            request = {"type": "set_cached_reference", "content": reference, "id": f"known reference {reference}"}
            child.send(orjson.dumps(request))

    def _wait_until_due(self, line: SentLine) -> None:
        at = _unix_time(line.at) if self.realtime else None
        if at is not None:
            if self._sent_at:
                self.sleep(min(max(at - self._sent_at, 0.0), REPLY_TIMEOUT))
            self._sent_at = at

    def _with_new_ids(self, line: bytes) -> bytes:
        if not self._new_ids:
            return line
        text = line.decode(errors="surrogateescape")
        return GENERATED.sub(lambda found: self._new_ids.get(found[0], found[0]), text).encode(errors="surrogateescape")

    # --- what comes back

    def _reply(self, child: ReplayProcess, answer: Answer, seq: int) -> Compared:
        kind = self._types.pop(seq)
        with contextlib.suppress(TimeoutError):
            while seq not in self._early:
                self._receive(child, REPLY_TIMEOUT)
        received = self._early.pop(seq, None)
        if received is None:
            return _missing(answer, kind)
        return self._compared(answer, kind, received.message, received.milliseconds)

    def _event(self, child: ReplayProcess, answer: Answer) -> Compared:
        name = answer.message.get("event")
        with contextlib.suppress(TimeoutError):
            while not any(event.get("event") == name for event in self._events):
                self._receive(child, EVENT_TIMEOUT)
        event = next((event for event in self._events if event.get("event") == name), None)
        if event is None:
            return _missing(answer, f"event {name}")
        self._events.remove(event)
        return self._compared(answer, f"event {name}", event, 0.0)

    def _compared(self, answer: Answer, kind: str, message: dict[str, Any], milliseconds: float) -> Compared:
        recorded = without_words(answer.message, kind) if self.secrets else answer.message
        self._new_ids |= dict(generated_ids(recorded, message))
        return Compared(answer, kind, message, milliseconds, tuple(differences(recorded, message)))

    def _receive(self, child: ReplayProcess, timeout: float) -> None:
        self._take(child.receive(timeout))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("type") == "event":
            self._events.append(self.secrets.hide("", message) if self.secrets else message)
            return
        request_id = message.get("id")
        waiting = self._in_order if request_id is None else self._by_id.get(_id_key(request_id))
        if not waiting:
            return  # of what was sent to begin with
        pending = waiting.popleft()
        milliseconds = (time.perf_counter() - pending.began) * 1000
        shown = self.secrets.hide(pending.type, message) if self.secrets else message
        self._early[pending.seq] = _Received(shown, milliseconds)

    def _rest(self, child: ReplayProcess) -> Iterator[Compared]:
        """The answers that the recording lacks, because it was cut off."""
        child.close_input()
        for message in child.remaining():
            self._take(message)
        for seq, received in sorted(self._early.items()):
            yield Compared(None, self._types.get(seq, ""), received.message, received.milliseconds)


def _up_to(read: int, lines: Iterator[SentLine], ahead: deque[SentLine]) -> Iterator[SentLine]:
    """The next lines, up to that number."""
    while True:
        if not ahead:
            line = next(lines, None)
            if line is None:
                return
            ahead.append(line)
        if ahead[0].seq > read:
            return
        yield ahead.popleft()


def _id_key(request_id: Any) -> str:
    return orjson.dumps(request_id).decode()


def _flag(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _missing(answer: Answer, kind: str) -> Compared:
    recorded = orjson.dumps(answer.message).decode()
    return Compared(answer, kind, None, differences=(Difference("", recorded, "nothing"),))


def _unix_time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
