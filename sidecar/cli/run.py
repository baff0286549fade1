"""`sidecar run -- CMD …`: starts a scraper that talks to the sidecar over HTTP, and ends with it."""

import argparse
import asyncio
from collections.abc import Mapping

from sidecar import settings
from sidecar.clock import Clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The scraper's command line."""
    parser.add_argument("scraper", metavar="CMD", nargs=argparse.REMAINDER, help="the scraper and its arguments")


def run(parsed: argparse.Namespace, flags: Mapping[str, str]) -> int:
    """Gives the scraper's exit code. Raises SettingsError."""
    command = parsed.scraper[1:] if parsed.scraper[:1] == ["--"] else parsed.scraper
    if not command:
        raise settings.SettingsError("run: which scraper? sidecar run -- CMD …")
    from sidecar.composition.scraper_run import run_scraper

    return asyncio.run(run_scraper(settings.load(flags), settings.scraper_variables(), command, Clock()))
