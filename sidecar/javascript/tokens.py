"""A tokenizer that finds the secret string literals of JavaScript: what an action types, sets or compares with.

It is no parser: it knows the call, the key and the neighbours of a literal. A literal that is certainly a selector, a
URL, a key or a word of the API is open; every other one is secret. If it can't tell a regular expression from a
division, or the source ends early, all that follows is redacted. Each character is read a bounded number of times.
"""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Final

from sidecar_protocol.wire_types import REDACTED

from sidecar.javascript.calls import QUOTE, LiteralPosition, Sensitivity, classify
from sidecar.javascript.literals import SKIP, decode_literal

_MAX_DEPTH: Final = 2_000
"""The deepest nesting of brackets; deeper code is redacted."""
_MAX_NESTED_SOURCES: Final = 2
"""The deepest nesting of sources in strings that are scanned."""
_TOKEN: Final = re.compile(
    r"(?P<string>'(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+'|\"(?:[^\"\\\n\r]|\\(?:\r\n|[\s\S]))*+\")"
    r"|(?P<word>[\w$#\\]++)|(?P<op>=>|\+\+|--|\?\.(?!\d)|<!--|[^\w\s$#\\])"
)
_TEMPLATE: Final = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*+")
_REGEX: Final = re.compile(r"/(?:[^/\\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*+\])++/\w*")
_UNTERMINATED: Final = frozenset({"'", '"', "<!--"})
"""Tokens of an unterminated literal or an HTML-like comment."""
_BEFORE_BLOCK: Final = frozenset({"if", "while", "for", "with"})
_BEFORE_MODULE: Final = frozenset({"from", "import"})
"""Words that the name of a module follows."""
_BEFORE_VALUE: Final = frozenset(
    {"return", "typeof", "case", "in", "delete", "void", "throw", "new", "instanceof", "do", "else"}
)
_CONTEXTUAL_KEYWORDS: Final = frozenset({"of", "yield", "await", "async", "let", "static", "get", "set"})
"""Keywords that may be names, so that a slash after them is ambiguous."""


Placeholder = Callable[[str, Sensitivity], str | None]
"""Returns the replacement of a literal of this value; None leaves it."""


@dataclass(frozen=True, slots=True)
class Literal:
    """The value of a literal, or of several that are joined by `+`."""

    value: str
    sensitivity: Sensitivity


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    text: str
    """The replacement."""


@dataclass(slots=True)
class _Bracket:
    """An open bracket and the current position in it."""

    bracket: str
    call: str
    """The name of the innermost call; empty if there is none."""
    argument: int
    """The index of the current argument."""
    direct: bool
    """Whether it is that call's own bracket."""
    block: bool = False
    """Whether it belongs to `if`, `while` and the like."""
    index: bool = False
    receiver: str = ""
    """The receiver of that call."""
    key: str = ""


def literals(source: str, spend: Callable[[int], bool]) -> Iterator[Literal]:
    """Every literal that is not open, joined ones too, also of sources in strings.

    `spend` says whether a source of this length may still be scanned; it is called before each scan.
    """
    yield from _literals(source, spend, 0)


def redact(source: str, placeholder: Placeholder = lambda *_: REDACTED) -> str:
    """The source with every literal that is not open, and every comment, replaced."""
    tokens = _Tokenizer(source, lambda _: None, placeholder=placeholder)
    output = StringIO()
    done = 0
    for span in tokens.spans():
        if tokens.unsure is not None and span.start >= tokens.unsure:
            break
        output.write(source[done : span.start])
        output.write(span.text)
        done = span.end
    if tokens.unsure is None:
        output.write(source[done:])
    else:
        output.write(source[done : tokens.unsure])
        output.write(f'"{placeholder(source[tokens.unsure :], Sensitivity.SECRET)}"')
    return output.getvalue()


def _literals(source: str, spend: Callable[[int], bool], depth: int) -> Iterator[Literal]:
    found: list[Literal] = []
    for regex in (False, True):
        if not spend(len(source)):
            return
        tokens = _Tokenizer(source, found.append, regex)
        for _ in tokens.spans():
            yield from _nested_literals(found, spend, depth)
            found.clear()
        yield from _nested_literals(found, spend, depth)
        found.clear()
        if tokens.unsure is None:
            return


