"""What a restarted sidecar is asked again, and why that is safe: which message may be repeated, with which key."""

import uuid
from typing import Any, Final

SESSION: Final = {
    "hello": "hello",
    "set_credentials": "login",
    "set_multiple_credentials": "login",
    "set_mock": "login",
    "set_webhooks": "webhooks",
}
"""Message type -> which part of a session it sets. The last one of each part is repeated after a restart."""
SESSION_ORDER: Final = ("hello", "login", "webhooks")
NEVER: Final = frozenset({"cancel", "create_schedule", "run_task"})
"""What would be done twice: it has no key of its own. CVs have their reference; jobs and tasks are given a key."""
_DELETES: Final = frozenset({"delete_schedule", "delete_task"})


def with_key(kind: str, content: Any) -> Any:
    """The content with a key of its own where the message has one and it is not given."""
    if kind == "send_job" and isinstance(content, dict) and content.get("mode") == "async" and not content.get("key"):
        return {**content, "key": uuid.uuid4().hex}
    if kind == "create_task" and isinstance(content, dict) and not content.get("id"):
        return {**content, "id": uuid.uuid4().hex}
    return content


def was_deleted(kind: str, code: str) -> bool:
    """Whether the error of a repeated request says that the first one was done."""
    return kind in _DELETES and code == "not_found"


def was_created(kind: str, code: str) -> bool:
    """Whether it says that the task is there already."""
    return kind == "create_task" and code == "conflict"
