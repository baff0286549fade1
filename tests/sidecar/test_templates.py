"""Templates are bounded before they are filled, and their places cost nothing until they are formatted."""

import time
import tracemalloc
from typing import Any

import pytest
from sidecar_protocol.errors import WireError
from sidecar_protocol.jobs import MOST_STEPS

from sidecar.browser.steps.secret_templates import SecretTemplates
from sidecar.errors import InvalidContent, LimitExceeded
from sidecar.jobs.browser_job_runner import validate
from sidecar.tasks.task_templates import fill_config, prepare_job
from sidecar.templates import MAX_FILLED_BYTES, FieldPath, map_templates

MB = 1_000_000


def refused(job: dict[str, Any], config: dict[str, Any]) -> LimitExceeded:
    """What is said of a job whose config makes too much of it; only a little memory is spent on it."""
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded) as wrong:
            prepare_job(job, config, validate)
        assert tracemalloc.get_traced_memory()[1] < 5 * MB
    finally:
        tracemalloc.stop()
    return wrong.value


@pytest.mark.parametrize(
    ("value", "config"),
    [
        ("{{a}}" * 10_000, {"a": "x" * MB}),
        ("{{a.b}}" * 10_000, {"a": {"b": "x" * MB}}),
        ("x{{a}}" * 10_000, {"a": ["x" * 1_000] * 1_000}),
    ],
)
def test_a_config_makes_no_more_of_a_job_than_a_line_may_have(value: str, config: dict[str, Any]) -> None:
    """A megabyte that would become gigabytes is refused before it does, and the field is named."""
    step = {"url": "https://a.example/", "actions": [{"fill": {"selector": "#a", "value": value}}]}
    wrong = refused({"steps": [step]}, config)
    assert wrong.details["field"] == "job.steps[0].actions[0].fill.value"
    assert str(MAX_FILLED_BYTES) in wrong.message


def test_whole_values_count_as_well() -> None:
    """What takes no memory where it is filled in would take it as JSON."""
    wrong = refused({"steps": ["{{a}}"] * 1_000}, {"a": ["x" * 100_000]})
    assert wrong.details["field"] == f"job.steps[{MAX_FILLED_BYTES // 100_004}]"


def test_the_bound_is_that_of_all_templates_together() -> None:
    """Ten strings of a tenth each fit, one more does not."""
    names = {str(number): "{{a}}" for number in range(10)}
    config = {"a": "x" * 95}
    assert fill_config(names, config, 1_000) == dict.fromkeys(names, "x" * 95)
    with pytest.raises(LimitExceeded):
        fill_config({**names, "b": "{{a}}"}, config, 1_000)


def test_bounds_of_a_job_hold_for_what_it_becomes() -> None:
    """A config's list is no way around the number of steps."""
    with pytest.raises(WireError) as wrong:
        prepare_job({"steps": "{{steps}}"}, {"steps": [{"url": "https://a.example/"}] * (MOST_STEPS + 1)}, validate)
    assert (wrong.value.code, wrong.value.details["field"]) == ("limit_exceeded", "job.steps")


def test_secrets_make_no_more_of_a_job_than_there_is_room_for() -> None:
    """All actions of a job share it."""
    templates = SecretTemplates(("a",), {"a": {"b": "x" * MB}})
    filled = templates.fill({"value": ["{{a.b}} {{a.b}}", 7, "{{"]}, "steps[0].actions[0].fill")
    assert filled == {"value": [f"{'x' * MB} {'x' * MB}", 7, "{{"]}
    with pytest.raises(LimitExceeded) as wrong:
        templates.fill({"value": ["{{a.b}}" * 1_000]}, "steps[0].actions[1].fill")
    assert wrong.value.details["field"] == "steps[0].actions[1].fill.value[0]"


def test_places_are_formatted_on_demand() -> None:
    """A long key over a long list: four times as much costs about four times as much."""

    def cost(size: int) -> float:
        began = time.process_time()
        map_templates({"k" * size: ["{{"] * size}, FieldPath("job"), lambda text, _: text)
        return time.process_time() - began

    assert cost(200_000) < 10 * max(cost(50_000), 0.01)


def test_a_place_has_a_bounded_length() -> None:
    """A long place keeps its end."""
    place = FieldPath("job")
    assert str(FieldPath(3, FieldPath("steps", place))) == "job.steps[3]"
    for _ in range(1_000):
        place = FieldPath("a" * 100, place)
    assert str(place).startswith("…")
    assert str(place).endswith("a" * 100)
    assert len(str(place)) < 700
    assert str(FieldPath("k" * 10_000, FieldPath("job"))) == "job.…"


def test_a_name_that_is_not_there_is_repeated_whole_or_not_at_all() -> None:
    """An error is short, whatever it speaks of."""
    with pytest.raises(InvalidContent) as wrong:
        fill_config({"a": "{{" + "b" * MB + "}}"}, {})
    assert wrong.value.message == "job.a: {{…}} is neither in config nor one of the job's secrets"