def _nested_literals(found: list[Literal], spend: Callable[[int], bool], depth: int) -> Iterator[Literal]:
    for literal in found:
        yield literal
        if depth < _MAX_NESTED_SOURCES and QUOTE.search(literal.value):
            yield from _literals(literal.value, spend, depth + 1)


@dataclass(slots=True)
class _Tokenizer:
    """Tokenizes a source once."""

    source: str
    on_literal: Callable[[Literal], object]
    regex: bool = False
    """Whether an ambiguous slash begins a regular expression."""
    placeholder: Placeholder = lambda *_: REDACTED
    unsure: int | None = None
    """The offset from which nothing is certain."""
    _frames: list[_Bracket] = field(default_factory=lambda: [_Bracket("", "", 0, False)])
    _last: str = ""
    """The last token that counts: an operator, a word, or `'` for a literal."""
    _before: str = ""
    """The one before it."""
    _earlier: str = ""
    """The one before that."""
    _joined: list[str] = field(default_factory=list)
    _joined_sensitivity: Sensitivity = Sensitivity.OPEN
    _closed: _Bracket | None = None
    """The bracket that the last token has closed."""

    def spans(self) -> Iterator[_Span]:
        """Yields what is to be replaced, in order; calls `on_literal` for each literal that is not open."""
        offset, length = 0, len(self.source)
        while offset < length:
            after = SKIP.match(self.source, offset).end()  # type: ignore[union-attr]  # matches nothing, too
            if after > offset:
                yield from self._comments(offset, after)
                offset = after
                continue
            match = _TOKEN.match(self.source, offset)
            if match is None or match[0] in _UNTERMINATED or self.source.startswith("/*", offset):
                self._mark_unsure(offset)
                break
            if match.lastgroup == "string":
                yield from self._literal(offset, match.end(), match[0][1:-1], quoted=True)
                offset = match.end()
            elif match[0] == "`" or (match[0] == "}" and self._frames[-1].bracket == "${"):
                offset = yield from self._template(offset, opening=match[0] == "`")
            elif match[0] == "/" and (end := self._slash(offset)) != offset:
                self._push("/re/")
                offset = end
            else:
                self._take(match[0], offset)
                offset = match.end()
            if offset < 0 or len(self._frames) > _MAX_DEPTH:
                self._mark_unsure(length if offset < 0 else offset)
                break
        self._end_join()

    def _mark_unsure(self, offset: int) -> None:
        self.unsure = offset if self.unsure is None else min(offset, self.unsure)

    def _push(self, token: str) -> None:
        self._earlier, self._before, self._last = self._before, self._last, token

    def _comments(self, start: int, end: int) -> Iterator[_Span]:
        text = self.source[start:end]
        if not text.isspace():
            yield _Span(start, end, "\n" if "\n" in text else " ")

    # --- literals

    def _literal(self, start: int, end: int, raw: str, *, quoted: bool) -> Iterator[_Span]:
        value = decode_literal(raw)
        sensitivity = self._judge(end, value) if value else Sensitivity.OPEN
        if not (self._last == "+" and self._before == "'"):
            self._end_join()
        self._joined.append(value)
        self._joined_sensitivity = max(sensitivity, self._joined_sensitivity)
        if sensitivity is not Sensitivity.OPEN:
            self.on_literal(Literal(value, sensitivity))
            placeholder = self.placeholder(value, sensitivity)
            if placeholder is not None:
                yield _Span(start, end, f'"{placeholder}"' if quoted else placeholder)
        frame = self._frames[-1]
        if frame.bracket == "{" and self._last in ("{", ","):
            frame.key = value
        self._push("'")

    def _end_join(self) -> None:
        if len(self._joined) > 1 and self._joined_sensitivity is not Sensitivity.OPEN:
            self.on_literal(Literal("".join(self._joined), self._joined_sensitivity))
        self._joined = []
        self._joined_sensitivity = Sensitivity.OPEN

    def _template(self, offset: int, *, opening: bool) -> Generator[_Span, None, int]:
        """Reads a template, or its part after a `${…}`, up to its end or the next `${`; returns that position."""
        if not opening:
            self._frames.pop()
        start = offset + 1
        end = _TEMPLATE.match(self.source, start).end()  # type: ignore[union-attr]
        if end >= len(self.source):
            self._mark_unsure(offset)
            return -1
        whole = opening and self.source[end] == "`"
        if whole:
            yield from self._literal(offset, end + 1, self.source[start:end], quoted=True)
            return end + 1
        if start < end:
            self._last, self._before = ("", "") if not opening else (self._last, self._before)
            yield from self._literal(start, end, self.source[start:end], quoted=False)
        if self.source[end] == "`":
            self._last = "'"
            return end + 1
        self._open("${")
        self._push("{")
        return end + 2

    # --- everything else

    def _slash(self, offset: int) -> int:
        """The end of a regular expression that begins here; `offset` itself where this is a division."""
        last, before = self._last, self._before
        unsure = False
        if last == ")":
            regex = self._closed is not None and self._closed.block
            unsure = self._closed is not None and self._closed.call == "await"  # of `for await (…)`, or a value
        elif last == "}" or (last in _CONTEXTUAL_KEYWORDS and before != "."):
            regex, unsure = self.regex, True
        elif last in _BEFORE_VALUE:
            regex = before not in (".", "?.")
        elif last in ("++", "--"):  # `a++ / b`, or `++/re/.lastIndex`
            regex, unsure = self.regex, True
        elif last in ("'", "]", "/re/", "."):  # the dot is that of `1. / 2`
            regex = False
        else:
            regex = not (last[:1].isalnum() or last[:1] in ("_", "$", "#", "\\"))
        if unsure:
            self._mark_unsure(offset)
        if not regex:
            return offset
        match = _REGEX.match(self.source, offset)
        if match is None:
            self._mark_unsure(offset)
            return -1
        return match.end()

    def _take(self, word: str, offset: int) -> None:
        frame = self._frames[-1]
        if word in ("(", "[", "{"):
            self._open(word)
        elif word in (")", "]", "}"):
            if len(self._frames) > 1:
                self._closed = self._frames.pop()
        elif word == ",":
            if frame.direct:
                frame.argument += 1
            frame.key = ""
        elif frame.bracket == "{" and self._last in ("{", ",") and (word[0].isalpha() or word[0] in "_$"):
            frame.key = word
        elif word == ">" and self.source.startswith("--", max(0, offset - 2)):
            self._mark_unsure(offset)  # perhaps a comment of old, to the end of its line
        self._push(word)

    def _open(self, bracket: str) -> None:
        outer, last = self._frames[-1], self._last
        named = last[:1].isalpha() or last[:1] in ("_", "$") if last else False
        if bracket == "(" and (named or last in ("?.", "'", "]", ")")):
            called = last if named else ""
            block = called in _BEFORE_BLOCK and self._before not in (".", "?.")
            receiver = self._earlier if self._before in (".", "?.") else ""
            self._frames.append(_Bracket(bracket, called, 0, direct=True, block=block, receiver=receiver))
        else:
            index = bracket == "[" and (named or last in ("]", ")", "?.", "'"))
            inner = _Bracket(bracket, outer.call, outer.argument, direct=False, index=index, receiver=outer.receiver)
            self._frames.append(inner)

    def _judge(self, end: int, value: str) -> Sensitivity:
        frame, last = self._frames[-1], self._last
        if last in _BEFORE_MODULE or (frame.call == "import" and frame.direct):
            return Sensitivity.OPEN
        following = self._following(end)
        if frame.bracket == "{" and last in ("{", ",") and following[:1] == ":":
            return Sensitivity.OPEN
        if frame.index and last == "[" and following[:1] == "]":
            return Sensitivity.OPEN
        position = LiteralPosition(
            call=frame.call,
            receiver=frame.receiver,
            argument=frame.argument,
            direct=frame.direct,
            key=frame.key if frame.bracket == "{" and last != "," else "",
            assigned=self._before if last == "=" else "",
            following=following,
        )
        return classify(position, value)

    def _following(self, end: int) -> str:
        """The next significant character; after a comma, the one after it, too."""
        offset = SKIP.match(self.source, end).end()  # type: ignore[union-attr]
        first = self.source[offset : offset + 1]
        if first != ",":
            return first
        offset = SKIP.match(self.source, offset + 1).end()  # type: ignore[union-attr]
        return first + self.source[offset : offset + 1]
