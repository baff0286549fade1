"""Which messages must not lie on disk in clear."""

import json
from typing import Any

import pytest

from sidecar.jobs.browser_job_runner import validate
from sidecar.jobs.payloads import contains_secrets, decode_message


def holds_secrets(content: bytes) -> bool:
    """Whether the content of a `send_job` is one to encrypt."""
    job = decode_message("send_job", content)
    return contains_secrets(job, validate(job, files=True))


def job(*actions: Any) -> bytes:
    """Content of a job with these actions."""
    return json.dumps({"steps": [{"url": "https://shop.example", "actions": actions}]}).encode()


@pytest.mark.parametrize(
    "action",
    [
        {"fill": {"selector": "#q", "value": "tea"}},
        {"keyboard_type": "tea"},
        {"evaluate": "document.forms[0].pin.value = '12'"},
        {"evaluate": {"expression": "x => x", "arg": "tea"}},
        "page.fill('#pin', '12')",
        "page.on('dialog', d => d.accept('tea'))",
        "const word = 'hunter2'; page.fill('#p', word)",
        "context.addCookies([{name: 'a', value: 'b', url: 'https://shop.example'}])",
    ],
)
def test_jobs_that_type_hold_a_secret(action: Any) -> None:
    """Any typed text is a secret, in JavaScript and in typed actions."""
    assert holds_secrets(job(action))


@pytest.mark.parametrize(
    "action",
    [
        {"click": "#send"},
        {"fill": {"selector": "#q", "value": ""}},
        {"evaluate": "document.title"},
        "page.click('#send')",
        "page.fill('#q', word)",
        "page.getByRole('button', {name: 'Log in'}).click()",
        "console.log('nothing found')",
        "page.locator('#a').filter({hasText: 'tea'}).count() > 2 ? 'many' : 'few'",
    ],
)
def test_other_actions_contain_no_secret(action: Any) -> None:
    """Payloads without secrets are stored in clear, and any process can run them."""
    assert not holds_secrets(job(action))
