"""The arguments of typed actions: one struct for each shape, fields named as Playwright names them."""

from typing import Annotated, Any, Literal

import msgspec
from sidecar_protocol.base import Secret, WireModel
from sidecar_protocol.jobs import NonEmpty, Timeout, WaitUntil

from sidecar.browser.url_glob import Glob

Coordinate = Annotated[float, msgspec.Meta(ge=-100_000, le=100_000)]
"""CSS pixels."""
Extent = Annotated[int, msgspec.Meta(ge=1, le=16_384)]
Delay = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
"""Milliseconds between key strokes, or between pressing and letting go."""
Button = Literal["left", "middle", "right"]
Modifier = Literal["Alt", "Control", "ControlOrMeta", "Meta", "Shift"]
Many = msgspec.Meta(max_length=10_000)
OneOrMore = str | Annotated[list[str], Many]
Frames = NonEmpty | Annotated[list[NonEmpty], msgspec.Meta(min_length=1, max_length=10)]
"""Selector of the iframe that the element is in; several, from the outside in, where frames are nested."""


class Nothing(WireModel, frozen=True, kw_only=True):
    """No arguments."""


class Position(WireModel, frozen=True, kw_only=True):
    """A point inside an element, from its top left corner."""

    x: Coordinate
    y: Coordinate


class OnElement(WireModel, frozen=True, kw_only=True):
    """The first element that the selector (CSS, `text=`, `xpath=`, …) finds."""

    selector: NonEmpty
    frame: Frames | None = None


class Waiting(OnElement, frozen=True, kw_only=True):
    """An element that is waited for; `timeout` (ms) is at most what is left of the step."""

    timeout: Timeout | None = None


class Strict(Waiting, frozen=True, kw_only=True):
    """`strict`: several matches are an error."""

    strict: bool | None = None


class Point(Strict, frozen=True, kw_only=True):
    """Where and how the pointer goes."""

    position: Position | None = None
    modifiers: Annotated[list[Modifier], msgspec.Meta(max_length=10)] | None = None
    force: bool | None = None


class DoubleClick(Point, frozen=True, kw_only=True):
    """Two clicks."""

    button: Button | None = None
    delay: Delay | None = None


class Click(DoubleClick, frozen=True, kw_only=True):
    """One click, or several."""

    click_count: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None


class Check(Strict, frozen=True, kw_only=True):
    """A checkbox or radio button."""

    position: Position | None = None
    force: bool | None = None


class SetChecked(Check, frozen=True, kw_only=True):
    """A checkbox, to this state."""

    checked: bool


class Fill(Strict, frozen=True, kw_only=True):
    """Replaces a field's value."""

    value: Secret
    force: bool | None = None


class TypeText(Waiting, frozen=True, kw_only=True):
    """Key strokes into a field, one after the other."""

    text: Secret
    delay: Delay | None = None


class Press(Strict, frozen=True, kw_only=True):
    """A key, or keys held together, as in `Control+a`."""

    key: NonEmpty
    delay: Delay | None = None


class SelectOption(Strict, frozen=True, kw_only=True):
    """Options of a select box: by value, label or index."""

    value: OneOrMore | None = None
    label: OneOrMore | None = None
    index: int | Annotated[list[int], Many] | None = None
    force: bool | None = None

    def __post_init__(self) -> None:
        if self.value is None and self.label is None and self.index is None:
            raise ValueError("select_option needs value, label or index")


class GetAttribute(Strict, frozen=True, kw_only=True):
    """One attribute's value."""

    name: NonEmpty


class DispatchEvent(Strict, frozen=True, kw_only=True):
    """A DOM event."""

    type: NonEmpty
    event_init: dict[str, Any] | None = None


class DragAndDrop(WireModel, frozen=True, kw_only=True):
    """From the first match of `source` to the first match of `target`."""

    source: NonEmpty
    target: NonEmpty
    frame: Frames | None = None
    force: bool | None = None
    strict: bool | None = None
    timeout: Timeout | None = None


class WaitForSelector(Strict, frozen=True, kw_only=True):
    """Until an element is there, or gone."""

    state: Literal["attached", "detached", "hidden", "visible"] | None = None


class WaitForUrl(WireModel, frozen=True, kw_only=True):
    """Until the page's URL is this one or matches this glob."""

    url: NonEmpty
    wait_until: WaitUntil | None = None
    timeout: Timeout | None = None

    def __post_init__(self) -> None:
        Glob(self.url)


class WaitForLoadState(WireModel, frozen=True, kw_only=True):
    """Until the page has come this far."""

    state: Literal["load", "domcontentloaded", "networkidle"] = "load"
    timeout: Timeout | None = None


class WaitForTimeout(WireModel, frozen=True, kw_only=True):
    """So many milliseconds."""

    timeout: Annotated[float, msgspec.Meta(ge=0, le=300_000)]


class Evaluate(WireModel, frozen=True, kw_only=True):
    """An expression, or a function that is called with `arg`, in the page."""

    expression: NonEmpty
    arg: Any = None
    frame: Frames | None = None


class EvaluateOn(OnElement, frozen=True, kw_only=True):
    """A function that is called with what the selector finds, and `arg`."""

    expression: NonEmpty
    arg: Any = None


class WaitForFunction(Evaluate, frozen=True, kw_only=True):
    """Until the expression is truthy."""

    timeout: Timeout | None = None


class Move(WireModel, frozen=True, kw_only=True):
    """Where a page of the history is waited for."""

    wait_until: WaitUntil | None = None
    timeout: Timeout | None = None


class Goto(Move, frozen=True, kw_only=True):
    """Another page."""

    url: NonEmpty
    referer: NonEmpty | None = None


class ScrollTo(WireModel, frozen=True, kw_only=True):
    """A point of the page, or one of its ends."""

    x: Coordinate = 0
    y: Coordinate = 0
    to: Literal["top", "bottom"] | None = None


class ViewportSize(WireModel, frozen=True, kw_only=True):
    """The window's inner size, in CSS pixels."""

    width: Extent
    height: Extent


class Key(WireModel, frozen=True, kw_only=True):
    """A key, wherever the focus is."""

    key: NonEmpty
    delay: Delay | None = None


class Text(WireModel, frozen=True, kw_only=True):
    """Text, wherever the focus is."""

    text: Secret


class MouseMove(WireModel, frozen=True, kw_only=True):
    """A point of the window."""

    x: Coordinate
    y: Coordinate


class MouseClick(MouseMove, frozen=True, kw_only=True):
    """A click at a point of the window."""

    button: Button | None = None
    click_count: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    delay: Delay | None = None


class MouseButton(WireModel, frozen=True, kw_only=True):
    """A button where the pointer is."""

    button: Button | None = None
    click_count: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None


class HeldKey(WireModel, frozen=True, kw_only=True):
    """A key that goes down, or up again."""

    key: NonEmpty


class MouseWheel(WireModel, frozen=True, kw_only=True):
    """A turn of the wheel, in CSS pixels."""

    delta_x: Coordinate = 0
    delta_y: Coordinate = 0
