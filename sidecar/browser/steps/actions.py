"""Typed actions: `{"click": "#a"}`, `{"fill": {"selector": "#u", "value": "x"}}`. No JavaScript string is involved."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import Locator, Page
from sidecar_protocol.decoding import decode_value
from sidecar_protocol.errors import WireError
from sidecar_protocol.models import Model
from sidecar_protocol.nearest_name import nearest
from sidecar_protocol.wire_types import Secret

from sidecar.browser import isolated_world, large_values, viewport
from sidecar.browser.cdp import CdpClient
from sidecar.browser.steps import action_arguments as a
from sidecar.browser.steps import page_actions as p
from sidecar.browser.steps.json_values import check_argument
from sidecar.browser.steps.secret_templates import SecretTemplates
from sidecar.browser.url_glob import UrlGlob
from sidecar.browser.url_policy import check_url
from sidecar.errors import InvalidContent
from sidecar.scratch_folder import Scratch
from sidecar.templates import has_reference

_NAVIGATING_METHODS: Final = frozenset({"goto", "reload", "go_back", "go_forward"})
_RECHECKING_METHODS: Final = frozenset({"check", "uncheck", "set_checked"})
_UNTYPED_ARGUMENTS: Final = frozenset({"arg", "event_init"})
"""Arguments that are passed to the page unchanged."""
Call = Callable[[Any, dict[str, Any]], Awaitable[Any]]
"""Acts on a page or frame."""


@dataclass(frozen=True, slots=True)
class ActionKind:
    """An action's arguments, and the call that executes it."""

    arguments: type[Model]
    call: Call
    shorthand: str | None = None
    """The argument that a bare value sets."""
    may_navigate: bool = False
    """Playwright does not wait for a navigation that this action starts, so we watch for one."""
    may_navigate_unannounced: bool = False
    """Like `may_navigate`, but Chromium reports the navigation before the action is done."""
    downloads: bool = False
    """Whether it downloads a file."""
    asks_page: bool = False
    """Whether it reads the page in the isolated world, for which it gets the CDP client."""


@dataclass(frozen=True, slots=True)
class BoundAction:
    """A checked action, ready to run. Its `repr` is method and selector only: values may be secret."""

    method: str
    kind: ActionKind
    arguments: Model
    selector: str | None = None
    """The selector as written, with references to secrets."""

    @property
    def label(self) -> str:
        """The action's name in errors, as in `click '#a'`."""
        return f"{self.method} {self.selector!r}" if self.selector else self.method

    @property
    def may_navigate(self) -> bool:
        """Whether it may start a navigation that Playwright does not wait for."""
        return self.kind.may_navigate

    @property
    def may_navigate_unannounced(self) -> bool:
        """Whether it may start a navigation that only Chromium reports."""
        return self.kind.may_navigate_unannounced

    @property
    def navigates(self) -> bool:
        """Whether Playwright waits for its document, and cancels a pending navigation."""
        return self.method in _NAVIGATING_METHODS

    @property
    def rechecks_element(self) -> bool:
        """Whether Playwright checks its element again afterwards."""
        return self.method in _RECHECKING_METHODS and not getattr(self.arguments, "frame", None)

    @property
    def secret_text(self) -> str | None:
        """The text that it types, which no error may repeat."""
        for name in ("value", "text"):
            value = getattr(self.arguments, name, None)
            if isinstance(value, Secret):
                return value.reveal()
        return None

    def __repr__(self) -> str:
        return f"BoundAction({self.label})"

    async def run(self, page: Page, milliseconds: float, scratch: Scratch, cdp: CdpClient) -> Any:
        """Runs the action, for at most this many milliseconds; downloads use `scratch`, reads of the page `cdp`.

        Raises Playwright's errors.
        """
        given = {name: _plain(value) for name, value in self.arguments if value is not None}
        if hasattr(self.arguments, "timeout"):
            given["timeout"] = min(given.get("timeout", milliseconds), milliseconds)
        if self.kind.downloads:
            given["scratch"] = scratch
        if self.kind.asks_page:
            given["cdp"] = cdp
        frames = given.pop("frame", None)
        target = await p.find_frame(page, frames, given.get("timeout", milliseconds)) if frames else page
        return await self.kind.call(target, given)


