"""Actions in Python's form, as Tourist's older users write them -> JavaScript.

Only what is certainly meant so is changed: an action that is one expression of calls, lists and plain values, and that
has a mark of Python's: a keyword argument, `True`, `False`, `None`, a lambda, or a property that is a method in
JavaScript. Names in snake_case are left as they are; the sandbox knows them.
"""

import ast
import json
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.javascript.literals import decode_literal

MAX_SOURCE: Final = 4_000
_MAX_DEPTH: Final = 10
"""Nested brackets; Python's parser takes long to refuse what has very many."""
_BEGINS: Final = re.compile(r"\s*(?:await\s+)?(?:page|context)\s*\.")
_MAY_BE: Final = re.compile(r"\w\s*=[^=>]|\b(?:True|False|None|lambda)\b|\.\s*[a-z_]+\s*(?:\.|$)")
_PLAIN_TEXT: Final = re.compile(r"""'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)\"""")
_CONSTANTS: Final = {True: "true", False: "false", None: "null"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a method: its positional arguments in order, and the number of required ones."""

    positional: tuple[str, ...]
    needed: int
    options: frozenset[str]


class WrongKeyword(Exception):
    """Raised if no method of that name takes these arguments; the text is the reason."""


class _NotPython(Exception):
    """The source is no such expression."""


def to_javascript(
    source: str, signatures: Callable[[str, str], Sequence[Signature]], is_method: Callable[[str], bool]
) -> str:
    """The source in JavaScript; unchanged where it is not in Python's form. Raises WrongKeyword.

    `signatures` are those that a method may have, by the name of what it is called on (`page`, `locator`) and its own;
    `is_method` says whether a property of Python's is a method in JavaScript.
    """
    if len(source) > MAX_SOURCE or not _BEGINS.match(source) or not _MAY_BE.search(source):
        return source
    try:
        writer = _Writer(source.strip().removesuffix(";"), signatures, is_method)
        return writer.written if writer.is_python else source
    except _NotPython:
        return source


class _Writer:
    """Writes one expression."""

    def __init__(
        self, source: str, signatures: Callable[[str, str], Sequence[Signature]], is_method: Callable[[str], bool]
    ) -> None:
        """Raises _NotPython and WrongKeyword."""
        self._source = source
        self._signatures = signatures
        self._is_method = is_method
        self.is_python = False
        """Whether there was a mark of Python's."""
        self.written = self._write(_parse(source))

    def _write(self, node: ast.expr) -> str:  # noqa: PLR0911 - a line for each kind
        match node:
            case ast.Constant(value=str()):
                return self._text(node)
            case ast.Constant(value=bool() | None as value):
                self.is_python = True
                return _CONSTANTS[value]
            case ast.Constant(value=int() | float() as number):
                return json.dumps(number)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return json.dumps(-number)
            case ast.Name(id=name):
                return name
            case ast.Await(value=value):
                return f"await {self._write(value)}"
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return f"[{', '.join(map(self._write, items))}]"
            case ast.Dict(keys=keys, values=values) if all(keys):
                members = (
                    f"{self._write(key)}: {self._write(value)}" for key, value in zip(keys, values, strict=True) if key
                )
                return f"{{{', '.join(members)}}}"
            case ast.Lambda(args=ast.arguments(args=names, defaults=[], kwonlyargs=[], vararg=None, kwarg=None)):
                self.is_python = True
                return f"({', '.join(name.arg for name in names)}) => {self._write(node.body)}"
        return self._write_chain(node)

    def _write_chain(self, node: ast.expr) -> str:
        match node:
            case ast.Attribute(value=value, attr=name):
                calls = self._is_method(name) and _root(value) != "secrets"
                self.is_python |= calls
                return f"{self._write(value)}.{name}{'()' if calls else ''}"
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args, keywords=keywords):
                arguments = self._arguments(_last_name(value), name, args, keywords)
                return f"{self._write(value)}.{name}({', '.join(arguments)})"
        raise _NotPython

    def _arguments(
        self, receiver: str, name: str, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]
    ) -> list[str]:
        written = [self._write(one) for one in args]
        if not keywords:
            return written
        self.is_python = True
        given = {one.arg: self._write(one.value) for one in keywords if one.arg}
        if len(given) < len(keywords):
            raise _NotPython  # **options
        signature = _fitting(name, len(written), given, self._signatures(receiver, name))
        positional = signature.positional
        written += [given.pop(argument, "undefined") for argument in positional[len(written) :]]
        if given:
            written.append(f"{{{', '.join(f'{_to_camel(key)}: {value}' for key, value in given.items())}}}")
        return written

    def _text(self, node: ast.Constant) -> str:
        """A text that reads the same in both languages, since secrets are searched in JavaScript's reading of it."""
        written = ast.get_source_segment(self._source, node) or ""
        found = _PLAIN_TEXT.fullmatch(written)
        if not found or decode_literal(found[1] or found[2] or "") != node.value:
            raise _NotPython
        return json.dumps(node.value)


def _parse(source: str) -> ast.expr:
    depth = deepest = 0
    for letter in source:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise _NotPython
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that Python does not know
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _NotPython from None


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last_name(node: ast.expr) -> str:
    """`page` of `page`, `first` of `page.locator("a").first`."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _fitting(name: str, count: int, given: dict[str, str], signatures: Sequence[Signature]) -> Signature:
    """The method that takes that many positional arguments and these keywords. Raises WrongKeyword, _NotPython."""
    if not signatures:
        raise _NotPython  # the sandbox says that there is none
    for one in signatures:
        rest = one.positional[count:]
        named = [argument in given for argument in one.positional]
        needed = all(index < count or named[index] for index in range(one.needed))
        if count <= len(one.positional) and needed and given.keys() <= {*rest, *one.options}:
            return one
    raise WrongKeyword(f"{name} does not take these arguments: {', '.join(given)}")


def _to_camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
