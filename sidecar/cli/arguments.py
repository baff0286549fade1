"""The parser of the command line: one line for what is wrong, and each command's arguments when it is typed."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from sidecar.cli.mistaken_words import mistaken_command, secret_flag
from sidecar.settings import nearest_name


class Parser(argparse.ArgumentParser):
    """Exits with 2 and one line on stderr, which names the nearest word that it knows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Prints the line."""
        more = "" if message.endswith("?") else f"; see `{self.prog} --help`"
        self.refuse(f"{message.removeprefix('argument ')}{more}")

    def refuse(self, sentence: str) -> NoReturn:
        """Prints a line that says what to do."""
        print(f"{self.prog}: {sentence}", file=sys.stderr)
        raise SystemExit(2)

    def flags(self) -> list[str]:
        """Every flag that can be typed, in order."""
        return [flag for action in self._actions for flag in action.option_strings]

    def flag_values(self) -> dict[str, list[str]]:
        """Every flag that is shown, or is a setting, with its values if they are known."""
        return {flag: list(action.choices or ()) for action in self._actions for flag in action.option_strings}

    def positional_values(self) -> list[str]:
        """The known values of positional arguments."""
        return [word for action in self._actions if not action.option_strings for word in action.choices or ()]

    def reject_flag(self, flag: str) -> NoReturn:
        """Says that there is no such flag."""
        name, flags = flag.partition("=")[0], self.flags()
        if secret := secret_flag(name):
            self.refuse(secret)
        near = nearest_name(name.lstrip("-"), (one.lstrip("-") for one in flags))
        same = [one for one in flags if one.lstrip("-") == near]
        alike = f"-{near}" if f"-{near}" in same and not name.startswith("--") else None
        self.error(f"unknown flag {name!r}{suggestion(alike or (same[-1] if same else None))}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            if action.dest == "command" and (instead := mistaken_command(str(value))):
                self.refuse(instead)
            kind = (action.metavar or action.dest) if isinstance(action.metavar or action.dest, str) else "value"
            self.error(unknown(str(kind).lower(), str(value), action.choices))


class CommandParser(Parser):
    """Parses one command's arguments, which it asks for when the command is typed."""

    add_command_arguments: Callable[["CommandParser"], None] | None = None

    def complete(self) -> "CommandParser":
        """Adds the command's arguments, once."""
        add, self.add_command_arguments = self.add_command_arguments, None
        if add:
            add(self)
        return self

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Adds the command's arguments first."""
        self.complete()
        found, unread = super().parse_known_args(args, namespace)
        for word in unread:
            if word.startswith("-") and word != "-":
                self.reject_flag(word)
        return found, unread


def suggestion(near: str | None) -> str:
    """The end of a sentence on an unknown word."""
    return f"; did you mean {near!r}?" if near else ""


def unknown(kind: str, word: str, words: Iterable[str]) -> str:
    """A sentence on an unknown word, with the nearest one; with all if they are few."""
    known = list(words)
    few = f"; one of: {', '.join(known)}" if len(known) <= 6 else ""
    return f"unknown {kind} {word!r}{suggestion(nearest_name(word, known)) or few}"


def check_flags(parser: Parser, arguments: Sequence[str], commands: Iterable[str]) -> None:
    """Rejects an unknown flag before the command: its value would be taken for the command."""
    known, names = set(parser.flags()), set(commands)
    for word in arguments:
        if word in names or word == "--":
            return
        if word.startswith("-") and len(word) > 1 and word.partition("=")[0] not in known:
            parser.reject_flag(word)
