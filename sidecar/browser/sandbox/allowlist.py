"""The allowlist of Playwright methods that actions may call.

Signatures and return types are read from Playwright's Python API; a name that is not listed does not exist for an
action.
"""

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from playwright.async_api import _generated

from sidecar.javascript.python_calls import Signature

_FIND: Final = (
    "locator frame_locator get_by_alt_text get_by_label get_by_placeholder get_by_role get_by_test_id get_by_text "
    "get_by_title "
)
_SELECTOR: Final = (
    "check click dblclick dispatch_event fill focus get_attribute hover inner_html inner_text input_value is_checked "
    "is_disabled is_editable is_enabled is_hidden is_visible press select_option set_checked set_input_files tap "
    "text_content type uncheck "
)
_DOCUMENT: Final = (
    "add_script_tag add_style_tag content drag_and_drop eval_on_selector eval_on_selector_all evaluate evaluate_handle "
    "goto query_selector query_selector_all set_content title wait_for_function wait_for_load_state wait_for_selector "
    "wait_for_timeout "
)
_HANDLE: Final = "dispose evaluate evaluate_handle get_properties get_property json_value "
_DEFAULTS: Final = "set_default_timeout set_default_navigation_timeout "

_METHODS: Final[dict[str, str]] = {
    "Page": _FIND + _SELECTOR + _DOCUMENT + _DEFAULTS + "add_init_script aria_snapshot bring_to_front "
    "clear_console_messages clear_page_errors close console_messages emulate_media get_by_ref go_back go_forward "
    "hide_highlight keyboard local_storage mouse opener page_errors pdf reload remove_locator_handler request_gc "
    "requests screenshot session_storage set_extra_http_headers set_viewport_size touchscreen",
    "Frame": _FIND + _SELECTOR + _DOCUMENT + "frame_element",
    "Locator": _FIND + _SELECTOR + "all_inner_texts all_text_contents and_ aria_snapshot blur bounding_box clear "
    "content_frame count describe drag_to drop element_handle element_handles evaluate evaluate_all evaluate_handle "
    "filter first hide_highlight highlight last normalize nth or_ press_sequentially screenshot "
    "scroll_into_view_if_needed select_text visible wait_for wait_for_function within",
    "FrameLocator": _FIND + "first last nth owner",
    "BrowserContext": _DEFAULTS + "add_cookies add_init_script clear_cookies clear_permissions cookies "
    "grant_permissions new_page set_extra_http_headers set_geolocation set_offline storage_state",
    "JSHandle": _HANDLE,
    "ElementHandle": _SELECTOR + _HANDLE + "bounding_box content_frame eval_on_selector eval_on_selector_all "
    "owner_frame query_selector query_selector_all screenshot scroll_into_view_if_needed select_text "
    "wait_for_element_state wait_for_selector",
    "Keyboard": "down insert_text press type up",
    "Mouse": "click dblclick down move up wheel",
    "Touchscreen": "tap",
    "WebStorage": "clear get_item items remove_item set_item",
    "Request": "all_headers header_value headers_array response sizes",
    "Response": "all_headers body finished header_value header_values headers_array http_version security_details "
    "server_addr text",
    "Route": "abort continue_ fallback fulfill",
    "Dialog": "accept dismiss",
    "Download": "cancel delete failure",
    "FileChooser": "set_files",
    "ConsoleMessage": "",
    "WebError": "",
}

READ_ONLY: Final = frozenset(
    {"all_inner_texts", "all_text_contents", "bounding_box", "console_messages", "content", "count", "get_attribute"}
    | {"inner_html", "inner_text", "input_value", "page_errors", "requests", "text_content", "title"}
    | {"is_checked", "is_disabled", "is_editable", "is_enabled", "is_hidden", "is_visible"}
)
"""Methods that can't navigate: after an action that calls only these, there is no navigation to wait for."""