def parse(
    raw: Mapping[str, Any],
    field: str,
    templates: SecretTemplates = SecretTemplates(),  # noqa: B008
    *,
    files: bool = False,
) -> BoundAction:
    """Checks one action and fills in secrets. `field` is its path in the content.

    Raises InvalidContent, and LimitExceeded for an argument that is too large for a page.
    With `files` a `goto` may open `file:` addresses.
    """
    ((method, given),) = raw.items()
    kind = ACTIONS.get(method)
    if kind is None:
        near = nearest(method, ACTIONS)
        said = f"did you mean `{near}`?" if near else "`sidecar schema actions` lists them; a string is JavaScript"
        raise InvalidContent(f"{field}: unknown action {method}; {said}", f"{field}.{method}")
    place = f"{field}.{method}"
    if given is None:
        given = {}
    elif not isinstance(given, dict):
        if kind.shorthand is None:
            names = ", ".join(f'"{name}": …' for name, one in kind.arguments.model_fields.items() if one.is_required())
            raise InvalidContent(f"{place}: expected object: write {{{names}}}", place)
        given = {kind.shorthand: given}
    for name in _UNTYPED_ARGUMENTS & given.keys():
        check_argument(given[name], f"{place}.{name}")
    filled = templates.fill(given, place)
    try:
        arguments = decode_value(kind.arguments, filled, place)
    except WireError as wrong:
        field = str(wrong.details["field"])
        raise InvalidContent(wrong.message, field, wrong.details.get("fields")) from None
    url = arguments.url if isinstance(arguments, a.Goto | p.DownloadFrom) else None
    if url and (templates.values is not None or not has_reference(url)):
        check_url(url, f"{place}.url", files=files and method == "goto")
    return BoundAction(method, kind, arguments, given.get("selector"))


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Model):
        return {name: _plain(member) for name, member in value}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _page(method: str) -> Call:
    return lambda page, given: getattr(page, method)(**given)


def _evaluating(method: str) -> Call:
    async def call(page: Any, given: dict[str, Any]) -> Any:
        return await large_values.evaluate(getattr(page, method), await large_values.encoded(given))

    return call


def _reading(method: str) -> Call:
    return lambda target, given: isolated_world.read_element(target, method, given)


def _keyboard(method: str) -> Call:
    return lambda page, given: getattr(page.keyboard, method)(**given)


def _mouse(method: str) -> Call:
    return lambda page, given: getattr(page.mouse, method)(**given)


def _first_match(method: str) -> Call:
    return lambda page, given: getattr(page.locator(given.pop("selector")).first, method)(**given)


def _all_matches(call: Callable[[Locator], Awaitable[Any]]) -> Call:
    return lambda page, given: call(page.locator(given["selector"]))


async def _mouse_click(page: Page, given: dict[str, Any]) -> None:
    await page.mouse.click(given.pop("x"), given.pop("y"), **given)


async def _set_viewport_size(page: Page, given: dict[str, Any]) -> None:
    await viewport.resize(page, {"viewport_size": {"width": given["width"], "height": given["height"]}})


async def _scroll_to(page: Page, given: dict[str, Any]) -> None:
    place = {"top": (0, 0), "bottom": (0, 10**9)}.get(given.get("to", ""), (given["x"], given["y"]))
    await given["cdp"].ask(page, "scroll", list(place))


async def _title(page: Page, given: dict[str, Any]) -> str:
    return str(await given["cdp"].ask(page, "title"))


async def _wait_for_url(page: Page, given: dict[str, Any]) -> None:
    await page.wait_for_url(UrlGlob(given.pop("url")).matches, **given)


def _simple(shape: type[Model], call: Call, short: str | None = "selector") -> ActionKind:
    return ActionKind(shape, call, short)


def _navigating(shape: type[Model], call: Call, short: str | None = None) -> ActionKind:
    return ActionKind(shape, call, short, may_navigate=True)


def _navigating_unannounced(shape: type[Model], call: Call, short: str | None = "selector") -> ActionKind:
    return ActionKind(shape, call, short, may_navigate_unannounced=True)


