"""Finds all mistakes of a job's content, also where its shape has some: each part of the right shape is checked."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from sidecar_protocol.browser_context import BrowserContextOptions
from sidecar_protocol.codec import NotJson, plain
from sidecar_protocol.decoding import decode_value
from sidecar_protocol.errors import ErrorCode, FieldError, WireError
from sidecar_protocol.jobs import MOST_ACTIONS, MOST_COOKIES, MOST_OPTIONS, MOST_STEPS, Cookie
from sidecar_protocol.webhooks import MAX_WEBHOOKS

from sidecar.browser.steps import actions
from sidecar.browser.steps.context_options import context_errors
from sidecar.browser.steps.cookies import cookie_errors
from sidecar.browser.steps.secret_templates import SecretTemplates
from sidecar.browser.url_policy import check_url as check_page
from sidecar.errors import InvalidContent, LimitExceeded, add_mistakes, mistakes_of
from sidecar.jobs.token_scope import is_public_suffix
from sidecar.net.urls import check_url

T = TypeVar("T")


def add_job_mistakes(error: WireError, content: bytes) -> None:
    """Adds all further mistakes of a job to the error about its first; other errors stay as they are."""
    if error.code is not ErrorCode.INVALID_CONTENT:
        return
    with suppress(NotJson):
        add_mistakes(error, job_mistakes(plain(content)))


def job_mistakes(job: Any) -> Iterator[FieldError]:
    """The mistakes that the shape does not have, as plain values; `file:` addresses are left to the setting."""
    if not isinstance(job, Mapping):
        return
    kind = job.get("browser", "CHROMIUM")
    if kind in ("FIREFOX", "WEBKIT") and "PDF" in _first(job.get("options"), MOST_OPTIONS):
        yield FieldError("options", "options: PDF needs the browser CHROMIUM")
    with suppress(LimitExceeded):  # of the window's size: another sort of error
        yield from _context_mistakes(job.get("context"), kind)
    for index, given in enumerate(_first(job.get("cookies"), MOST_COOKIES)):
        if cookie := _decoded(Cookie, given):
            yield from map(_field_error, cookie_errors([cookie], is_public_suffix, first=index))
    for index, url in enumerate(_first(job.get("webhooks"), MAX_WEBHOOKS)):
        if isinstance(url, str):
            yield from mistakes_of(partial(check_url, url, f"webhooks[{index}].url"))
    secrets = job.get("secrets")
    templates = SecretTemplates(frozenset(secrets) if isinstance(secrets, Mapping) else ())
    left = MOST_ACTIONS
    for number, step in enumerate(_first(job.get("steps"), MOST_STEPS)):
        if isinstance(step, Mapping):
            given = _first(step.get("actions"), left)
            left -= len(given)
            yield from _step_mistakes(step.get("url"), given, f"steps[{number}]", templates)


def _step_mistakes(url: Any, given: list[Any], place: str, templates: SecretTemplates) -> Iterator[FieldError]:
    if isinstance(url, str) and url:
        yield from mistakes_of(partial(check_page, url, f"{place}.url", files=True))
    for index, action in enumerate(given):
        if isinstance(action, dict) and len(action) == 1:
            yield from mistakes_of(partial(actions.parse, action, f"{place}.actions[{index}]", templates, files=True))


def _context_mistakes(context: Any, kind: Any) -> Iterator[FieldError]:
    """Each member by itself: none depends on another one."""
    for name, value in context.items() if isinstance(context, Mapping) else ():
        if options := _decoded(BrowserContextOptions, {name: value}):
            yield from map(_field_error, context_errors(options, kind))


def _decoded(shape: type[T], value: Any) -> T | None:
    try:
        return decode_value(shape, value)
    except WireError:
        return None


def _field_error(error: InvalidContent) -> FieldError:
    return FieldError(str(error.details["field"]), error.message)


def _first(value: Any, most: int) -> list[Any]:
    """The first members of a list, as many as may be; none of what is no list."""
    return list(islice(value, most)) if isinstance(value, list) else []
