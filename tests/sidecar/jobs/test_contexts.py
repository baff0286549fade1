"""`context` and cookies of a job: each reaches a real page, and what can't be is refused by name."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sidecar_protocol import codec
from sidecar_protocol.encoding import encode
from sidecar_protocol.errors import WireError

from sidecar.errors import InvalidContent
from sidecar.jobs.browser_job_runner import BrowserJobRunner, validate
from tests.sidecar.browser.parts import make_job

pytestmark = pytest.mark.asyncio(loop_scope="module")


ORIGIN = "context.http_credentials.origin"


async def asked(runner: BrowserJobRunner, url: str, expression: str, **context: Any) -> Any:
    """What an expression gives on a page in that context."""
    result = await runner.run(make_job(url, actions=[{"evaluate": expression}], context=context))
    return result.steps[0].values[0]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("context", "expression", "expected"),
    [
        ({"viewport": {"width": 411, "height": 733}}, "[innerWidth, innerHeight, screen.width]", [411, 733, 411]),
        ({"user_agent": "robot/1.0"}, "navigator.userAgent", "robot/1.0"),
        ({"locale": "de-AT"}, "[navigator.language, (1.5).toLocaleString()]", ["de-AT", "1,5"]),
        (
            {"timezone_id": "Asia/Tokyo"},
            "[Intl.DateTimeFormat().resolvedOptions().timeZone, new Date(0).getTimezoneOffset()]",
            ["Asia/Tokyo", -540],
        ),
        ({"color_scheme": "dark"}, "matchMedia('(prefers-color-scheme: dark)').matches", True),
        ({"device_scale_factor": 2.5}, "devicePixelRatio", 2.5),
        (
            {"is_mobile": True, "has_touch": True},
            "[navigator.maxTouchPoints > 0, 'ontouchstart' in window]",
            [True] * 2,
        ),
        (
            {"geolocation": {"latitude": 48.2, "longitude": 16.4}, "permissions": ["geolocation"]},
            "new Promise(d => navigator.geolocation.getCurrentPosition(({coords: c}) => d([c.latitude, c.longitude])))",
            [48.2, 16.4],
        ),
        (
            {"permissions": ["notifications"]},
            "navigator.permissions.query({name: 'notifications'}).then(p => p.state)",
            "granted",
        ),
    ],
)
async def test_a_page_sees_its_context(
    site: str, runner: BrowserJobRunner, context: dict[str, Any], expression: str, expected: Any
) -> None:
    """Window, identity, place and permissions are as the job says, and the next job's as they were."""
    assert await asked(runner, f"{site}/second.html", expression, **context) == expected
    assert await asked(runner, f"{site}/second.html", "[innerWidth, innerHeight]") == [1280, 720]


@pytest.mark.browser
async def test_a_server_sees_its_context(site: str, runner: BrowserJobRunner) -> None:
    """Headers and language are sent with every request."""
    context = {"extra_http_headers": {"X-Team": "blue"}, "locale": "fr-FR", "user_agent": "robot/1.0"}
    sent = json.loads(await asked(runner, f"{site}/headers", "document.body.innerText", **context))
    assert (sent["x-team"], sent["user-agent"]) == ("blue", "robot/1.0")
    assert sent["accept-language"].startswith("fr-FR")


@pytest.mark.browser
async def test_a_server_that_asks_for_a_password(site: str, runner: BrowserJobRunner) -> None:
    """The credentials are sent where they are asked for, and to the named origin only."""
    credentials = {"username": "ann", "password": "s3cret-word"}
    assert await asked(runner, f"{site}/login-asked", "document.title", http_credentials=credentials) == "Inside"
    text = "document.body.innerText"
    for wrong in (credentials | {"origin": "http://127.0.0.1:1"}, credentials | {"password": "no"}):
        assert await asked(runner, f"{site}/login-asked", text, http_credentials=wrong) == "outside"


@pytest.mark.browser
async def test_cookies_that_pass_are_taken(site: str, runner: BrowserJobRunner, browser: str) -> None:
    """Whatever the end of cookies is written as: -1 is the session's, and large numbers are milliseconds."""
    more: list[dict[str, Any]] = [
        {"expires": -1}, {"expires": 4_000_000_000}, {"expires": 4_000_000_000_000}, {"value": '"a,b"'}, {"value": ""},
        {"domain": "LOCALHOST"}, {"domain": ".shop.example"}, {"domain": "müller.example"},
    ]  # fmt: skip
    cookies = [{"name": f"n{number}", "value": "v", "domain": "127.0.0.1", **one} for number, one in enumerate(more)]
    listing = {"all": {"selector": "li", "all": True}}
    result = await runner.run(make_job(f"{site}/cookies", cookies=cookies, extract=listing, browser=browser))
    assert result.extract == {"all": ["n0=v", "n1=v", "n2=v", "n3=a,b", "n4="]}


@pytest.mark.browser
async def test_scripts_can_be_turned_off(site: str, runner: BrowserJobRunner) -> None:
    """The page's own do not run; extracts work all the same."""
    context = {"java_script_enabled": False}
    result = await runner.run(make_job(f"{site}/moved.html", context=context, extract={"head": "title"}))
    assert result.steps[0].url == f"{site}/moved.html"
    assert result.extract is not None


@pytest.mark.browser
@pytest.mark.parametrize("by_key", [True, False])
@pytest.mark.parametrize("link", ["#second", "#to-slow"])
async def test_links_lead_on_without_scripts(
    site: str, runner: BrowserJobRunner, link: str, by_key: bool, browser: str
) -> None:
    """Clicked by a JavaScript action, or followed by a key, which both have to be waited for."""
    follow = [{"focus": link}, {"keyboard_press": "Enter"}] if by_key else [f"page.click('{link}')"]
    context = {"java_script_enabled": False}
    job = make_job(site, actions=[*follow, {"content": None}], context=context, browser=browser)
    result = await runner.run(job)
    assert result.steps[0].url != f"{site}/"
    assert "Test site" not in str(result.steps[0].values[-1])