ACTIONS: Final[dict[str, ActionKind]] = {
    "goto": _simple(a.Goto, _page("goto"), "url"),
    "reload": _simple(a.NavigationArguments, _page("reload"), None),
    "go_back": _simple(a.NavigationArguments, _page("go_back"), None),
    "go_forward": _simple(a.NavigationArguments, _page("go_forward"), None),
    "click": _simple(a.Click, _page("click")),
    "dblclick": _navigating_unannounced(a.DoubleClick, _page("dblclick")),
    "tap": _navigating_unannounced(a.PointerArguments, _page("tap")),
    "hover": _navigating_unannounced(a.PointerArguments, _page("hover")),
    "focus": _navigating_unannounced(a.StrictArguments, _page("focus")),
    "blur": _navigating_unannounced(a.WaitingArguments, _first_match("blur")),
    "fill": _navigating_unannounced(a.Fill, _page("fill")),
    "clear": _navigating_unannounced(a.WaitingArguments, _first_match("clear")),
    "type": _navigating(a.TypeText, _first_match("press_sequentially")),
    "press_sequentially": _navigating(a.TypeText, _first_match("press_sequentially")),
    "press": _simple(a.Press, _page("press"), None),
    "check": _navigating_unannounced(a.Check, _page("check")),
    "uncheck": _navigating_unannounced(a.Check, _page("uncheck")),
    "set_checked": _navigating_unannounced(a.SetChecked, _page("set_checked"), None),
    "select_option": _navigating(a.SelectOption, p.select_option),
    "dispatch_event": _navigating(a.DispatchEvent, _page("dispatch_event")),
    "drag_and_drop": _navigating_unannounced(a.DragAndDrop, _page("drag_and_drop"), None),
    "scroll_into_view": _simple(a.WaitingArguments, _first_match("scroll_into_view_if_needed")),
    "scroll_into_view_if_needed": _simple(a.WaitingArguments, _first_match("scroll_into_view_if_needed")),
    "scroll_to": ActionKind(a.ScrollTo, _scroll_to, "to", asks_page=True),
    "set_viewport_size": _simple(a.ViewportSize, _set_viewport_size, None),
    "keyboard_press": _navigating(a.KeyboardPress, _keyboard("press"), "key"),
    "keyboard_type": _navigating(a.KeyboardText, _keyboard("type"), "text"),
    "keyboard_down": _navigating(a.HeldKey, _keyboard("down"), "key"),
    "keyboard_up": _navigating(a.HeldKey, _keyboard("up"), "key"),
    "keyboard_insert_text": _simple(a.KeyboardText, _keyboard("insert_text"), "text"),
    "mouse_click": _navigating(a.MouseClick, _mouse_click),
    "mouse_down": _navigating(a.MouseButton, _mouse("down")),
    "mouse_up": _navigating(a.MouseButton, _mouse("up")),
    "mouse_move": _simple(a.MouseMove, _mouse("move"), None),
    "mouse_wheel": _simple(a.MouseWheel, _mouse("wheel"), None),
    "wait_for_selector": _simple(a.WaitForSelector, _page("wait_for_selector")),
    "wait_for_url": _simple(a.WaitForUrl, _wait_for_url, "url"),
    "wait_for_load_state": _simple(a.WaitForLoadState, _page("wait_for_load_state"), "state"),
    "wait_for_function": _simple(a.WaitForFunction, _evaluating("wait_for_function"), "expression"),
    "wait_for_timeout": _simple(a.WaitForTimeout, _page("wait_for_timeout"), "timeout"),
    "evaluate": _navigating(a.Evaluate, _evaluating("evaluate"), "expression"),
    "eval_on_selector": _navigating(a.EvaluateOnElement, _evaluating("eval_on_selector")),
    "eval_on_selector_all": _navigating(a.EvaluateOnElement, _evaluating("eval_on_selector_all")),
    "inner_text": _simple(a.StrictArguments, _reading("inner_text")),
    "inner_html": _simple(a.StrictArguments, _reading("inner_html")),
    "text_content": _simple(a.StrictArguments, _reading("text_content")),
    "input_value": _simple(a.StrictArguments, _page("input_value")),
    "get_attribute": _simple(a.GetAttribute, _reading("get_attribute"), None),
    "all_inner_texts": _simple(a.ElementArguments, _all_matches(isolated_world.inner_texts)),
    "all_text_contents": _simple(a.ElementArguments, _all_matches(isolated_world.text_contents)),
    "count": _simple(a.ElementArguments, _all_matches(Locator.count)),
    "is_visible": _simple(a.ElementArguments, _page("is_visible")),
    "is_hidden": _simple(a.ElementArguments, _page("is_hidden")),
    "is_checked": _simple(a.StrictArguments, _page("is_checked")),
    "is_disabled": _simple(a.StrictArguments, _page("is_disabled")),
    "is_editable": _simple(a.StrictArguments, _page("is_editable")),
    "is_enabled": _simple(a.StrictArguments, _page("is_enabled")),
    "set_input_files": _navigating(p.SetInputFiles, p.set_input_files, None),
    "download": ActionKind(p.DownloadFrom, p.download, "selector", downloads=True),
    "on_dialog": _simple(p.OnDialog, p.on_dialog, "accept"),
    "switch_to_popup": _simple(p.SwitchToPopup, p.switch_to_popup),
    "switch_to_page": _simple(p.SwitchToPage, p.switch_to_page, "index"),
    "close_page": _simple(a.NoArguments, p.close_page, None),
    "title": ActionKind(a.NoArguments, _title, asks_page=True),
    "content": _simple(a.NoArguments, _page("content"), None),
}
"""Method in snake_case -> its arguments and its call. All of them act on the step's page; none reads a local file."""
