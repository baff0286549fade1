"""Both clients have a method for each message, and a type for each content."""

import asyncio
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sidecar_protocol.requests import CONTENTS
from sidecar_protocol.results import RESULTS

from sidecar.client import requests, results
from sidecar.client.async_messages import AsyncMessages
from sidecar.client.generate import FOLDER
from sidecar.client.messages import Messages

VALUES: dict[str, Any] = {"servers": [], "cvs": [], "webhooks": [], "pdf": b"%PDF", "status": None, "timeout": 1.0}
"""Parameter -> a value; texts and objects otherwise."""


class Spy(AsyncMessages):
    """Writes down what is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.timeout = 1.0

    async def request(self, type: str, content: Any = None, *, timeout: float | None = None) -> Any:  # noqa: A002, ASYNC109
        """Answers with something of everything."""
        json.dumps(content)
        self.asked.append(type)
        return {"id": "i", "status": "success", "token": "t", "endpoints": []}


def test_every_message_has_a_method_and_a_result() -> None:
    """`cancel` is sent by jobs and timeouts; every other message by a method of its own."""
    spy = Spy()
    for name, method in inspect.getmembers(AsyncMessages, inspect.iscoroutinefunction):
        if name.startswith("_") or name == "request":
            continue
        parameters = list(inspect.signature(method).parameters.values())[1:]
        for short in (True, False) if name == "remember" else (None,):
            given = {
                one.name: VALUES.get(
                    one.name, {} if "Mapping" in str(one.annotation) or "." in str(one.annotation) else "x"
                )
                for one in parameters
                if one.default is inspect.Parameter.empty or one.name in VALUES
            } | ({} if short is None else {"short": short})
            asyncio.run(method(spy, **given))
    assert set(spy.asked) | {"cancel"} == set(CONTENTS) == set(RESULTS)


def test_both_clients_have_the_same_methods() -> None:
    """With the same parameters and results."""
    signatures = [
        {name: str(inspect.signature(one)) for name, one in inspect.getmembers(kind, inspect.isfunction)}
        for kind in (AsyncMessages, Messages)
    ]
    assert signatures[0] == signatures[1]


def test_types_can_be_read_at_run_time() -> None:
    """No name in them is missing."""
    for module in (requests, results):
        for name, kind in vars(module).items():
            if isinstance(kind, type):
                hints = get_type_hints(kind)
                assert set(hints) >= set(vars(kind).get("__annotations__", ())), name


def test_the_client_needs_the_standard_library_alone() -> None:
    """No model and no library is imported, and no asyncio for those who don't use it."""
    script = "import sys; before = set(sys.modules); {}; print(*(set(sys.modules) - before))"
    plain, with_asyncio = (
        set(subprocess.check_output([sys.executable, "-I", "-c", script.format(one)], text=True).split())
        for one in ("import sidecar.client", "from sidecar.client import AsyncSidecar")
    )
    for loaded in (plain, with_asyncio):
        assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"sidecar"}
    assert "asyncio" not in plain


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('Sidecar().send_job({"steps": [{"url": "a", "extract": {"a": {"selector": "b"}}}], "mode": "async"})', ""),
        ('Sidecar().send_job({"stepz": []})', "stepz"),
        ('Sidecar().send_job({"steps": [{"url": "a"}], "browser": "LYNX"})', "browser"),
        ('Sidecar().job_status("a")["attempts"] + 1', ""),
        ('Sidecar().job_status("a")["attempt"]', "attempt"),
    ],
)
def test_mypy_knows_the_messages(tmp_path: Path, line: str, wrong: str) -> None:
    """A mistake in a message is one of the types."""
    script = tmp_path / "scraper.py"
    script.write_text(f"from sidecar.client import Sidecar\n{line}\n")
    from mypy import api

    said, _, code = api.run([str(script), "--cache-dir", str(FOLDER.parents[1] / ".mypy_cache"), "--no-error-summary"])
    assert bool(code) == bool(wrong), said
    assert wrong in said
