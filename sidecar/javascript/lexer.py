"""Splits JavaScript into tokens, in one pass and without a grammar.

Whether a slash begins a regular expression depends on the token before it, and by what the bracket was opened for that
has just been closed. Sources that this misreads are rare (a division right after a function's or a block's brace), and
are then refused by the engine, not run differently.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from sidecar.javascript.literals import SKIP

_TOKEN: Final = re.compile(
    r"(?P<string>'(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+'|\"(?:[^\"\\\n\r]|\\(?:\r\n|[\s\S]))*+\")"
    r"|(?P<number>\.?\d(?:[eE][+-]|\.(?![A-Za-z_$.])|\w)*+)"
    r"|(?P<word>[\w$#\\]++)"
    r"|(?P<op>=>|\+\+|--|\?\.(?!\d)|\.\.\.|[^\w\s$#\\])"
)
_TEMPLATE: Final = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*+")
_REGEX: Final = re.compile(r"/(?![*/])(?:[^/\\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*+\])++/[\w$]*")
_BEFORE_CONDITION: Final = frozenset({"if", "while", "for", "with"})
_BEFORE_OPERAND: Final = frozenset(
    [
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "delete",
        "void",
        "throw",
        "new",
        "instanceof",
        "do",
        "else",
        "yield",
        "await",
        "extends",
        "default",
    ]
)
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}


_MAX_DEPTH: Final = 2_000
"""The deepest nesting of brackets."""


class SourceError(ValueError):
    """A source that can't be split into tokens."""


class Token(NamedTuple):
    """One token; blanks and comments are none."""

    kind: str
    """`string`, `template`, `regex`, `number`, `word` or `op`."""
    text: str
    start: int
    end: int
    depth: int
    """The number of brackets open around it; an opening bracket and its closing one have the same depth."""
    line_start: bool
    """Whether a line break comes between it and the token before it."""


class _Open(NamedTuple):
    bracket: str
    operand: bool
    """Whether a value ends with it, so that a slash after it divides."""


def tokens(source: str) -> Iterator[Token]:
    """The tokens of a source. Raises SourceError where it ends within one."""
    stack: list[_Open] = []
    offset, last, operand = 0, "", False
    while True:
        start = SKIP.match(source, offset).end()  # type: ignore[union-attr]  # matches nothing, too
        if start >= len(source):
            return
        line_start = _has_line_break(source, offset, start)
        kind, end = _next(source, start, operand, stack)
        text = source[start:end]
        if text in _OPENING and kind == "op":
            yield Token(kind, text, start, end, len(stack), line_start)
            stack.append(_Open(text, _closes_operand(text, last, operand)))
            operand = False
        elif kind == "op" and text in (")", "]", "}"):
            operand = stack.pop().operand if stack else False
            yield Token(kind, text, start, end, len(stack), line_start)
        else:
            yield Token(kind, text, start, end, len(stack), line_start)
            operand = _is_operand(kind, text, last, operand)
            if kind == "template" and text.endswith("${"):
                stack.append(_Open("${", operand=False))
                operand = False
        if len(stack) > _MAX_DEPTH:
            raise SourceError(f"brackets are nested over {_MAX_DEPTH} levels")
        last, offset = text, end


def _next(source: str, start: int, operand: bool, stack: list[_Open]) -> tuple[str, int]:
    character = source[start]
    if character == "`" or (character == "}" and stack and stack[-1].bracket == "${"):
        if character == "}":
            stack.pop()
        end = _TEMPLATE.match(source, start + 1).end()  # type: ignore[union-attr]
        if end >= len(source):
            raise SourceError("a template literal has no end")
        return "template", end + (1 if source[end] == "`" else 2)
    if character == "/" and not operand and (regex := _REGEX.match(source, start)):
        return "regex", regex.end()
    match = _TOKEN.match(source, start)
    if match is None or match[0] in ("'", '"') or source.startswith("/*", start):
        raise SourceError("a string or comment has no end")
    return match.lastgroup or "op", match.end()


def _is_operand(kind: str, text: str, last: str, operand: bool) -> bool:
    if kind == "word":
        return text not in _BEFORE_OPERAND or last in (".", "?.")
    if kind == "op":
        return text in ("++", "--") and operand
    return not text.endswith("${") if kind == "template" else True


def _closes_operand(bracket: str, last: str, operand: bool) -> bool:
    """Whether what this bracket opens is a value once it is closed."""
    if bracket == "(":
        return last not in _BEFORE_CONDITION
    if bracket == "[":
        return True
    # an object where a value is expected; a block, a function's or a class's body elsewhere
    return not operand and last not in ("", ";", "{", "}", ")", "=>", "else", "do", "try", "finally")


def _has_line_break(source: str, start: int, end: int) -> bool:
    return any(source.find(mark, start, end) >= 0 for mark in ("\n", "\r", "\u2028", "\u2029"))