STATES: Final[dict[str, tuple[str, ...]]] = {
    "Page": ("url", "is_closed", "viewport_size", "main_frame", "frames", "context"),
    "Frame": ("url", "name", "is_detached", "parent_frame", "child_frames", "page"),
    "BrowserContext": ("pages", "is_closed"),
    "Request": (
        *("url", "method", "resource_type", "headers", "is_navigation_request"),
        *("frame", "redirected_from", "redirected_to", "failure", "timing", "existing_response"),
    ),
    "Response": ("url", "status", "status_text", "ok", "headers", "from_service_worker", "request", "frame"),
    "Route": ("request",),
    "Dialog": ("message", "type", "default_value", "page"),
    "Download": ("url", "suggested_filename", "page"),
    "FileChooser": ("is_multiple", "element", "page"),
    "ConsoleMessage": ("text", "type", "location", "args", "page", "timestamp"),
    "WebError": ("error", "page", "location"),
}
"""Properties that Playwright gives synchronously: copied into the sandbox and read there as plain values."""

_TRAFFIC: Final = ("request", "requestfailed", "requestfinished", "response")
_FRAMES: Final = ("frameattached", "framedetached", "framenavigated")
EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "Page": (
        *("close", "console", "dialog", "dialogclosed", "domcontentloaded", "download", "filechooser"),
        *(*_FRAMES, "load", "pageerror", "popup", *_TRAFFIC),
    ),
    "BrowserContext": (
        *("console", "dialog", "dialogclosed", "download", *_FRAMES, "page", "pageclose", "pageload", "weberror"),
        *_TRAFFIC,
    ),
}

_NO_FILES: Final = "actions can't access files"
_NO_NETWORK: Final = "actions have no network; make requests in a page"
_OURS: Final = "the sidecar manages the browser"
_NO_WORKERS: Final = "actions can't access workers"
_NO_SOCKETS: Final = "actions can't access web sockets"
_NOBODY_PICKS: Final = "no one can pick an element in a headless browser"
_NO_TOOLS: Final = "actions can't call a page's tools"
_NOT_IN_PYTHON: Final = "use ariaSnapshot"
REFUSED: Final[dict[str, dict[str, str]]] = {
    "Page": {
        "request": _NO_NETWORK,
        "pause": "no debugger can resume it",
        "video": _NO_FILES,
        "routeFromHAR": _NO_FILES,
        "exposeFunction": "pages can't call actions",
        "exposeBinding": "pages can't call actions",
        "clock": "a page's clock can't be changed",
        "coverage": _OURS,
        "screencast": _NO_FILES,
        "workers": _NO_WORKERS,
        "routeWebSocket": _NO_SOCKETS,
        "pickLocator": _NOBODY_PICKS,
        "cancelPickLocator": _NOBODY_PICKS,
        "webmcp": _NO_TOOLS,
        "ariaSnapshotJSON": _NOT_IN_PYTHON,
    },
    "Frame": {"webmcp": _NO_TOOLS},
    "Locator": {"ariaSnapshotJSON": _NOT_IN_PYTHON},
    "Request": {"serviceWorker": _NO_WORKERS},
    "ConsoleMessage": {"worker": _NO_WORKERS},
    "BrowserContext": {
        "request": _NO_NETWORK,
        "browser": _OURS,
        "close": _OURS,
        "newCDPSession": _OURS,
        "tracing": _NO_FILES,
        "routeFromHAR": _NO_FILES,
        "exposeFunction": "pages can't call actions",
        "exposeBinding": "pages can't call actions",
        "clock": "a page's clock can't be changed",
        "debugger": _OURS,
        "credentials": _OURS,
        "setStorageState": "use a profile",
        "setHTTPCredentials": "give http_credentials in the context of the job",
        "routeWebSocket": _NO_SOCKETS,
        "serviceWorkers": _NO_WORKERS,
        "backgroundPages": "a job has no extensions",
    },
    "Route": {"fetch": _NO_NETWORK},
    "Download": {"path": _NO_FILES, "saveAs": _NO_FILES, "createReadStream": _NO_FILES},
}
"""Playwright members that are refused to actions, by JavaScript name, with the reason in the error."""

_CHAINED: Final = frozenset({"Locator", "FrameLocator", "Keyboard", "Mouse", "Touchscreen", "WebStorage"})
_AS_PROPERTIES: Final = frozenset({"keyboard", "local_storage", "mouse", "session_storage", "touchscreen"})
_POSITIONAL: Final[dict[str, tuple[str, ...]]] = {"wait_for_function": ("expression", "arg")}
"""Arguments that are positional in JavaScript and keywords in Python."""
_JAVASCRIPT_NAMES: Final = {
    "and_": "and",
    "or_": "or",
    "continue_": "continue",
    "eval_on_selector": "$eval",
    "eval_on_selector_all": "$$eval",
    "query_selector": "$",
    "query_selector_all": "$$",
    "inner_html": "innerHTML",
    "request_gc": "requestGC",
    "set_extra_http_headers": "setExtraHTTPHeaders",
}

