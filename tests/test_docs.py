"""The documentation is complete, and its examples are accepted."""

import json
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
from sidecar_protocol import codec
from sidecar_protocol.browser_context import BrowserContextOptions
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.jobs import Option, SendJob
from sidecar_protocol.models import Model, outline
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.schedules import CreateSchedule, Schedule, ScheduleFired, Single, UpdateSchedule
from sidecar_protocol.updates import CloudEvent, JobUpdate, TaskState

from sidecar.browser.steps.actions import ACTIONS, parse
from sidecar.cli.settings_help import setting_helps, settings_page
from sidecar.server.handlers.schedules import FAULT, INVALID, NO_PUSH, NOT_ALLOWED, NOT_THERE, TRY_LATER
from sidecar.settings import SETTINGS

ROOT = Path(__file__).parents[1]
PAGE = (Path(__file__).parents[1] / "docs" / "browser-jobs.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \|.*\| `(\{.*\})` \|$", PAGE, re.MULTILINE)
"""Action and example of each row."""


def test_every_action_has_a_row() -> None:
    """The table has exactly these rows."""
    assert sorted(name for name, _ in ROWS) == sorted(ACTIONS)


@pytest.mark.parametrize(("name", "example"), ROWS)
def test_examples_of_actions_are_accepted(name: str, example: str) -> None:
    """Each example is of its row's action."""
    assert parse(json.loads(example), "here").method == name


@pytest.mark.parametrize("example", re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_examples_of_jobs_are_accepted(example: str) -> None:
    """Each example is a message's content, or a part of it."""
    content = json.loads(example)
    content = {"steps": [{"url": "about:blank"}]} | content.get("content", content)
    assert decode_as(SendJob, encode(content)).steps


def test_every_option_and_context_field_is_documented() -> None:
    """The tables have a row with its name."""
    for name in (*get_args(Option), *BrowserContextOptions.model_fields):
        assert re.search(rf"^\| .*`{name}`", PAGE, re.MULTILINE), name


WEBHOOKS = (Path(__file__).parents[1] / "docs" / "webhooks.md").read_text()


@pytest.mark.parametrize("shape", [JobUpdate, TaskState, CloudEvent])
def test_every_field_of_an_update_is_documented(shape: type[Model]) -> None:
    """The page has every field's name on the wire."""
    for _, name, _ in outline(shape):
        assert re.search(rf"[`\"]{name}\b", WEBHOOKS), name


SCHEDULES = (Path(__file__).parents[1] / "docs" / "schedules.md").read_text()


@pytest.mark.parametrize("example", re.findall(r"^```json\n(.*?)^```$", SCHEDULES, re.MULTILINE | re.DOTALL))
def test_examples_of_schedules_are_accepted(example: str) -> None:
    """Each example is a message."""
    assert isinstance(codec.decode_content(codec.decode(example.replace("\n", " ").encode())), Model)


@pytest.mark.parametrize("shape", [Schedule, CreateSchedule, UpdateSchedule, Single, ScheduleFired])
def test_every_field_of_a_schedule_is_documented(shape: type[Model]) -> None:
    """The page has every field's name on the wire."""
    for name in shape.model_fields:
        assert re.search(rf"[`\"{{ ]{name}\b", SCHEDULES), name


def test_every_number_of_an_error_is_documented() -> None:
    """The page lists exactly these numbers."""
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", SCHEDULES, re.MULTILINE)}
    assert rows == {INVALID, NOT_ALLOWED, NOT_THERE, NO_PUSH, FAULT, TRY_LATER}


SETTINGS_PAGE = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()


def test_the_page_of_settings() -> None:
    """Where this fails, run `python -m sidecar.cli.settings_help >docs/settings.md`: it is made of settings.py."""
    assert settings_page() == SETTINGS_PAGE
    assert list(setting_helps()) == list(SETTINGS)


README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("line", re.findall(r"^\{.*\}$", README, re.MULTILINE))
def test_the_readmes_lines_are_accepted(line: str) -> None:
    """The lines that a reader would send are valid; the others are answers."""
    request = codec.decode(line.encode())
    assert request.type in (*CONTENTS, "ready", "pong")
    if request.type in CONTENTS:
        codec.decode_content(request)


def test_the_readmes_links_lead_somewhere() -> None:
    """Links of the README and of every page lead to files of the repository."""
    root = Path(__file__).parents[1]
    for page in (root / "README.md", root / "protocol" / "README.md", *(root / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


DESIGN = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("architecture", "decisions")}
NO_MODULES = {"push.content", "pyproject.toml", "selectors.py"}


@pytest.mark.parametrize(
    "name", sorted({one for page in DESIGN.values() for one in re.findall(r"`([a-z][\w.]+\.\w+)`", page)} - NO_MODULES)
)
def test_what_the_design_names_is_there(name: str) -> None:
    """Modules, and what is in them, by their place below `sidecar`; files by their name."""
    if name.endswith((".js", ".py", ".sh")):
        assert list((ROOT / "sidecar").rglob(name)), name
        return
    try:
        pkgutil.resolve_name(f"sidecar.{name.removeprefix('sidecar.')}")
    except (ImportError, AttributeError):
        pkgutil.resolve_name(name)
