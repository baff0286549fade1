"""ES modules: finds their `import` and `export` statements and takes them out, every other character in its place."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

from sidecar.javascript.lexer import SourceError, Token, tokens
from sidecar.javascript.literals import decode_literal

_MAY_BE_MODULE: Final = re.compile(
    r"(?<![\w$.#])(?:import\s*(?:[{*\"'\w$]|\.\s*meta)|export\s*(?:[{*]|default\b|const\b|let\b|var\b|function\b|class\b|async\b))"
)
"""A possible statement of a module; sources without a match are not analysed."""
_DYNAMIC: Final = re.compile(r"(?<![\w$.#])import\s*\(")
_NOT_BLANK: Final = re.compile(r"[^\s]")
_LINE_END: Final = re.compile("\r\n|[\n\r\u2028\u2029]")
_CONTINUES: Final = frozenset({"in", "instanceof", "of", "as"})
_STARTS_OPERAND: Final = frozenset({"!", "~", "++", "--", "{"})
_NEEDS_OPERAND: Final = frozenset(
    [
        "new",
        "typeof",
        "void",
        "delete",
        "await",
        "yield",
        "async",
        "function",
        "class",
        "extends",
        "return",
        "throw",
        "case",
        "in",
        "of",
        "instanceof",
        "get",
        "set",
        "static",
    ]
)
_DEFAULT: Final = "__e.default ="
_LOAD: Final = "__load"
_META: Final = "__meta"


@dataclass(slots=True)
class Translated:
    """An ES module's own code, and what was taken out of it."""

    source: str = ""
    imports: list[tuple[str, str, str]] = field(default_factory=list)
    """Name here, module, name there; `*` is all of it."""
    exports: list[tuple[str, str]] = field(default_factory=list)
    """Name outside, name here; empty for a default that is an expression."""
    reexports: list[tuple[str, str, str]] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Names of all requested modules, in execution order."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column, from 1, of the statement that first names each."""
    is_module: bool = False


def translate(source: str, *, module: bool = False) -> Translated:
    """Translates a source into a function's body; `module`: it is known to be a module. Raises SourceError.

    Lines keep their numbers, and what stays its columns. A source that is no module keeps all but `import(…)`.
    """
    if not (module or _MAY_BE_MODULE.search(source) or _DYNAMIC.search(source)):
        return Translated(source)
    return _Translator(source, module).run()


