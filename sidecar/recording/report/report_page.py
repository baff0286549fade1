"""Makes the page: one file of HTML that loads nothing, and runs nothing but its own script."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from sidecar.recording.report.report_data import gather

MAX_BYTES: Final = 3_000_000
"""Of a whole page."""
_ROOM: Final = 40_000
"""Bytes for what is between script, style and data."""
_SCRIPTS: Final = ("elements.js", "timeline.js", "jobs.js", "lists.js", "report.js")
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that could end a script, within JSON."""


def report_page(folder: Path, most: int = MAX_BYTES, *, base: str = "") -> bytes:
    """The page of a recording, in UTF-8. `base` leads from it to the recording's files. Raises RecordingError."""
    return render(report_data(folder, most, base))


def report_data(folder: Path, most: int = MAX_BYTES, base: str = "") -> dict[str, Any]:
    """What the page shows; `base` is a relative URL that ends with a slash. Raises RecordingError."""
    data = gather(folder, most - len(_script()) - len(_asset("report.css")) - _ROOM)
    data["about"]["base"] = base
    return data


def render(data: dict[str, Any], *, live: str = "") -> bytes:
    """The page that shows this."""
    style, script = _asset("report.css"), _script()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src 'sha256-{_digest(style)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "connect-src 'self'" if live else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    page = environment.from_string(_asset("report.html.j2")).render(
        policy=Markup(policy),  # noqa: S704 - it is made of hashes
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own files
        data=Markup(embedded_json(data)),  # noqa: S704 - escaped for a script
        live=live,
        about=data["about"],
        counts=data["counts"],
        failures=data["failures"],
    )
    return page.encode(errors="replace")


def embedded_json(value: Any) -> str:
    """JSON that can stand in a script element: no text in it can end that."""
    text = orjson.dumps(value).decode()
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


@cache
def _script() -> str:
    return "\n".join(_asset(name) for name in _SCRIPTS)


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
