"""What a secret is made of."""

import json

from sidecar.json_strings import scalars, strings

VALUE = {"user": "ann", "list": ['a"b\\', {"deep": "é"}, 1234, -1.5e3, True, None], "n": 0, "text": "is 99 no key"}


def test_strings_are_found_without_keys() -> None:
    """Strings are found at any depth, unescaped, in any spelling of the JSON."""
    for written in (json.dumps(VALUE), json.dumps(VALUE, indent=1, ensure_ascii=False), '{"user" : "ann"}'):
        found = list(strings(written.encode()))
        assert found == (["ann", 'a"b\\', "é", "is 99 no key"] if "list" in written else ["ann"])


def test_scalars_are_strings_and_numbers() -> None:
    """Scalars are found as written; digits within strings are no numbers."""
    assert list(scalars(json.dumps(VALUE).encode())) == [*strings(json.dumps(VALUE).encode()), "1234", "-1500.0", "0"]
    assert list(scalars(b"123456789012345678901234567890")) == ["123456789012345678901234567890"]


def test_depth_does_not_matter() -> None:
    """What no parser would go into."""
    assert list(scalars(b"[" * 100_000 + b'"x"' + b"]" * 100_000)) == ["x"]
