"""The documentation is complete, and its examples are accepted."""

import json
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from sidecar_protocol import codec
from sidecar_protocol.browser_context import BrowserContextOptions
from sidecar_protocol.decoding import decode_as
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import ErrorCode
from sidecar_protocol.jobs import Option, SendJob
from sidecar_protocol.models import Model, outline
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.schedules import CreateSchedule, Schedule, ScheduleFired, Single, UpdateSchedule
from sidecar_protocol.updates import CloudEvent, JobUpdate, TaskState

from docsite import reference
from docsite.capture import EXCHANGES as EXCHANGES_FILE
from sidecar.browser.steps.actions import ACTIONS, parse
from sidecar.cli.commands import COMMANDS
from sidecar.cli.settings_help import setting_helps, settings_page
from sidecar.server.handlers.schedules import FAULT, INVALID, NO_PUSH, NOT_ALLOWED, NOT_THERE, TRY_LATER
from sidecar.settings import SECRETS, SETTINGS

ROOT = Path(__file__).parents[1]
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text()
SOURCES = [path.read_text() for folder in ("sidecar", "protocol") for path in (ROOT / folder).rglob("*.py")]
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


def test_the_reference_is_up_to_date() -> None:
    """Where this fails, run `make reference`: it is made of the models, the commands and a real session."""
    made = reference.pages()
    assert {path.stem for path in reference.FOLDER.glob("*.md")} == set(made)
    for name, text in made.items():
        assert (reference.FOLDER / f"{name}.md").read_text() == text, name


EXCHANGES = [json.loads(line) for line in EXCHANGES_FILE.read_text().splitlines()]


def test_examples_of_the_reference_are_valid() -> None:
    """By the published schemas, requests and replies; every message has one."""
    validate_reply = Draft202012Validator(
        json.loads((ROOT / "protocol" / "schema" / "reply.json").read_text())
    ).validate
    shown = set()
    for exchange in EXCHANGES:
        validate_reply(exchange["reply"])
        if exchange["reply"]["type"] != "error":
            kind = exchange["request"]["type"]
            schema = json.loads((ROOT / "protocol" / "schema" / f"{kind}.json").read_text())
            Draft202012Validator(schema).validate(exchange["request"])
            shown.add(kind)
    assert shown == set(CONTENTS)


@pytest.mark.parametrize("sentence", re.findall(r"^> (.+)$", TROUBLES, re.MULTILINE))
def test_sentences_of_troubleshooting_are_said(sentence: str) -> None:
    """By the sidecar in the reference's session, or by its source."""
    parts = [part.strip("` ") for part in re.split("…|`", sentence) if len(part.strip("` ")) > 3]
    said = [json.dumps(one["reply"], ensure_ascii=False) for one in EXCHANGES]
    assert parts
    assert any(all(part in text for part in parts) for text in (*said, *SOURCES)), sentence


def test_every_error_is_in_the_reference() -> None:
    """Each code, in a row; those that have to do with troubles are in that page."""
    rows = re.findall(r"^\| `(\w+)` \|", (reference.FOLDER / "errors.md").read_text(), re.MULTILINE)
    assert rows == [code.value for code in ErrorCode]


RECIPE = (ROOT / "docs" / "recipes" / "docker-compose.md").read_text()
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
    for page in (root / "README.md", root / "protocol" / "README.md", *(root / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PAGES = [ROOT / "README.md", ROOT / "protocol" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


NO_SETTINGS = {"SIDECAR_CHROME", "SIDECAR_IMAGE", "SIDECAR_MAXLINE", "SIDECAR_SERVICE_HOST", "SIDECAR_SECRET_API_KEY"}
"""Names that pages give as mistakes, as other programs' variables, or for a replay alone."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_pages_name_exist(page: Path) -> None:
    """A variable of that name is read, or the file that a secret's name stands for."""
    known = {f"SIDECAR_{name.upper()}" for name in SETTINGS}
    known |= {f"SIDECAR_{name.upper()}_FILE" for name in SECRETS}
    assert set(re.findall(r"\bSIDECAR_[A-Z_]*[A-Z]\b", page.read_text())) - known <= NO_SETTINGS


def test_every_page_has_its_place_in_the_site() -> None:
    """In the `nav` of mkdocs.yml."""
    nav = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(set(pages) - set(nav)) == []


COMPOSE = yaml.safe_load(re.findall(r"^```yaml[^\n]*\n(.*?)^```$", RECIPE, re.MULTILINE | re.DOTALL)[0])
"""What the recipe starts."""


def test_the_recipe_for_containers_is_whole() -> None:
    """What its services refer to is there, and the image's command is one of the sidecar's."""
    services = COMPOSE["services"]
    assert services["worker"]["command"] in COMMANDS
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
    assert f'title="{services["scraper"]["build"]["dockerfile"]}"' in RECIPE


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
