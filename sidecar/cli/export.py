"""`sidecar export FOLDER --format har|trace|wacz`: a recording in the formats of other tools."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SUFFIXES: Final = {"har": ".har", "trace": ".trace.zip", "wacz": ".wacz"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The recording, the format and the file."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a recording")
    parser.add_argument(
        "--format",
        choices=tuple(_SUFFIXES),
        required=True,
        help="har for HAR viewers, trace for Playwright's trace viewer, wacz for ReplayWeb.page",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="without it, named after the recording")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:  # noqa: ARG001 - as other commands
    """Exports; gives the exit code."""
    from sidecar.recording.recording_folder import RecordingError
    from sidecar.recording.replay_recording import newest

    try:
        folder = newest(parsed.folder)
        target = parsed.output or Path(f"{folder.resolve().name}{_SUFFIXES[parsed.format]}")
        _export(folder, parsed.format, target)
    except RecordingError as wrong:
        print(f"sidecar: {wrong}", file=sys.stderr)
        return 2
    except OSError as failure:
        said = (failure.strerror or str(failure)).lower()
        print(f"sidecar: {parsed.folder} can't be exported: {said}: {failure.filename}", file=sys.stderr)
        return 2
    print(target)
    return 0


def _export(folder: Path, kind: str, target: Path) -> None:
    """Writes a file next to the target, mode 0600, that replaces it once it is whole."""
    from sidecar import files

    new = target.with_name(f"{target.name}.new")
    descriptor = files.create_file(new)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if kind == "har":
                from sidecar.recording.export.har import recording_har

                file.write(json.dumps(recording_har(folder), indent=1, ensure_ascii=False).encode(errors="replace"))
            elif kind == "trace":
                from sidecar.recording.export.trace import write_trace

                write_trace(folder, file)
            else:
                from sidecar.recording.export.wacz_archive import write_wacz

                write_wacz(folder, new)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
