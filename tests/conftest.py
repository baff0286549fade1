"""What holds for every test."""

import os
import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from tests.redis_server import RedisServer

NOTHING_MAY_BE_SKIPPED = bool(os.environ.get("SIDECAR_REQUIRE_ALL"))
"""Set where everything is installed: a test that skips itself there hides something."""


# no example has to be ready within milliseconds, and each run tries the same ones, so that a failure can be repeated
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("random", deadline=None)
hypothesis.settings.load_profile("repeatable")

LEAST_WITHOUT_BROWSERS = 0.5
"""The share of all tests that needs no browser, at least: where fewer are left, the marks are wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--without-browsers`: only what is not marked `browser`, for a machine that has none."""
    parser.addoption("--without-browsers", action="store_true", help="run only the tests that need no browser")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what needs a browser where that is wanted; never nearly everything."""
    if not config.getoption("--without-browsers"):
        return
    needing = [item for item in items if item.get_closest_marker("browser")]
    left = [item for item in items if not item.get_closest_marker("browser")]
    if len(left) < LEAST_WITHOUT_BROWSERS * len(items):
        raise pytest.UsageError(f"only {len(left)} of {len(items)} tests are left without browsers")
    config.hook.pytest_deselected(items=needing)
    items[:] = left


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says why a test may have failed where there is no browser."""
    if config.getoption("--without-browsers") and terminalreporter.stats.get("failed"):
        terminalreporter.line("A test that needs a browser is marked so: @pytest.mark.browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skipped test into a failed one if nothing may be skipped."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turns a skipped module into a failed one if nothing may be skipped."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NOTHING_MAY_BE_SKIPPED and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, though SIDECAR_REQUIRE_ALL is set: {report.longreprtext or report.longrepr}"


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> None:
    """SIGINT is handled as in a new Python: what a test starts would inherit that it is ignored.

    A shell without job control starts a background command so; a command of ours, run in this process, leaves it so.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that keeps nothing."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server
