"""A task's job and its config."""

from typing import Any

import pytest
from sidecar_protocol.errors import WireError

from sidecar.jobs.browser_job_runner import validate
from sidecar.tasks.task_templates import fill_config, prepare_job


def job(**members: Any) -> dict[str, Any]:
    """A job of one step; `url` is the step's."""
    return {"steps": [{"url": members.pop("url", "https://a.example/")}], **members}


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ("https://a.example/{{city}}?p={{page.from}}", "https://a.example/Haarlem?p=2"),
        ("{{ city }}", "Haarlem"),
        ("{{page.from}}", 2),
        ("{{config.page.from}}", 2),
        ("{{tags}}", ["a", "b"]),
        ("x {{tags}}", 'x ["a","b"]'),
        ("{{none}}", None),
        ("{{city}}{{city}}", "HaarlemHaarlem"),
        ("{{loop}}", "{{city}}"),
        ("{ {city} } {{}} {{ 2 + 2 }} {{city", "{ {city} } {{}} {{ 2 + 2 }} {{city"),
        ({"deep": [{"er": "{{city}}"}]}, {"deep": [{"er": "Haarlem"}]}),
        (7, 7),
    ],
)
def test_values_are_filled_in(given: Any, filled: Any) -> None:
    """Alone a value keeps its type; inside text it is text or JSON; what is filled in is not read again."""
    config = {"city": "Haarlem", "page": {"from": 2}, "tags": ["a", "b"], "none": None, "loop": "{{city}}"}
    assert fill_config({"x": given}, config) == {"x": filled}


def test_a_value_called_config_goes_before_the_prefix() -> None:
    """`config.x` is the value of that name where there is one."""
    assert fill_config({"x": "{{config.y}}"}, {"config": {"y": 1}, "y": 2}) == {"x": 1}


def test_references_to_secrets_are_left_for_the_run() -> None:
    """References to secrets are filled in later, by the job."""
    steps = [
        {"url": "https://a.example/{{page}}", "actions": [{"fill": {"selector": "#p", "value": "{{user.password}}"}}]}
    ]
    secrets = {"user": {"key": "user", "encryption_key": "abcdefghijklmnop"}}
    content = prepare_job({"steps": steps, "secrets": secrets}, {"page": 3}, validate)[0]
    assert content.steps[0].url == "https://a.example/3"
    assert content.steps[0].actions[0] == {"fill": {"selector": "#p", "value": "{{user.password}}"}}


@pytest.mark.parametrize(
    ("given", "config", "field"),
    [
        (job(url="https://a.example/{{cty}}"), {"city": "x"}, "job.steps[0].url"),
        (job(name="{{city.x}}"), {"city": "x"}, "job.name"),
        (job(timeout_ms="{{t}}"), {"t": "long"}, "job.timeout_ms"),
        (job(url="{{u}}"), {"u": "no url"}, "job.steps[0].url"),
        (job(url="{{u}}"), {"u": None}, "job.steps[0].url"),
        (job(stepps=[]), {}, "job.stepps"),
        ({}, {}, "job.steps"),
        (job(mode="async"), {}, "job.mode"),
        (job(key="k"), {}, "job.key"),
        (job(steps=[{"url": "https://a.example", "actions": [{"clik": "a"}]}]), {}, "job.steps[0].actions[0].clik"),
        (job(secrets={"city": {"key": "k", "encryption_key": "e"}}), {"city": "x"}, "job.secrets"),
        (job(secrets=7), {}, "job.secrets"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(given: dict[str, Any], config: dict[str, Any], field: str) -> None:
    """As for `send_job`, with `job.` before it."""
    with pytest.raises(WireError) as failed:
        prepare_job(given, config, validate)
    assert failed.value.details["field"] == field
    assert failed.value.message.startswith("job")


def test_a_template_may_stand_for_any_type() -> None:
    """It is checked with its value."""
    filled = prepare_job(job(timeout_ms="{{t}}", options="{{o}}"), {"t": 500, "o": ["HTML"]}, validate)[0]
    assert (filled.timeout_ms, tuple(filled.options)) == (500, ("HTML",))


def test_every_mistake_of_a_job_is_named_from_outside() -> None:
    """In `fields` as in `field`: the parent sent a task, not a job."""
    wrong = {"steps": [{"url": "https://a.example", "actions": [{"clik": "a"}, {"clack": "b"}]}]}
    with pytest.raises(WireError) as refused:
        prepare_job(wrong, {}, validate)
    assert [one.field for one in refused.value.detail.fields or ()] == [
        "job.steps[0].actions[0].clik",
        "job.steps[0].actions[1].clack",
    ]
    assert refused.value.message == "job.steps[0].actions[0]: unknown action clik; did you mean `click`?"
