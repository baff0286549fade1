"""Input that is made to block the process: the lines of each kind at a given size."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

MOCK = b'{"type":"set_mock","content":{"secrets":{"user":{"username":"ann","password":"%s"},"users":[]}}}\n' % (
    b"p" * 200_000
)
_EITHER = "}/a/;'left';"
"""JavaScript in which a slash may be a division, or begin a regular expression."""
_BRACKETS = b'{"type":"ping","a":[' + b"[]," * 1_100


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of hostile input. Each line that it sends is answered with one reply."""

    lines: Callable[[int], Sequence[bytes]]
    size: int
    """The smaller of the two sizes, in letters, values or calls, depending on the kind."""
    opening: Sequence[bytes] = (MOCK,)
    environ: Mapping[str, str] = field(default_factory=dict)
    browser: bool = False
    hands: bool = False
    """Whether it passes that many bytes between a page and its action, which count as the line's."""
    spares: bool = False
    """Whether another job runs meanwhile, and has to succeed."""


def _line(kind: str, content: Any, **more: Any) -> bytes:
    return json.dumps({"type": kind, "content": content, **more}, separators=(",", ":")).encode() + b"\n"


def _job(*actions: Any, url: str = "data:text/html,<p>a</p>", **more: Any) -> bytes:
    return _line("send_job", {"steps": [{"url": url, "actions": list(actions)}], **more}, id="hostile")


def _script(text: str) -> bytes:
    return _line("test_task", {"script_text": text, "config": {}}, id="hostile")


