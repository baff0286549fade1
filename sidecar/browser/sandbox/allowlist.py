"""The allowlist of Playwright methods that actions may call.

Signatures and return types are read from Playwright's Python API; a name that is not listed does not exist for an
action.
"""

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from playwright import async_api

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
    "Page": _FIND + _SELECTOR + _DOCUMENT + _DEFAULTS + "add_init_script aria_snapshot bring_to_front close "
    "emulate_media go_back go_forward keyboard mouse touchscreen opener pdf reload screenshot set_extra_http_headers "
    "set_viewport_size",
    "Frame": _FIND + _SELECTOR + _DOCUMENT + "frame_element",
    "Locator": _FIND + _SELECTOR + "all_inner_texts all_text_contents and_ aria_snapshot blur bounding_box clear "
    "content_frame count drag_to element_handle element_handles evaluate evaluate_all evaluate_handle filter first "
    "last nth or_ press_sequentially screenshot scroll_into_view_if_needed select_text wait_for",
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
    "Request": "all_headers header_value headers_array response sizes",
    "Response": "all_headers body finished header_value header_values headers_array security_details server_addr text",
    "Route": "abort continue_ fallback fulfill",
    "Dialog": "accept dismiss",
    "Download": "cancel delete failure",
    "FileChooser": "set_files",
    "ConsoleMessage": "",
    "WebError": "",
}

READ_ONLY: Final = frozenset(
    {"all_inner_texts", "all_text_contents", "bounding_box", "content", "count", "get_attribute", "inner_html"}
    | {"inner_text", "input_value", "text_content", "title"}
    | {"is_checked", "is_disabled", "is_editable", "is_enabled", "is_hidden", "is_visible"}
)
"""Methods that can't navigate: after an action that calls only these, there is no navigation to wait for."""

STATES: Final[dict[str, tuple[str, ...]]] = {
    "Page": ("url", "is_closed", "viewport_size", "main_frame", "frames", "context"),
    "Frame": ("url", "name", "is_detached", "parent_frame", "child_frames", "page"),
    "BrowserContext": ("pages",),
    "Request": (
        *("url", "method", "resource_type", "headers", "is_navigation_request"),
        *("frame", "redirected_from", "redirected_to", "failure", "timing"),
    ),
    "Response": ("url", "status", "status_text", "ok", "headers", "from_service_worker", "request", "frame"),
    "Route": ("request",),
    "Dialog": ("message", "type", "default_value", "page"),
    "Download": ("url", "suggested_filename", "page"),
    "FileChooser": ("is_multiple", "element", "page"),
    "ConsoleMessage": ("text", "type", "location", "args", "page"),
    "WebError": ("error", "page"),
}
"""Properties that Playwright gives synchronously: copied into the sandbox and read there as plain values."""

_TRAFFIC: Final = ("request", "requestfailed", "requestfinished", "response")
EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "Page": (
        *("close", "console", "dialog", "domcontentloaded", "download", "filechooser", "frameattached"),
        *("framedetached", "framenavigated", "load", "pageerror", "popup", *_TRAFFIC),
    ),
    "BrowserContext": ("console", "dialog", "page", "weberror", *_TRAFFIC),
}

_NO_FILES: Final = "actions can't access files"
_NO_NETWORK: Final = "actions have no network; make requests in a page"
_OURS: Final = "the sidecar manages the browser"
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
        "workers": "actions can't access workers",
    },
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
    },
    "Route": {"fetch": _NO_NETWORK},
    "Download": {"path": _NO_FILES, "saveAs": _NO_FILES, "createReadStream": _NO_FILES},
}
"""Playwright members that are refused to actions, by JavaScript name, with the reason in the error."""

_CHAINED: Final = frozenset({"Locator", "FrameLocator", "Keyboard", "Mouse", "Touchscreen"})
_AS_PROPERTIES: Final = frozenset({"keyboard", "mouse", "touchscreen"})
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
        owner: {name: _inspect(getattr(getattr(async_api, owner), name), name) for name in names.split()}
        for owner, names in _available().items()
    }


def _available() -> dict[str, str]:
    """The allowlist without members that the installed Playwright lacks."""
    return {
        owner: " ".join(name for name in names.split() if hasattr(getattr(async_api, owner), name))
        for owner, names in _METHODS.items()
    }


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
