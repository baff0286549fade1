"""What each setting means, for `sidecar --help-all` and docs/settings.md: read from the texts in settings.py.

`python -m sidecar.cli.settings_help` prints docs/settings.md.
"""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from typing import Any, Final

from sidecar import settings

_TEXT: Final = re.compile(r"(?P<unit>[A-Z]+): (?P<meaning>.*?)\.?(?: Default: (?P<default>.*)\.)?")
_WIDTH: Final = 80
_INDENT: Final = "      "
_HEAD: Final = """# Settings

Each is an environment variable, and a flag of the same name (`SIDECAR_MAX_LINE=1048576` or `--max-line 1048576`),
before or after a command. Secrets come from the environment, or from a file that a variable ending in `_FILE` names;
never from a flag. A variable whose name resembles a setting's is an error (`SIDECAR_CHROME`); other variables that
begin with `SIDECAR_` are left to other programs, and `sidecar doctor` lists them.

`sidecar --help-all` prints the same.

| variable | unit | default | meaning |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class SettingHelp:
    """One setting's row."""

    name: str
    unit: str
    """In capitals, as the flag's argument is shown."""
    default: str
    meaning: str

    @property
    def flag(self) -> str:
        """As it is typed, or empty for a secret."""
        return "" if self.name in settings.SECRETS else f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{settings.PREFIX}{self.name.upper()}"


def setting_helps() -> dict[str, SettingHelp]:
    """Every setting's row by its name, in the order of settings.py."""
    return {name: _help(name, text) for name, text in _texts()}


def settings_text() -> str:
    """Every setting, for a terminal."""
    return "\n".join(_entry(one) for one in setting_helps().values())


def settings_page() -> str:
    """docs/settings.md."""
    return _HEAD + "".join(
        f"| {_variables(one)} | {one.unit.lower()} | {one.default} | {one.meaning} |\n"
        for one in setting_helps().values()
    )


def _texts() -> Iterator[tuple[str, str]]:
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield ast.unparse(field.target), " ".join(str(text.value.value).split())


def _help(name: str, text: str) -> SettingHelp:
    read = _TEXT.fullmatch(text)
    if read is None:
        raise ValueError(f"{name}: its text in settings.py is not `UNIT: meaning. Default: where not the value.`")
    field: Any = settings.SETTINGS[name]
    value = "" if field.default is MISSING else field.default
    shown = str(value).lower() if isinstance(value, bool) else f"{value:.15g}" if isinstance(value, float) else value
    return SettingHelp(name, read["unit"], read["default"] or str(shown) or "none", read["meaning"])


def _entry(one: SettingHelp) -> str:
    head = f"  {one.flag} {one.unit}" if one.flag else f"  {one.variable}, or {one.variable}_FILE"
    text = f"{one.meaning[0].upper()}{one.meaning[1:]}. Default: {one.default}."
    lines = textwrap.wrap(text, _WIDTH - len(_INDENT), break_long_words=False, break_on_hyphens=False)
    return "\n".join([head, *(f"{_INDENT}{line}" for line in lines)])


def _variables(one: SettingHelp) -> str:
    return f"`{one.variable}`" + ("" if one.flag else f", or a file in `{one.variable}_FILE`; never a flag")


if __name__ == "__main__":
    print(settings_page(), end="")
