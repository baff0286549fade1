"""The documentation of browser jobs is complete, and its examples are accepted."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from protocol.base import decode_hook
from protocol.contexts import Context
from protocol.jobs import Option, SendJob
from sidecar.browser.actions import ACTIONS, parse

PAGE = (Path(__file__).parents[1] / "docs" / "browser-jobs.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \|.*\| `(\{.*\})` \|$", PAGE, re.MULTILINE)
"""Action and example of each row."""


def test_every_action_has_a_row() -> None:
    """No more and no less."""
    assert sorted(name for name, _ in ROWS) == sorted(ACTIONS)


@pytest.mark.parametrize(("name", "example"), ROWS)
def test_examples_of_actions_are_accepted(name: str, example: str) -> None:
    """Each is of its row's action."""
    assert parse(json.loads(example), "here").method == name


@pytest.mark.parametrize("example", re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_examples_of_jobs_are_accepted(example: str) -> None:
    """Each is a message's content, or a part of it."""
    content = json.loads(example)
    content = {"steps": [{"url": "about:blank"}]} | content.get("content", content)
    msgspec.convert(content, SendJob, dec_hook=decode_hook)


def test_every_option_and_context_field_is_told() -> None:
    """By its name in the tables."""
    for name in (*get_args(Option), *Context.__struct_fields__):
        assert re.search(rf"^\| .*`{name}`", PAGE, re.MULTILINE), name
