"""OpenAPI, and its page in a real browser that may ask no other server."""

import asyncio
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from playwright.async_api import async_playwright
from sidecar_protocol.requests import CONTENTS

from sidecar import settings
from sidecar.browser import discovery
from tests.http_harness import TOKEN, Serving

pytestmark = pytest.mark.browser


def references(value: Any) -> list[str]:
    """Every reference in a document."""
    if isinstance(value, list):
        return [one for member in value for one in references(member)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [one for member in value.values() for one in references(member)]
    return []


def test_the_document_and_its_page(tmp_path: Path) -> None:
    """Every message is a path whose schemas say what is taken; the page sends one, and loads nothing from elsewhere."""
    with Serving(tmp_path, token=TOKEN) as server:
        document = server.curl("/openapi.json", token="").json
        assert document["openapi"].startswith("3.1.")
        assert {f"/v1/{kind}" for kind in CONTENTS} <= document["paths"].keys()
        assert {"/send_cv", "/api/v1/sync-job", "/api/v1/tasks/{id}/run", "/v4/schedules", "/v1/events"} <= document[
            "paths"
        ].keys()
        for reference in references(document):
            assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference
        operation = document["paths"]["/v1/job_status"]["post"]
        schema = {
            "components": document["components"],
            **operation["requestBody"]["content"]["application/json"]["schema"],
        }
        jsonschema.validate({"id": "a"}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"id": 1}, schema)
        asked, shown, row = asyncio.run(try_page(f"{server.url}/docs"))
    assert all(url.startswith(server.url) for url in asked)
    assert '"code": "not_found"' in shown
    assert row.startswith("not_found")


async def try_page(url: str) -> tuple[list[str], str, str]:
    """Asks for a job that is not there; what was asked for, what is shown, and the row of the error."""
    async with async_playwright() as playwright:
        path = discovery.find("CHROMIUM", settings.load()).path
        browser = await playwright.chromium.launch(executable_path=str(path), args=["--no-sandbox"])
        page = await browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{url}#not_found")
        await page.select_option("#type", "job_status")
        await page.fill("#token", TOKEN)
        await page.fill("#content", '{"id": "nobody"}')
        await page.click("#send")
        await page.locator("#status", has_text="404").wait_for()
        shown, row = await page.inner_text("#answer"), await page.inner_text("tr:target")
        await browser.close()
        return asked, shown, row