Kind = Literal["call", "chain"]


@dataclass(frozen=True, slots=True)
class Method:
    """A method or property that an action may use."""

    name: str
    kind: Kind
    is_property: bool
    positional: tuple[str, ...]
    options: frozenset[str]
    returns: str
    """The class on which a chain continues."""


@cache
def methods() -> dict[str, dict[str, Method]]:
    """Class -> Python name -> method."""
    return {
        owner: {name: _inspect(getattr(_class(owner), name), name) for name in names.split()}
        for owner, names in _available().items()
    }


def _available() -> dict[str, str]:
    """The allowlist without members that the installed Playwright lacks."""
    return {
        owner: " ".join(name for name in names.split() if hasattr(_class(owner), name))
        for owner, names in _METHODS.items()
    }


def _class(owner: str) -> Any:
    """The class of this name; None where the installed Playwright has none. Not all are in the public module."""
    return getattr(_generated, owner, None)


def _inspect(member: Any, name: str) -> Method:
    is_property = isinstance(member, property)
    signature = inspect.signature(member.fget if is_property and member.fget else member)
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    positional = _POSITIONAL.get(
        name, tuple(parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
    )
    annotation = signature.return_annotation
    returns = annotation.strip("'\"") if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    chained = not inspect.iscoroutinefunction(member) and returns in _CHAINED
    options = frozenset(parameter.name for parameter in parameters) - set(positional)
    return Method(name, "chain" if chained else "call", is_property, positional, options, returns)


@cache
def signatures(receiver: str, name: str) -> tuple[Signature, ...]:
    """The Python signatures of the methods of this name on `receiver`, a `page` or `locator`, or on its result.

    Returns the signatures of every class that actions know if the receiver's class is unknown.
    """
    owner = {"page": "Page", "context": "BrowserContext"}.get(receiver) or _returned_class(receiver)
    members = (getattr(_class(one), name, None) for one in ([owner] if owner else _METHODS))
    found = (inspect.signature(member) for member in members if inspect.isfunction(member))
    return tuple(dict.fromkeys(_to_signature(name, one) for one in found))


def _returned_class(name: str) -> str:
    """The class of what a method or property of this name returns; empty where that is none that actions know."""
    for owner in _METHODS:
        member = getattr(_class(owner), name, None)
        if member is not None:
            method = _inspect(member, name)
            return method.returns if method.returns in _METHODS else ""
    return ""


def _to_signature(name: str, signature: inspect.Signature) -> Signature:
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    positional = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    names = _POSITIONAL.get(name, tuple(one.name for one in positional))
    needed = sum(one.default is one.empty for one in positional)
    return Signature(names, needed, frozenset(one.name for one in parameters) - set(names))


@cache
def is_method_in_javascript(name: str) -> bool:
    """Whether a property of Python's API is a method in JavaScript's."""
    return name not in _AS_PROPERTIES and any(
        isinstance(getattr(_class(owner), name, None), property) for owner in _METHODS
    )


def to_camel(name: str) -> str:
    """Playwright's JavaScript name of what Python calls `name`."""
    return _JAVASCRIPT_NAMES.get(name) or re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def to_snake(name: str) -> str:
    """Python's name of an option that JavaScript calls `name`."""
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)


@cache
def describe_api() -> dict[str, Any]:
    """The allowlist for the sandbox: `[name, Python name, kind, class, is a property]` for each member of a class."""
    return {
        "classes": {owner: [_describe(method) for method in listed.values()] for owner, listed in methods().items()},
        "states": {owner: [[to_camel(name), name] for name in names] for owner, names in STATES.items()},
        "events": EVENTS,
        "refused": REFUSED,
    }


def _describe(method: Method) -> list[Any]:
    return [
        to_camel(method.name),
        method.name,
        method.kind,
        method.returns if method.kind == "chain" else "",
        method.name in _AS_PROPERTIES,
    ]
