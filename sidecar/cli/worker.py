"""`sidecar worker`: runs queued jobs without a parent, until a signal."""

import argparse
from collections.abc import Mapping

from sidecar import settings


def add_arguments(_: argparse.ArgumentParser) -> None:
    """None but the settings."""


def run(_: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Runs until SIGTERM or SIGINT. Raises SettingsError."""
    from sidecar.composition import worker

    return worker.run(settings.load(flags))
