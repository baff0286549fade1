"""`sidecar completion SHELL`: prints a script that completes commands, flags and their values, made of the parsers."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar.cli.output import print_text

_BASH: Final = """\
# bash completion of sidecar: eval "$(sidecar completion bash)"
_sidecar() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in @NAMES@) command=${COMP_WORDS[i]}; break;; esac
  done
  case $command:$previous:$word in
@CASES@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _sidecar sidecar
"""
_ZSH: Final = """\
#compdef sidecar
# zsh completion of sidecar: eval "$(sidecar completion zsh)"
_sidecar() {
  local word command= known=
  for word in ${words[2,CURRENT-1]}; do
    case $word in @NAMES@) command=$word; break;; esac
  done
  case $command:${words[CURRENT-1]}:${words[CURRENT]} in
@CASES@
  esac
  compadd -- ${=known} || _files
}
compdef _sidecar sidecar
"""


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """What can be typed after a command; after `sidecar` itself for the name ''."""

    name: str
    summary: str
    words: list[str]
    """Values of its positional arguments, such as the names of commands."""
    flags: dict[str, list[str]]
    """Each flag with the values that it takes, if they are known."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """For which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="of which shell")


def run(parsed: argparse.Namespace, _: Mapping[str, str]) -> int:
    """Prints the script."""
    shells = {"bash": lambda: _script(_BASH, "words"), "zsh": lambda: _script(_ZSH, "known"), "fish": _fish}
    return print_text(shells[parsed.shell]())


def completed_commands() -> Iterator[CompletedCommand]:
    """`sidecar` itself, then each command."""
    from sidecar.cli.commands import COMMANDS, parsers  # late: it imports this module by its name

    root, commands = parsers()
    for name, parser in [("", root), *((name, parser.complete()) for name, parser in commands.items())]:
        yield CompletedCommand(name, COMMANDS.get(name, ""), parser.positional_values(), parser.flag_values())


def _script(template: str, variable: str) -> str:
    commands = list(completed_commands())
    cases = []
    for one in commands:
        words = {f"{one.name}:{flag}:*": values for flag, values in one.flags.items() if values}
        words |= {f"{one.name}:*:-*": list(one.flags), f"{one.name}:*:*": one.words}
        cases += [f"    {case}) {variable}={shlex.quote(' '.join(known))};;" for case, known in words.items()]
    names = "|".join(one.name for one in commands if one.name)
    return template.replace("@NAMES@", names).replace("@CASES@", "\n".join(cases))


def _fish() -> str:
    lines = ["# fish completion of sidecar: sidecar completion fish | source"]
    for command in completed_commands():
        place = f"__fish_seen_subcommand_from {command.name}" if command.name else "__fish_use_subcommand"
        begin = f"complete -c sidecar -n {shlex.quote(place)}"
        if command.name:
            lines.append(
                f"complete -c sidecar -n __fish_use_subcommand -f -a {command.name} -d {_fish_text(command.summary)}"
            )
            lines += [f"{begin} -f -a {shlex.quote(word)}" for word in command.words]
        for flag, choices in command.flags.items():
            kind = "-l" if flag.startswith("--") else "-o" if len(flag) > 2 else "-s"
            values = f" -x -a {shlex.quote(' '.join(choices))}" if choices else ""
            lines.append(f"{begin} {kind} {flag.lstrip('-')}{values}")
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
