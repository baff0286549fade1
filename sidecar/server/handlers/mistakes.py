"""Finds all mistakes of a content of which one is known: each finder takes the content as plain values.

A handler stops at the first mistake; what it has not checked yet is checked here, as far as its shape allows.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from sidecar_protocol.decoding import decode_value
from sidecar_protocol.errors import FieldError, WireError

from sidecar.errors import mistakes_of
from sidecar.queue.submission import RESERVED_PREFIXES
from sidecar.server.handlers.context import HandlerContext

_MOST: Final = 100
"""Servers or webhooks of one content, at most."""
_TEXTS: Final = ("server_location", "api_key_id", "api_key", "results_path")
"""The members of a server's credentials that are text."""


async def of_credentials(_: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of a login, of each server by itself."""
    servers = content if isinstance(content, list) else [content]
    return _credentials_mistakes(list(islice(servers, _MOST)))


async def of_job(_: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of `send_job`."""
    from sidecar.jobs.job_mistakes import job_mistakes  # late: with the browser's modules
    from sidecar.jobs.large_jobs import off_loop

    if not isinstance(content, dict):
        return ()
    return await off_loop(content, lambda: [*_mode_mistakes(content), *job_mistakes(content)])


async def of_webhooks(_: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of `set_webhooks`."""
    return _webhook_mistakes(islice(content, _MOST)) if isinstance(content, list) else ()


async def of_schedule(context: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of `create_schedule` and `update_schedule`."""
    if not isinstance(content, dict):
        return ()
    from sidecar.jobs.large_jobs import off_loop  # late: with the store

    manager = (await context.storage.get()).schedules.manager
    return await off_loop(content, partial(manager.mistakes, content, zone=context.session.zone))


async def of_task(context: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of `create_task`."""
    if not isinstance(content, dict):
        return ()
    from sidecar.jobs.large_jobs import off_loop  # late: with the store

    return await off_loop(content, partial((await context.storage.get()).task_manager.mistakes, content))


async def of_task_update(context: HandlerContext, content: Any) -> Iterable[FieldError]:
    """Those of `update_task`."""
    if not isinstance(content, dict):
        return ()
    return await (await context.storage.get()).task_manager.update_mistakes(content)


def _credentials_mistakes(servers: list[Any]) -> Iterator[FieldError]:
    from sidecar_protocol.session import Credentials  # late: with pydantic

    from sidecar.server.session import credentials_mistakes

    for index, given in enumerate(servers):
        if not isinstance(given, Mapping) or given.get("mock") is not None:
            continue
        texts = {name: given[name] for name in _TEXTS if isinstance(given.get(name), str)}
        for error in credentials_mistakes(decode_value(Credentials, texts), f"[{index}]." if len(servers) > 1 else ""):
            field = str(error.details["field"])
            if isinstance(given.get(field.rpartition(".")[2]), str | None):  # else its type is wrong, which is known
                yield FieldError(field, error.message)


def _mode_mistakes(content: Mapping[str, Any]) -> Iterator[FieldError]:
    key, retries = content.get("key"), content.get("retries")
    if isinstance(key, str) and key.startswith(RESERVED_PREFIXES) and content.get("mode") == "async":
        yield FieldError("key", f"key: must not begin with {' or '.join(RESERVED_PREFIXES)}")
    if isinstance(retries, int) and retries and content.get("mode", "sync") == "sync":
        yield FieldError("retries", "retries: needs the mode async")


def _webhook_mistakes(webhooks: Iterable[Any]) -> Iterator[FieldError]:
    from sidecar_protocol.webhooks import Webhook  # late: with pydantic

    from sidecar.net.urls import check_url

    for index, given in enumerate(webhooks):
        if not isinstance(given, Mapping):
            continue
        if isinstance(url := given.get("url"), str) and url:
            yield from mistakes_of(partial(check_url, url, f"[{index}].url"))
        try:
            decode_value(Webhook, {"url": "https://example.com", "secret": given.get("secret")}).signing_keys()
        except ValueError as wrong:
            yield FieldError(f"[{index}].secret", f"secret {wrong}")
        except WireError:  # its shape is wrong, which is known
            continue
