"""The parts of scripting that need no browser."""

import json
from typing import Any

import pytest

from sidecar.browser.sandbox import allowlist
from sidecar.browser.sandbox.action_script import ActionScript
from sidecar.browser.sandbox.message_pump import decode_messages
from sidecar.browser.sandbox.sandbox_pool import _FLAGS
from sidecar.browser.sandbox.wire_values import CallRefused, decode, encode, to_json


def test_a_long_action_is_shown_cut() -> None:
    """Its label is one line of at most eighty characters."""
    script = ActionScript("page\n  .click('" + "x" * 200 + "')")
    assert (len(script.label), script.label[:14], script.label[-1]) == (80, "page .click('x", "…")


@pytest.mark.parametrize(
    ("source", "early"),
    [
        ("page.on('dialog', f)", True),
        (" page\n.once('x', f)", True),
        ("await context.route('**', f)", True),
        ("page.setDefaultNavigationTimeout(1)", True),
        ("context.addInitScript(f)", True),
        ("page.only()", False),
        ("page.click('page.on(')", False),
        ("mypage.on('x')", False),
        ("(async () => { page.on('x', f) })()", False),
    ],
)
def test_preparing_actions_are_recognised_by_their_start(source: str, early: bool) -> None:
    """Only actions that begin with one of the named calls run before the page is opened."""
    assert ActionScript(source).runs_before_navigation is early


@pytest.mark.parametrize(
    "value",
    [
        {"$": "regexp", "v": ["(", ""]},
        {"$": "regexp", "v": ["a" * 1_001, ""]},
        {"$": "regexp", "v": ["a", "x"]},
        {"$": "regexp", "v": "a"},
        {"$": "bytes", "v": "not base64!"},
        {"$": "bigint", "v": "9" * 1_001},
        {"$": 5},
    ],
)
def test_forged_values_are_refused(value: Any) -> None:
    """A value that no sandbox of ours writes is a refusal, not a crash."""
    with pytest.raises(CallRefused):
        decode(value, lambda reference: reference)


@pytest.mark.parametrize(
    "text",
    [
        "[[" * 100_000 + "]]" * 100_000,
        "[" + ",".join(['["log","x"]'] * 20_000) + "]",
        '[["done",1,[' + ",".join(["[]"] * 600_000) + "]]]",
        '["' + "x" * (33 << 20) + '"]',
        "[[1]",
        "1",
        '[{"a":1}]',
        '[["\\ud8"]]',
    ],
)
def test_messages_that_no_sandbox_of_ours_writes_are_refused(text: str) -> None:
    """Too deep, too many, too large or no messages at all: before anything of them is built, and with a reason."""
    with pytest.raises(CallRefused, match=r"^the sandbox('s messages exceed their limit| sent a malformed message)"):
        decode_messages(text)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [[0] * 1_000] * 101},
        [{"$": "object", "v": {str(n): [1] for n in range(60_000)}}],
        json.loads("[" * 240 + "]" * 240),
        json.loads('{"$":"object","v":{"a":' * 230 + "1" + "}}" * 230),
    ],
)
def test_values_have_a_bound_each_way(value: Any) -> None:
    """An argument, a result and an action's value: as many parts and levels as may be, and no more."""
    for way in (to_json, lambda one: decode(one, lambda _: None), lambda one: encode(one, lambda _: None)):
        with pytest.raises(CallRefused, match=r"more than 100000 parts|nested over \d+ levels") as refused:
            way(value)
        assert refused.value.code == "limit_exceeded"


def test_the_sandbox_has_no_port() -> None:
    """The browser is spoken to over a pipe: its flags open no debugging port."""
    assert not any("remote-debugging" in flag for flag in _FLAGS)


def test_every_listed_name_is_one_of_playwrights() -> None:
    """The allow-list names nothing that this Playwright does not have, and no file, process or network."""
    listed = {owner: names.split() for owner, names in allowlist._METHODS.items()}
    assert {owner: set(names) for owner, names in listed.items()} == {
        owner: set(found) for owner, found in allowlist.methods().items()
    }
    everything = {name for names in listed.values() for name in names}
    assert not everything & {
        "path",
        "save_as",
        "route_from_har",
        "expose_binding",
        "new_cdp_session",
        "pause",
        "fetch",
        "tracing",
    }


def test_the_surface_speaks_javascripts_names() -> None:
    """Names, kinds and arguments are those of Playwright's JavaScript API."""
    page = {entry[0]: entry[1:] for entry in allowlist.describe_api()["classes"]["Page"]}
    assert page["$$eval"] == ["eval_on_selector_all", "call", "", False]
    assert page["locator"] == ["locator", "chain", "Locator", False]
    assert page["keyboard"] == ["keyboard", "chain", "Keyboard", True]
    assert page["setExtraHTTPHeaders"][0] == "set_extra_http_headers"
    wait = allowlist.methods()["Page"]["wait_for_function"]
    assert wait.positional == ("expression", "arg")
    assert wait.options == frozenset({"polling", "timeout"})
    assert allowlist.to_snake("noWaitAfter") == "no_wait_after"