class _Translator:
    """Translates one source."""

    def __init__(self, source: str, module: bool) -> None:
        self._source = source
        self._tokens = list(tokens(source))
        self._found = Translated(is_module=module)
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(source))]
        self._edits: list[tuple[int, int, str]] = []
        """Start, end and replacement of each edit; blanks fill it up."""
        self._at = 0

    def run(self) -> Translated:
        while self._at < len(self._tokens):
            token, before = self._tokens[self._at], self._peek(-1)
            statement = token.depth == 0 and token.kind == "word" and before not in (".", "?.")
            following = self._peek(1)
            if (
                token.text == "import"
                and token.kind == "word"
                and before not in (".", "?.")
                and following in ("(", ".")
            ):
                self._expression(following)
            elif statement and token.text == "import" and self._begins_statement():
                self._import()
            elif statement and token.text == "export" and self._begins_statement():
                self._export()
            else:
                self._at += 1
        self._found.source = self._edited()
        self._found.requests = list(dict.fromkeys(self._found.requests))
        return self._found

    # --- tokens

    def _peek(self, distance: int) -> str:
        index = self._at + distance
        return self._tokens[index].text if 0 <= index < len(self._tokens) else ""

    def _take(self, expected: str = "") -> Token:
        if self._at >= len(self._tokens):
            raise SourceError("the source ends within an import or export")
        token = self._tokens[self._at]
        if expected and token.text != expected:
            raise SourceError(f"expected {expected} in an import or export")
        self._at += 1
        return token

    def _begins_statement(self) -> bool:
        """Whether the current token can be the first word of a statement, and not a name."""
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        first = self._peek(-1) in ("", ";", "}") or self._tokens[self._at].line_start
        if following is None or not first:
            return False
        return following.kind in ("word", "string") or following.text in ("{", "*")

    # --- statements

    def _expression(self, following: str) -> None:
        start = self._tokens[self._at]
        if following == "(":
            self._edits.append((start.start, start.end, _LOAD))
            self._at += 1
        elif self._peek(2) == "meta":
            self._edits.append((start.start, self._tokens[self._at + 2].end, _META))
            self._found.is_module = True
            self._at += 3
        else:
            self._at += 1

    def _import(self) -> None:
        start = self._take().start
        self._found.is_module = True
        names: list[tuple[str, str]] = []
        if self._tokens[self._at].kind != "string":
            if self._peek(0) not in ("{", "*"):
                names.append((self._take().text, "default"))
                if self._peek(0) == ",":
                    self._take()
            if self._peek(0) == "*":
                self._take()
                self._take("as")
                names.append((self._take().text, "*"))
            elif self._peek(0) == "{":
                names += [(here, there) for there, here in self._names()]
            self._take("from")
        request = self._request(start)
        self._found.imports += [(here, request, there) for here, there in names]
        self._blank(start)

    def _export(self) -> None:
        start = self._take().start
        self._found.is_module = True
        match self._peek(0):
            case "{":
                names = self._names()
                if self._peek(0) == "from":
                    self._take()
                    request = self._request(start)
                    self._found.reexports += [(outside, request, there) for there, outside in names]
                else:
                    self._found.exports += [(outside, here) for here, outside in names]
                self._blank(start)
            case "*":
                self._export_all(start)
            case "default":
                self._export_default(start)
            case _:
                self._edits.append((start, start + len("export"), ""))
                first = self._at
                self._found.exports += [(name, name) for name in self._declared()]
                self._at = first  # there may be more to translate in it

    def _export_all(self, start: int) -> None:
        self._take("*")
        outside = ""
        if self._peek(0) == "as":
            self._take()
            outside = _name(self._take())
        self._take("from")
        request = self._request(start)
        if outside:
            self._found.reexports.append((outside, request, "*"))
        else:
            self._found.stars.append(request)
        self._blank(start)

    def _export_default(self, start: int) -> None:
        end = self._take("default").end
        name = self._declaration_name()
        if name:
            self._found.exports.append(("default", name))
            self._edits.append((start, end, ""))
        else:
            self._found.exports.append(("default", ""))
            self._edits.append((start, end, _DEFAULT))

    def _names(self) -> list[tuple[str, str]]:
        """The names in braces, each with its name on the other side."""
        self._take("{")
        found = []
        while self._peek(0) != "}":
            first = _name(self._take())
            second = first
            if self._peek(0) == "as":
                self._take()
                second = _name(self._take())
            found.append((first, second))
            if self._peek(0) != "}":
                self._take(",")
        self._take("}")
        return found

    def _request(self, start: int) -> str:
        """The name of a module, and the text after it up to the end of the statement."""
        token = self._take()
        if token.kind != "string":
            raise SourceError("expected the name of a module")
        if self._peek(0) in ("with", "assert") and self._peek(1) == "{":
            self._at += 2
            while self._take().text != "}":
                pass
        if self._peek(0) == ";":
            self._take()
        request = decode_literal(token.text[1:-1])
        self._found.requests.append(request)
        self._found.places.setdefault(request, self._place(start))
        return request

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _declaration_name(self) -> str:
        """The name of the function or class that begins here; empty for one without, and for an expression."""
        at = 1 if self._peek(0) == "async" and self._peek(1) == "function" else 0
        if self._peek(at) not in ("function", "class"):
            return ""
        at += 2 if self._peek(at + 1) == "*" else 1
        name = self._tokens[self._at + at] if self._at + at < len(self._tokens) else None
        return name.text if name and name.kind == "word" and name.text != "extends" else ""

    def _declared(self) -> list[str]:
        """The names that a declaration makes."""
        name = self._declaration_name()
        if name:
            return [name]
        if self._peek(0) not in ("const", "let", "var"):
            raise SourceError("expected a declaration after export")
        self._take()
        names: list[str] = []
        while True:
            names += self._pattern()
            if self._peek(0) == "=":
                self._take()
                self._skip_expression()
            if self._peek(0) != ",":
                return names
            self._take()

    def _pattern(self) -> list[str]:
        """The names of one declarator: one, or those in a pattern."""
        token = self._take()
        if token.text not in ("{", "["):
            return [token.text]
        names: list[str] = []
        while not (self._peek(0) in ("}", "]") and self._tokens[self._at].depth == token.depth):
            names += self._element(in_object=token.text == "{")
        self._take()
        return names

    def _element(self, *, in_object: bool) -> list[str]:
        """The names of one member of a pattern, and the comma behind it."""
        if self._peek(0) in (",", "..."):
            self._take()
            return []
        if in_object and self._peek(0) == "[":
            self._skip_brackets()
            self._take(":")
        elif in_object and self._peek(1) == ":":
            self._at += 2
        names = self._pattern()
        if self._peek(0) == "=":
            self._take()
            self._skip_expression()
        return names

    def _skip_brackets(self) -> None:
        depth = self._take().depth
        while self._at < len(self._tokens) and self._take().depth > depth:
            pass

    def _skip_expression(self) -> None:
        """Passes an initializer, up to the comma, the bracket or the statement's end behind it."""
        depth = self._tokens[self._at].depth if self._at < len(self._tokens) else 0
        ended = False
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.depth < depth or (token.depth == depth and token.text in (",", ";")):
                return
            if token.depth == depth and ended and token.line_start and _starts_operand(token):
                return
            ended = _ends_operand(token)
            self._at += 1

    # --- the source

    def _blank(self, start: int) -> None:
        """Takes out a statement that has just been read; its lines stay."""
        end = self._tokens[self._at - 1].end
        self._edits.append((start, end, ""))

    def _edited(self) -> str:
        parts, done = [], 0
        for start, end, text in self._edits:
            blanks = _NOT_BLANK.sub(" ", self._source[start:end])  # its lines stay
            parts += [self._source[done:start], text, blanks if "\n" in blanks else blanks[len(text) :]]
            done = end
        return "".join([*parts, self._source[done:]])


def _name(token: Token) -> str:
    return decode_literal(token.text[1:-1]) if token.kind == "string" else token.text


def _ends_operand(token: Token) -> bool:
    if token.kind == "word":
        return token.text not in _NEEDS_OPERAND
    return token.kind in ("string", "number", "regex", "template") or token.text in (")", "]", "}", "++", "--")


def _starts_operand(token: Token) -> bool:
    if token.kind == "word":
        return token.text not in _CONTINUES
    return token.kind in ("string", "number") or token.text in _STARTS_OPERAND
