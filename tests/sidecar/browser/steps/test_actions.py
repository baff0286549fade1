"""Typed actions: what is refused before a browser is touched, and that each one does its work."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from sidecar.browser.pool import BrowserPool
from sidecar.browser.step_observer import NO_OBSERVER
from sidecar.browser.steps.action_schema import action_schema
from sidecar.browser.steps.actions import ACTIONS, parse
from sidecar.browser.steps.plan import plan_steps
from sidecar.browser.steps.step_runner import StepRunner
from sidecar.clock import Clock
from sidecar.errors import InvalidContent, LimitExceeded
from tests.sidecar.browser.parts import make_job

PLACE = "steps[0].actions[1]"


@pytest.mark.parametrize(
    ("raw", "field", "said"),
    [
        ({"klick": "#a"}, "klick", "unknown action klick; did you mean `click`?"),
        ({"fly": "#a"}, "fly", "unknown action fly; `sidecar schema actions` lists them"),
        ({"set_input_files": {"selector": "#a"}}, "set_input_files.files", "missing"),
        (
            {"set_input_files": {"selector": "#a", "files": ["/a"]}},
            "set_input_files.files[0]",
            "expected object",
        ),
        (
            {"set_input_files": {"selector": "#a", "files": [{"name": "a", "path": "/etc/passwd"}]}},
            "set_input_files.files[0].path",
            "unknown field",
        ),
        (
            {"set_input_files": {"selector": "#a", "files": [{"name": "../a", "content": ""}]}},
            "set_input_files.files[0].name",
            "regex",
        ),
        (
            {"set_input_files": {"selector": "#a", "files": [{"name": "a", "content": "%"}]}},
            "set_input_files.files[0]",
            "content is not base64",
        ),
        ({"click": {"selector": "#a", "frame": []}}, "click.frame", "must not be empty"),
        ({"download": {}}, "download", "needs selector or url"),
        ({"download": {"url": "file:///etc/passwd"}}, "download.url", "file: URLs are refused"),
        ({"switch_to_page": -1}, "switch_to_page.index", ">= 0"),
        ({"on_dialog": {"accept": "yes"}}, "on_dialog.accept", "expected bool"),
        ({"fill": {"selector": "#a", "value": "{{user.name}}"}}, "fill.value", "{{user}} is none of the job's secrets"),
        ({"click": {}}, "click.selector", "missing"),
        ({"click": None}, "click.selector", "missing"),
        ({"click": ""}, "click.selector", "must not be empty"),
        ({"click": 5}, "click.selector", "expected str, got int"),
        ({"click": ["#a"]}, "click.selector", "expected str, got array"),
        ({"click": {"selector": "#a", "path": "/tmp/x"}}, "click.path", "unknown field"),
        ({"click": {"selector": "#a", "position": {"x": "1", "y": 2}}}, "click.position.x", "expected float"),
        ({"click": {"selector": "#a", "button": "fourth"}}, "click.button", "expected 'l"),
        ({"click": {"selector": "#a", "timeout": 0}}, "click.timeout", ">= 1"),
        ({"fill": "#a"}, "fill.value", "missing"),
        ({"fill": {"selector": "#a", "value": 5}}, "fill.value", "expected str, got int"),
        ({"press": "#a"}, "press", "expected object"),
        ({"mouse_click": "#a"}, "mouse_click", "expected object"),
        ({"select_option": {"selector": "#a"}}, "select_option", "needs value, label or index"),
        ({"goto": "file:///etc/passwd"}, "goto.url", "file: URLs are refused"),
        ({"goto": {"url": "javascript:alert(1)"}}, "goto.url", "javascript: URLs are refused"),
        ({"wait_for_timeout": 10**9}, "wait_for_timeout.timeout", "<= 300000"),
        ({"wait_for_load_state": "done"}, "wait_for_load_state.state", "expected 'l"),
        ({"reload": "now"}, "reload", "expected object"),
    ],
)
def test_a_wrong_action_names_its_place(raw: dict[str, Any], field: str, said: str) -> None:
    """Each mistake is reported with its field."""
    with pytest.raises(InvalidContent) as failed:
        parse(raw, PLACE)
    assert failed.value.details["field"] == f"{PLACE}.{field}"
    assert said in failed.value.message


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        (json.loads("[" * 102 + "]" * 102), "nested over 100 levels"),
        (json.loads('{"a":' * 150 + "1" + "}" * 150), "nested over 100 levels"),
        ([[0] * 1_000] * 100, "more than 100000 values"),
    ],
)
def test_what_no_page_can_be_given_is_refused(arg: Any, said: str) -> None:
    """Before a browser is touched: its driver never answers where it is nested deep."""
    for action in (
        {"evaluate": {"expression": "x => 1", "arg": arg}},
        {"eval_on_selector": {"selector": "a", "expression": "x => 1", "arg": arg}},
        {"dispatch_event": {"selector": "a", "type": "x", "event_init": {"a": arg}}},
    ):
        with pytest.raises(LimitExceeded, match=said) as failed:
            parse(action, PLACE)
        name = "event_init" if "dispatch_event" in action else "arg"
        assert str(failed.value.details["field"]).endswith(name)


def test_an_action_prints_without_its_value() -> None:
    """What is typed into a field shows in no log."""
    action = parse({"fill": {"selector": "#password", "value": "hunter2"}}, PLACE)
    assert repr(action) == "BoundAction(fill '#password')"
    assert "hunter2" not in repr(action.arguments)


EVERY_ACTION: list[tuple[dict[str, Any], Any]] = [
    ({"title": None}, "Form"),
    ({"wait_for_load_state": "load"}, None),
    ({"wait_for_selector": "#user"}, None),
    ({"focus": "#user"}, None),
    ({"keyboard_type": "a"}, None),
    ({"keyboard_insert_text": "n"}, None),
    ({"keyboard_press": "n"}, None),
    ({"input_value": "#user"}, "ann"),
    ({"clear": "#user"}, None),
    ({"type": {"selector": "#user", "text": "bo"}}, None),
    ({"press_sequentially": {"selector": "#user", "text": "b", "delay": 1}}, None),
    ({"press": {"selector": "#user", "key": "!"}}, None),
    ({"eval_on_selector": {"selector": "#user", "expression": "(e, more) => e.value + more", "arg": "?"}}, "bob!?"),
    ({"blur": "#user"}, None),
    ({"fill": {"selector": "#password", "value": "secret"}}, None),
    ({"check": "#news"}, None),
    ({"is_checked": "#news"}, True),
    ({"uncheck": "#news"}, None),
    ({"set_checked": {"selector": "#news", "checked": True}}, None),
    ({"select_option": {"selector": "#size", "value": "m"}}, ["m"]),
    ({"select_option": {"selector": "#size", "index": 0}}, ["s"]),
    ({"hover": "#note"}, None),
    ({"dblclick": {"selector": "#note", "position": {"x": 2, "y": 2}}}, None),
    ({"dispatch_event": {"selector": "#note", "type": "wheel"}}, None),
    ({"inner_text": "#log"}, "focus dblclick wheel"),
    ({"scroll_into_view": "#log"}, None),
    ({"scroll_into_view_if_needed": "#log"}, None),
    ({"scroll_to": "bottom"}, None),
    ({"scroll_to": {"x": 0, "y": 0}}, None),
    ({"set_viewport_size": {"width": 800, "height": 300}}, None),
    ({"evaluate": {"expression": "x => [innerWidth, x.y]", "arg": {"y": 1}}}, [800, 1]),
    ({"mouse_move": {"x": 5, "y": 5}}, None),
    ({"mouse_wheel": {"delta_y": 10}}, None),
    ({"wait_for_function": "document.querySelectorAll('input').length > 2"}, None),
    ({"wait_for_timeout": 1}, None),
    ({"drag_and_drop": {"source": "#log", "target": "#note"}}, None),
    ({"text_content": "option"}, "Small"),
    ({"inner_html": "option"}, "Small"),
    ({"get_attribute": {"selector": "#user", "name": "name"}}, "user"),
    ({"all_inner_texts": "option"}, ["Small", "Medium"]),
    ({"all_text_contents": "option"}, ["Small", "Medium"]),
    ({"count": "option"}, 2),
    ({"eval_on_selector_all": {"selector": "option", "expression": "found => found.length"}}, 2),
    ({"is_visible": "#send"}, False),
    ({"is_hidden": "#send"}, True),
    ({"is_disabled": "#send"}, True),
    ({"is_enabled": "#submit"}, True),
    ({"is_editable": "#user"}, True),
    ({"mouse_click": {"x": 1, "y": 1}}, None),
    ({"keyboard_down": "Shift"}, None),
    ({"keyboard_up": "Shift"}, None),
    ({"mouse_down": {"button": "left"}}, None),
    ({"mouse_up": {}}, None),
    ({"tap": "#note"}, None),
    ({"set_input_files": {"selector": "#file", "files": [{"name": "a.txt", "content": "aGk="}]}}, None),
    ({"download": {"url": "{site}/download"}}, {"name": "a.bin", "size": 4}),
    ({"on_dialog": {"accept": True, "text": "yes"}}, None),
    ({"evaluate": "prompt('Sure?')"}, "yes"),
    ({"switch_to_popup": "#more"}, None),
    ({"title": None}, "Second page"),
    ({"switch_to_page": 0}, None),
    ({"switch_to_page": 1}, None),
    ({"close_page": None}, None),
    ({"click": "#submit"}, None),
    ({"wait_for_url": "**/welcome"}, None),
    ({"inner_text": "h1"}, "Welcome bob!"),
    ({"go_back": None}, None),
    ({"go_forward": {}}, None),
    ({"goto": "data:text/html,<title>end</title>"}, None),
    ({"reload": {}}, None),
    ({"content": None}, "<html><head><title>end</title></head><body></body></html>"),
]


def test_the_schema_takes_what_is_an_action() -> None:
    """`sidecar schema actions` describes all of them, also in their short forms, and nothing else."""
    schema = action_schema()
    Draft202012Validator.check_schema(schema)
    takes = Draft202012Validator(schema).is_valid
    for raw, _ in EVERY_ACTION:
        assert takes(raw), raw
    assert takes("page.title()")
    mistakes: list[Any] = [
        {"klick": "#a"},
        {"click": {}},
        {"click": None},
        {"fill": "#a"},
        {"click": "", "blur": ""},
        "",
    ]
    for wrong in mistakes:
        assert not takes(wrong), wrong
    assert list(schema["anyOf"][1]["properties"]) == sorted(ACTIONS)


@pytest.mark.browser
async def test_every_action_works_on_a_real_page(new_site: str, new_pool: BrowserPool) -> None:
    """The whole table is walked once, and each action gives the value it should."""
    assert {next(iter(raw)) for raw, _ in EVERY_ACTION} == set(ACTIONS)
    given = json.loads(json.dumps([raw for raw, _ in EVERY_ACTION]).replace("{site}", new_site))
    steps = plan_steps(make_job(f"{new_site}/form.html", actions=given).steps)
    context = {"accept_downloads": True, "has_touch": True}
    visited = await new_pool.run(
        "CHROMIUM", lambda job_page: StepRunner(job_page, Clock()).run(steps, (), NO_OBSERVER), context
    )
    reported = zip(EVERY_ACTION, visited.steps[0].values, strict=True)
    assert [(raw, value) for (raw, _), value in reported] == EVERY_ACTION