def _key(size: int) -> bytes:
    return _line("cancel", {"unknown field `" * (size // 15) + "\n": 1}, id="hostile")


def _key_of_a_script(size: int) -> bytes:
    key = f"'unknown field `'.repeat({size // 15}) + '\\n'"
    call = f"await job({{steps: [{{url: 'data:,'}}], [{key}]: 1}})"
    return _script(f"module.exports.main = async () => {{ try {{ {call} }} catch (e) {{ }} return 'refused' }}")


def _templates(size: int) -> bytes:
    half = size // 2
    action = {"fill": {"selector": "#a", "value": "{{a}}" * (half // 5)}}
    job = {"steps": [{"url": "data:,", "actions": [action]}]}
    return _line("create_task", {"interval": 60_000, "config": {"a": "x" * half}, "job": job}, id="hostile")


def _templates_of_secrets(size: int) -> bytes:
    action = {"fill": {"selector": "#a", "value": "{{user.password}}" * (size // 17)}}
    return _job(action, secrets={"user": {"key": "user", "encryption_key": "any"}})


def _typed_lines(size: int) -> list[bytes]:
    typed = ({"fill": {"selector": "#password", "value": f"v-{number}-é"}} for number in range(size))
    return [_line("nobody_knows", content) for content in typed]


def _typed_line(size: int) -> list[bytes]:
    typed = [{"fill": {"selector": "#password", "value": f"v-{number}-é"}} for number in range(size)]
    return [_line("nobody_knows", typed)]


def _many_secrets(size: int) -> list[bytes]:
    users = [{"username": f"user-{number}@mail.example", "password": f"p&ss-{number}"} for number in range(size)]
    cvs = [_line("send_cv", {"referenceNumber": f"r{number}", "about": "text " * 400}) for number in range(200)]
    asked = _line("get_users_secret", {"key": "users", "encryption_key": "any"})
    return [_line("set_mock", {"secrets": {"users": users}}), asked, *cvs]


def _typed_by_a_job(size: int) -> bytes:
    missing = {"wait_for_selector": {"selector": "#none", "timeout": 1}}
    return _job(missing, *({"keyboard_type": f"typed-{number}"} for number in range(size)))


def _escapes(written: bytes, size: int) -> bytes:
    return b'{"type":"nobody_knows","id":"hostile","content":"%b"}\n' % (written * (size // len(written)))


def _cancels(size: int) -> list[bytes]:
    waiting = [_line("set_cached_reference", f"r{number}", id=number) for number in range(size)]
    return [*waiting, *(_line("cancel", {"id": f"none-{number}"}, id=f"c{number}") for number in range(size))]


def _calls(size: int) -> bytes:
    call = "for(let i=0;i<9999;i++)page.title().catch(()=>{});await new Promise(r=>setTimeout(r,100))"
    return _job(f"(async()=>{{for(let k=0;k<{size};k++){{{call}}}}})()")


def _forged_calls(size: int) -> bytes:
    join = "Array.prototype.join=function(){return '{}'.repeat(100)};"
    return _job(f"(async()=>{{{join}for(let i=0;i<{size};i++)page.title().catch(()=>{{}})}})()")


def _posted(size: int) -> bytes:
    post = (
        f"fetch('/', {{method: 'POST', body: JSON.stringify(Array({size // 8}).fill({{a: 1}}))}}).then((r) => r.status)"
    )
    wait = "page.waitForResponse((r) => r.request().method() === 'POST')"
    return _job(f"(async () => {{ await Promise.all([{wait}, page.evaluate(() => {post})]) }})()", url="{site}")


def _handed_out(size: int) -> bytes:
    return _job(f"page.evaluate(() => Array({size // 8}).fill({{a: 1}})).then((a) => a.length)")


def _handed_in(size: int) -> bytes:
    return _job(f"page.evaluate((a) => a.length, Array({size // 8}).fill({{a: 1}}))")


def _glob(size: int) -> bytes:
    url = "data:text/html,<p>" + "a" * size
    return _job({"wait_for_url": {"url": "**{" + "a," * (size // 2) + "b}c", "timeout": 200}}, url=url)


def _steps(size: int) -> bytes:
    return _line("send_job", {"steps": [{"url": "data:,"}] * size}, id="hostile")


def _actions(size: int) -> bytes:
    return _job(*({"click": "#a"} for _ in range(size)))


def _deep_argument(size: int) -> bytes:
    nested = b'{"a":' * size + b"1" + b"}" * size
    return _job({"evaluate": {"script": "(a) => 1", "arg": "HERE"}}).replace(b'"HERE"', nested)


def _deep_in_a_script(size: int) -> bytes:
    nested = f"let a = 1; for (let i = 0; i < {size}; i++) a = [a];"
    return _job(f"(async () => {{ {nested} return page.evaluate(() => 1, a) }})()")


def _blobs(size: int) -> bytes:
    return _job(
        f"(async () => {{ const all = []; for (let i = 0; i < {size}; i++) all.push(new Blob([new Uint8Array(1e7)]));"
        " await page.title(); return all.length })()"
    )


def _windows(size: int) -> bytes:
    return _job(
        f"(async () => {{ for (let i = 0; i < {size}; i++) window.open('about:blank'); return page.title() }})()"
    )


def _deep_cv(size: int) -> bytes:
    nested = b"[" * 900 + b'"' + b"\\n[" * (size // 3) + b'"' + b"]" * 900
    return b'{"type":"send_cv","id":"hostile","content":{"referenceNumber":"a","b":%b}}\n' % nested


_LOGGED = {"SIDECAR_LOG_INPUT": "input.log"}

KINDS: Mapping[str, Kind] = {
    "C2 a key that reads like an error": Kind(lambda n: [_key(n)], 250_000),
    "C3 escaped quotes without an end": Kind(lambda n: [_BRACKETS + b'"' + rb"\"" * (n // 2) + b"\n"], 250_000),
    "C3 quotes": Kind(lambda n: [_BRACKETS + b'"' * n + b"\n"], 250_000),
    "C3 brackets in strings": Kind(lambda n: [_BRACKETS + b'"[{[{",' * (n // 7) + b"1]}\n"], 250_000),
    "C3 brackets side by side": Kind(lambda n: [b'{"type":"ping","a":[' + b"[]," * (n // 3) + b"1]}\n"], 250_000),
    "C4 templates of a task": Kind(lambda n: [_templates(n)], 400_000),
    "C4 templates of secrets": Kind(lambda n: [_templates_of_secrets(n)], 500_000),
    "C6 typed values, line by line": Kind(_typed_lines, 2_500, environ=_LOGGED),
    "C6 typed values in one line": Kind(_typed_line, 2_500, environ=_LOGGED),
    "C6 a long action": Kind(
        lambda n: [_line("nobody_knows", {"actions": [_EITHER * (n // 12)]})], 1_000_000, environ=_LOGGED
    ),
    "C6 long actions": Kind(
        lambda n: [_line("nobody_knows", {"actions": [_EITHER * 1_000] * (n // 12_000)})], 1_000_000, environ=_LOGGED
    ),
    "C6 secrets of many users": Kind(_many_secrets, 5_000, environ=_LOGGED),
    **{
        f"C6 {name}": Kind(partial(lambda written, n: [_escapes(written, n)], written), 1_000_000, environ=_LOGGED)
        for name, written in {
            "escapes of JSON": rb"\u0041",
            "escapes of JSON, twice": rb"\\u0041",
            "escapes of a URL": b"%41x",
            "escapes of a URL, twice": b"%2541",
            "escapes of a page": b"&#65;x",
            "spaces of a form": b"+%",
            "hexadecimal digits": b"4e",
            "a secret again and again": b"p" * 250_000,
        }.items()
    },
    "C7 steps": Kind(lambda n: [_steps(n)], 50_000),
    "C7 actions": Kind(lambda n: [_actions(n)], 100_000),
    "C7 an argument, nested": Kind(lambda n: [_deep_argument(n)], 960),
    "cancels of what is not there": Kind(_cancels, 2_000),
    "a type without an end": Kind(lambda n: [b'{"type":"%b"}\n' % (b"x" * n)], 1_000_000),
    "an id without an end": Kind(lambda n: [b'{"type":"ping","id":"%b"}\n' % (b"x" * n)], 1_000_000),
    "a CV of deep lists": Kind(lambda n: [_deep_cv(n)], 1_000_000, environ=_LOGGED),
    "a long CV": Kind(lambda n: [_line("send_cv", {"referenceNumber": "a", "b": "x" * n})], 4_000_000, environ=_LOGGED),
    "small lines": Kind(lambda n: [b"{}\n"] * n, 20_000, environ=_LOGGED),
    "C1 calls beyond the limit": Kind(lambda n: [_calls(n)], 3, browser=True),
    "C1 calls in a changed language": Kind(lambda n: [_forged_calls(n)], 5_000, browser=True),
    "C2 a key that reads like an error, by a script": Kind(lambda n: [_key_of_a_script(n)], 250_000, browser=True),
    "C5 a body posted while an answer is awaited": Kind(lambda n: [_posted(n)], 4_000_000, browser=True, hands=True),
    "C5 a value out of a page": Kind(lambda n: [_handed_out(n)], 1_000_000, browser=True, hands=True),
    "C5 a value into a page": Kind(lambda n: [_handed_in(n)], 1_000_000, browser=True, hands=True),
    "C6 typed values of a job that has updates": Kind(
        lambda n: [_typed_by_a_job(n)],
        2_000,
        opening=(MOCK, b'{"type":"hello","content":{"notifications":true}}\n'),
        browser=True,
    ),
    "C7 a glob of many alternatives": Kind(lambda n: [_glob(n)], 20_000, browser=True),
    "C7 a value of a script, nested": Kind(lambda n: [_deep_in_a_script(n)], 50_000, browser=True),
    "C8 memory filled with blobs": Kind(lambda n: [_blobs(n)], 50, browser=True, spares=True),
    "C8 windows": Kind(lambda n: [_windows(n)], 75, browser=True, spares=True),
}
"""The kinds by name; those of a sandbox or a page need a browser."""