@pytest.mark.browser
async def test_kinds_of_resources_can_be_blocked(site: str, runner: BrowserJobRunner) -> None:
    """A script that is blocked is not loaded, one that is not is."""
    load = """new Promise((done) => {
      const script = document.createElement("script");
      script.onload = () => done("loaded");
      script.onerror = () => done("blocked");
      script.src = "/scripted.js";
      document.head.append(script);
    })"""
    for block, expected in (["image"], "loaded"), (["script", "image"], "blocked"):
        assert await asked(runner, f"{site}/form.html", load, block=block) == expected


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """An HTTP proxy that asks for a password and answers every page itself: its address, and the requests it had."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append(head)
        body = b"<title>By proxy</title>"
        if b"Proxy-Authorization" in head:
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            writer.write(answer % (len(body), body))
        else:
            answer = b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\nConnection: close'
            writer.write(answer + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


@pytest.mark.browser
async def test_requests_go_through_the_proxy(site: str, runner: BrowserJobRunner) -> None:
    """With its password where it asks for one; the next job goes directly again."""
    async with proxy() as (address, requests):
        given = {"server": address, "username": "ann", "password": "s3cret-word"}
        assert await asked(runner, "http://shop.invalid/", "document.title", proxy=given) == "By proxy"
        assert any(request.startswith(b"GET http://shop.invalid/ ") for request in requests)
    assert await asked(runner, f"{site}/second.html", "document.title") == "Second page"


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"extra_http_headers": {"X Team": "a"}}, "context.extra_http_headers.X Team"),
        ({"extra_http_headers": {"X-Team": "s3cret\r\nHost: evil"}}, "context.extra_http_headers.X-Team"),
        ({"extra_http_headers": {"X-Team": "s3cret" * 9_000}}, "context.extra_http_headers.X-Team"),
        ({"extra_http_headers": {"X-Team": "s3cret\x7f"}}, "context.extra_http_headers.X-Team"),
        ({"extra_http_headers": {"X-Team": "a", "x-team": "b"}}, "context.extra_http_headers.x-team"),
        *(
            ({"extra_http_headers": {name: "s3cret"}}, f"context.extra_http_headers.{name}")
            for name in ("Host", "content-length", "Transfer-Encoding", "CONNECTION", "Upgrade", "TE", "Keep-Alive")
        ),
        ({"user_agent": "a\nb"}, "context.user_agent"),
        ({"proxy": {"server": "ftp://h:1"}}, "context.proxy.server"),
        ({"proxy": {"server": "http://h:99999999"}}, "context.proxy.server"),
        ({"proxy": {"server": "http://ann:s3cret@h:1"}}, "context.proxy.server"),
        ({"proxy": {"server": "socks5://h:1", "username": "a", "password": "s3cret"}}, "context.proxy.username"),
        (
            {"http_credentials": {"username": "a", "password": "s3cret", "origin": "h"}},
            "context.http_credentials.origin",
        ),
    ],
)
async def test_a_wrong_context_touches_no_browser(context: dict[str, Any], field: str) -> None:
    """The place is named and the value is not repeated."""
    with pytest.raises(InvalidContent) as failed:
        validate(make_job("about:blank", context=context))
    assert failed.value.details["field"] == field
    assert "s3cret" not in failed.value.message


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"context": {"viewport": {"width": 0, "height": 1}}}, "context.viewport.width"),
        ({"context": {"viewport": {"width": 1}}}, "context.viewport.height"),
        ({"context": {"locale": "x"}}, "context.locale"),
        ({"context": {"timezone_id": "../etc"}}, "context.timezone_id"),
        ({"context": {"block": ["image", "document"]}}, "context.block[1]"),
        ({"context": {"geolocation": {"latitude": 91, "longitude": 0}}}, "context.geolocation.latitude"),
        ({"context": {"permissions": ["fly"]}}, "context.permissions[0]"),
        ({"context": {"device_scale_factor": 0}}, "context.device_scale_factor"),
        ({"context": {"color_scheme": "pink"}}, "context.color_scheme"),
        ({"context": {"proxy": {}}}, "context.proxy.server"),
        ({"context": {"cookies": []}}, "context.cookies"),
        ({"secrets": {"a b": {"key": "k", "encryption_key": "e"}}}, "secrets"),
        ({"secrets": {"a": {"key": "k"}}}, "secrets[...].encryption_key"),
        ({"secrets": {"a": {"key": "k", "encryption_key": ""}}}, "secrets[...]"),
    ],
)
async def test_content_of_a_wrong_shape(content: dict[str, Any], field: str) -> None:
    """What the model does not know or allow is invalid content that names the field."""
    line = encode({"type": "send_job", "content": {"steps": [{"url": "about:blank"}], **content}})
    with pytest.raises(WireError) as failed:
        codec.decode_content(codec.decode(line))
    assert failed.value.details["field"] == field


@pytest.mark.browser
async def test_what_only_the_browser_can_refuse(site: str, runner: BrowserJobRunner) -> None:
    """A time zone that does not exist is the job's fault, and neither retires the browser nor disturbs the next job."""
    with pytest.raises(InvalidContent) as failed:
        await asked(runner, f"{site}/", "1", timezone_id="Mars/Olympus")
    assert failed.value.details == {"field": "context"}
    assert "Mars/Olympus" in failed.value.message
    with pytest.raises(InvalidContent):
        validate(make_job("about:blank", browser="FIREFOX", context={"is_mobile": True}))
    assert await asked(runner, f"{site}/", "1") == 1
