"""`sidecar worker`: runs queued jobs without a parent, until a signal."""

import argparse
from collections.abc import Mapping

from sidecar import settings
from sidecar.cli.interrupt import exit_soon


def add_arguments(_: argparse.ArgumentParser) -> None:
    """None but the settings."""


def run(_: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Runs until SIGTERM, or Ctrl-C. Raises SettingsError, SidecarError."""
    from sidecar.composition import worker

    worker.run(settings.load(flags), exit_soon)
    return 0
