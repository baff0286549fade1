"""The query of Director's task list: by value, whatever the spelling."""

import pytest

from sidecar.server.http.director_query import conditions

TASK = {
    "id": "t",
    "running": True,
    "config": {"agreementId": "a2", "n": 3, "flag": True, "none": None, "deep": {"a.b": 1, "c": [1, "x"]}, "text": "5"},
    "init": "2026-01-01T00:00:00Z",
    "interval": 3_600_000,
}


@pytest.mark.parametrize(
    ("name", "text", "matches"),
    [
        ("config", '{"agreementId": "a2"}', True),
        ("config", '{"n":3.0,"agreementId":"a2"}', True),
        ("config", '{"deep":{"c":[1,"x"]}}', True),
        ("config", '{"flag":1}', False),
        ("config", '{"deep":{"c":[true,"x"]}}', False),
        ("config", '{"deep":{"c":[1]}}', False),
        ("config", "{}", True),
        ("config", "a2", False),
        ("config[agreementId]", "a2", True),
        ("config.agreementId", "a2", True),
        ("config[n]", "3", True),
        ("config[flag]", "true", True),
        ("config[flag]", "1", False),
        ("config[none]", "null", True),
        ("config[text]", "5", True),
        ("config[text]", '"5"', True),
        ("config[deep][a.b]", "1", True),
        ("config[deep][c]", '[1,"x"]', True),
        ("config[deep][c][0]", "1", False),
        ("config[nobody]", "", False),
        ("running", "true", True),
        ("running", "1", False),
        ("interval", "3600000", True),
        ("init", "2026-01-01T01:00:00+01:00", True),
        ("init", "2026-01-01T00:00:00.000Z", True),
        ("init", "soon", False),
        ("end", "2026-01-01T00:00:00Z", False),
    ],
)
def test_a_condition(name: str, text: str, matches: bool) -> None:
    """Director compares texts; JSON is compared by value, and objects by the given members."""
    wanted = conditions({name: text})
    assert wanted
    assert wanted[0].holds(TASK) is matches


@pytest.mark.parametrize(
    "name", ["", "strange", "configs", "config[", "config]a", "config..a", "config[]", "config" + "[" * 5_000]
)
def test_names_that_no_task_has(name: str) -> None:
    """No task matches."""
    assert conditions({name: "x"}) is None
