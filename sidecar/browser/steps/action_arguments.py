"""The arguments of typed actions: one struct for each shape, fields named as Playwright names them."""

from typing import Annotated, Any, Literal, Self

from sidecar_protocol.durations import Duration
from sidecar_protocol.jobs import NonEmpty, Timeout, WaitUntil
from sidecar_protocol.models import Bound, Either, Model, model_validator
from sidecar_protocol.wire_types import Secret

from sidecar.browser.url_glob import UrlGlob

Coordinate = Annotated[float, Bound(ge=-100_000, le=100_000)]
"""CSS pixels."""
Extent = Annotated[int, Bound(ge=1, le=16_384)]
Delay = Annotated[float, Duration(ge=0, le=10_000, fractions=True)]
"""Milliseconds, or text such as `"1s"`, between key strokes, or between pressing and letting go."""
Button = Literal["left", "middle", "right"]
Modifier = Literal["Alt", "Control", "ControlOrMeta", "Meta", "Shift"]
Many = Bound(max_length=10_000)
OneOrMore = Annotated[str | Annotated[list[str], Many], Either("str", "array")]
Frames = Annotated[NonEmpty | Annotated[list[NonEmpty], Bound(min_length=1, max_length=10)], Either("str", "array")]
"""Selector of the iframe that the element is in; several, from the outside in, where frames are nested."""


class NoArguments(Model):
    """An action without arguments."""


class Position(Model):
    """A point inside an element, from its top left corner."""

    x: Coordinate
    y: Coordinate


class ElementArguments(Model):
    """The first element that matches the selector (CSS, `text=`, `xpath=`, …)."""

    selector: NonEmpty
    frame: Frames | None = None


class WaitingArguments(ElementArguments):
    """An element to wait for; `timeout` (ms) is limited to what is left of the step."""

    timeout: Timeout | None = None


class StrictArguments(WaitingArguments):
    """`strict`: several matches are an error."""

    strict: bool | None = None


class PointerArguments(StrictArguments):
    """The target and manner of a pointer action."""

    position: Position | None = None
    modifiers: Annotated[list[Modifier], Bound(max_length=10)] | None = None
    force: bool | None = None


class DoubleClick(PointerArguments):
    """Two clicks."""

    button: Button | None = None
    delay: Delay | None = None


class Click(DoubleClick):
    """One click, or several."""

    click_count: Annotated[int, Bound(ge=1, le=10)] | None = None


class Check(StrictArguments):
    """A checkbox or radio button."""

    position: Position | None = None
    force: bool | None = None


class SetChecked(Check):
    """A checkbox, to this state."""

    checked: bool


class Fill(StrictArguments):
    """Replaces a field's value."""

    value: Secret
    force: bool | None = None


class TypeText(WaitingArguments):
    """Types text into a field, key by key."""

    text: Secret
    delay: Delay | None = None


class Press(StrictArguments):
    """A key, or several at once, as in `Control+a`."""

    key: NonEmpty
    delay: Delay | None = None


class SelectOption(StrictArguments):
    """Options of a select box: by value, label or index."""

    value: OneOrMore | None = None
    label: OneOrMore | None = None
    index: Annotated[int | Annotated[list[int], Many], Either("int", "array")] | None = None
    force: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value is None and self.label is None and self.index is None:
            raise ValueError("select_option needs value, label or index")
        return self


class GetAttribute(StrictArguments):
    """The value of an attribute."""

    name: NonEmpty


class DispatchEvent(StrictArguments):
    """A DOM event."""

    type: NonEmpty
    event_init: dict[str, Any] | None = None


class DragAndDrop(Model):
    """Drags from the first match of `source` to the first match of `target`."""

    source: NonEmpty
    target: NonEmpty
    frame: Frames | None = None
    force: bool | None = None
    strict: bool | None = None
    timeout: Timeout | None = None


class WaitForSelector(StrictArguments):
    """Waits until an element appears or disappears."""

    state: Literal["attached", "detached", "hidden", "visible"] | None = None


class WaitForUrl(Model):
    """Waits until the page's URL equals this one or matches this glob."""

    url: NonEmpty
    wait_until: WaitUntil | None = None
    timeout: Timeout | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        UrlGlob(self.url)
        return self


class WaitForLoadState(Model):
    """Waits for a load state of the page."""

    state: Literal["load", "domcontentloaded", "networkidle"] = "load"
    timeout: Timeout | None = None


class WaitForTimeout(Model):
    """Waits for a number of milliseconds, or for text such as `"2s"`."""

    timeout: Annotated[float, Duration(ge=0, le=300_000, fractions=True)]


class Evaluate(Model):
    """A JavaScript expression, or a function called with `arg`, in the page."""

    expression: NonEmpty
    arg: Any = None
    frame: Frames | None = None


class EvaluateOnElement(ElementArguments):
    """A JavaScript function, called with the selector's match and `arg`."""

    expression: NonEmpty
    arg: Any = None


class WaitForFunction(Evaluate):
    """Waits until the expression is truthy."""

    timeout: Timeout | None = None


class NavigationArguments(Model):
    """The moment at which a navigation in the history counts as finished."""

    wait_until: WaitUntil | None = None
    timeout: Timeout | None = None


class Goto(NavigationArguments):
    """The URL to navigate to."""

    url: NonEmpty
    referer: NonEmpty | None = None


class ScrollTo(Model):
    """A point of the page, its top or its bottom."""

    x: Coordinate = 0
    y: Coordinate = 0
    to: Literal["top", "bottom"] | None = None


class ViewportSize(Model):
    """The viewport's size, in CSS pixels."""

    width: Extent
    height: Extent


class KeyboardPress(Model):
    """A key for the focused element."""

    key: NonEmpty
    delay: Delay | None = None


class KeyboardText(Model):
    """Text for the focused element."""

    text: Secret


class MouseMove(Model):
    """A point of the viewport."""

    x: Coordinate
    y: Coordinate


class MouseClick(MouseMove):
    """A click at a point of the viewport."""

    button: Button | None = None
    click_count: Annotated[int, Bound(ge=1, le=10)] | None = None
    delay: Delay | None = None


class MouseButton(Model):
    """A button, pressed at the pointer's position."""

    button: Button | None = None
    click_count: Annotated[int, Bound(ge=1, le=10)] | None = None


class HeldKey(Model):
    """A key to press or release."""

    key: NonEmpty


class MouseWheel(Model):
    """A scroll distance of the wheel, in CSS pixels."""

    delta_x: Coordinate = 0
    delta_y: Coordinate = 0
