"""Words that stand for secrets: the same for the same secret, different otherwise, and themselves when read again."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.recording.redaction.placeholders import SecretWords
from sidecar.recording.redaction.redactor import Redactor
from tests.spelled import SPELLINGS

SECRET = 'pä&ss "w0rd"/é'


def line(**content: object) -> bytes:
    """A line of input."""
    return json.dumps({"type": "x", "content": content}).encode()


def redactor() -> Redactor:
    """One with words."""
    return Redactor(SecretWords(b"k" * 32))


def content_of(redacted: bytes | None) -> dict[str, object]:
    """The content of a redacted line."""
    return json.loads(redacted or b"")["content"]  # type: ignore[no-any-return]


def test_a_word_has_the_name_of_its_member_and_is_the_same_everywhere() -> None:
    """Under its key, in a text and in a URL."""
    content = content_of(
        redactor().redact_request(
            line(api_key="hunter2-xyz", note="it is hunter2-xyz!", url="http://h/?token=hunter2-xyz")
        )
    )
    word = content["api_key"]
    assert isinstance(word, str)
    assert word.startswith("secret_api-key_")
    assert content == {"api_key": word, "note": f"it is {word}!", "url": f"http://h/?token={word}"}


@pytest.mark.parametrize("name", [name for name in SPELLINGS if not name.startswith(("digits", "SHA"))])
def test_escapes_do_not_change_the_word(name: str) -> None:
    """Escaped spellings of one secret are recognised as one."""
    found = redactor()
    found.add_secret(SECRET)
    assert found.redact_text(f"a: {SPELLINGS[name](SECRET)}; b") == f"a: {found.redact_text(SECRET)}; b"


def test_other_secrets_and_other_recordings_have_other_words() -> None:
    """A word reveals nothing beyond equality within its recording."""
    words = SecretWords(b"a" * 32)
    assert words.of("first-secret") != words.of("second-secret")
    assert words.of("first-secret") != SecretWords(b"b" * 32).of("first-secret")


@given(st.text(min_size=4), st.text())
def test_a_word_stands_for_itself(secret: str, name: str) -> None:
    """What was recorded can be recorded again."""
    word = SecretWords(b"a" * 32).of(secret, name)
    assert SecretWords(b"b" * 32).of(word, "other") == word
    assert word.isascii()
    assert word.replace("_", "").replace("-", "").isalnum()


def test_a_redacted_line_is_redacted_to_itself() -> None:
    """Redaction is idempotent, also for numbers, nested objects, cookies, URLs of webhooks and JavaScript."""
    content = {
        "password": 1234,
        "pins": [12.5, -3, 1e9, True, None, ""],
        "cookies": [{"name": "sid", "value": "abc", "domain": "h"}],
        "webhook": "http://h/token-path",
        "proxy": "user:pass@h:1",
        "steps": [{"url": "http://h", "actions": ["page.fill('#p', 'typed-text')"]}],
    }
    once = redactor().redact_request(line(**content))
    assert once is not None
    assert Redactor(SecretWords(b"z" * 32)).redact_request(once) == once
    shown = content_of(once)
    assert shown["password"] == 9999
    assert shown["pins"] == [99.9, -9, 9999999999.9, True, None, ""]
    assert b"typed-text" not in once
    assert b"token-path" not in once
    assert b"user:pass" not in once
    json.loads(once)


def test_a_signing_secret_is_one_again() -> None:
    """The word for a webhook's secret is accepted where such secrets are."""
    words = SecretWords(b"a" * 32)
    word = words.of("whsec_" + "c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtbG9uZyE=", "secret")
    assert len(base64.b64decode(word.removeprefix("whsec_"))) >= 24
    assert words.of(word) == word
    assert words.of("whsec_not-base64").startswith("whsec_")


def test_literals_of_scripts_are_the_same_words_elsewhere() -> None:
    """So that a script's comparisons hold in a replay; what is printed anyway and what is very short stays."""
    hidden = redactor()
    script = "if (page.title() === 'Shop of Ann') console.log('found', x); else f('no')"
    content = content_of(hidden.redact_request(line(actions=[script])))
    word = hidden.redact_text("Shop of Ann")
    assert word.startswith("secret_")
    assert content["actions"] == [script.replace("'Shop of Ann'", f'"{word}"')]


def test_typed_text_is_the_same_word_where_it_arrives() -> None:
    """A form posts it; what is too short to be found there stays, and headers are no typed text."""
    hidden = redactor()
    actions = [{"fill": {"selector": "#name", "value": "Ann Smith"}}, {"fill": {"selector": "#x", "value": "ann"}}]
    content = content_of(
        hidden.redact_request(line(actions=actions, extra_http_headers={"Accept": "application/json"}))
    )
    word = hidden.redact_text("Ann Smith")
    assert hidden.redact_body("name=Ann+Smith&x=ann") == f"name={word}&x=ann"
    assert content["actions"] == [
        {"fill": {"selector": "#name", "value": word}},
        {"fill": {"selector": "#x", "value": "ann"}},
    ]
    assert hidden.redact_text("application/json") == "application/json"
    assert b"application/json" not in json.dumps(content).encode()
