"""A script's configuration file, as Director's users have it: `prices.json` next to `prices.js`."""

from typing import Any, Final

from sidecar_protocol.bounds import excess
from sidecar_protocol.codec import NotJson, plain
from sidecar_protocol.decoding import decode_value
from sidecar_protocol.tasks import CreateTask

from sidecar.errors import InvalidContent, NotFound
from sidecar.tasks.script_sources import ScriptSources, config_name

_TIMES: Final = ("init", "end", "interval", "cron", "zone")


async def complete(content: CreateTask, sources: ScriptSources) -> CreateTask:
    """The message, with what it leaves out taken from the file; one that says when it runs is complete as it is.

    The file's `config`, or else all its members that are no times, are the task's config.
    Raises InvalidContent for a file that is not there or holds something else, and what reading it raises.
    """
    name = config_name(content.script or "")
    if not content.script or not name or content.interval is not None or content.cron is not None:
        return content
    try:
        members = _members(await sources.read_config(content.script), name)
    except NotFound:
        missing = f"interval: a task needs either an interval or a cron, in the message or in {name} next to the script"
        raise InvalidContent(missing, "interval") from None
    given = {key: value for key, value in content.wire_members().items() if value is not None}
    if "config" not in content.model_fields_set:
        rest = {key: value for key, value in members.items() if key not in _TIMES}
        given["config"] = rest["config"] if isinstance(rest.get("config"), dict) else rest
    times = {key: members[key] for key in _TIMES if members.get(key) is not None}
    return decode_value(CreateTask, times | given, name)


def _members(text: bytes, name: str) -> dict[str, Any]:
    if too_much := excess(text):
        raise InvalidContent(f"script: {name} holds too much: {too_much}", "script")
    try:
        members = plain(text)
    except NotJson as wrong:
        raise InvalidContent(f"script: {name} is not JSON: {wrong}", "script") from None
    if not isinstance(members, dict):
        raise InvalidContent(f"script: {name} holds no object", "script")
    return members
