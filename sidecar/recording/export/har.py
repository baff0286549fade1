"""A recording as one HAR 1.2: what pages loaded, and what was asked of servers."""

from pathlib import Path
from typing import Any

from sidecar import __version__
from sidecar.recording.export.entries import read_network, unix_time


def recording_har(folder: Path) -> dict[str, Any]:
    """The HAR of a recording. Raises RecordingError."""
    network = read_network(folder)
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "sidecar", "version": __version__},
            "pages": network.pages,
            "entries": sorted(
                (*network.entries, *network.exchanges), key=lambda entry: unix_time(entry["startedDateTime"])
            ),
        }
    }
