"""What to type instead of a word that is no command and no flag, but was meant as something."""

import json
import re
from pathlib import Path
from typing import Final

from sidecar.settings import PREFIX, SECRETS

_URL: Final = re.compile(r"(https?://)?[\w-]+(\.[\w-]+)*\.[a-z]{2,}(:\d+)?(/[\w./-]*)?", re.IGNORECASE)
"""A page's address in which nothing is secret."""
_BARE_WORDS: Final = {"help": "`sidecar --help`", "version": "`sidecar --version`"}
_LONGEST: Final = 100
"""Characters of a word that is repeated."""


def secret_flag(flag: str) -> str | None:
    """The sentence on a flag that would be a secret; None for another one. Its value is not repeated."""
    setting = flag.lstrip("-").replace("-", "_").lower().removeprefix(PREFIX.lower())
    name = setting.removesuffix("_file")
    if name not in SECRETS:
        return None
    variable = f"{PREFIX}{name.upper()}"
    if name != setting:
        return f"{flag} is no flag: set the variable {variable}_FILE to the file's path"
    return (
        f"{flag} is no flag, because every user of the machine can read the arguments of a process: set the variable"
        f" {variable}, or {variable}_FILE to the path of a file that holds it"
    )


def mistaken_command(word: str) -> str | None:
    """What to type instead of a command; None if nothing is known of it. A message's content is not repeated."""
    from sidecar_protocol.requests import CONTENTS  # late: only mistakes need it

    if word.lstrip().startswith(("{", "[")):
        return f"a message goes to stdin, on a line of its own: echo '{_message(word)}' | sidecar"
    if word in CONTENTS:
        content = "" if CONTENTS[word] is None else ',"content":…'
        return f'{word} is a message, which goes to stdin: echo \'{{"type":"{word}"{content}}}\' | sidecar'
    if word in _BARE_WORDS:
        return f"type {_BARE_WORDS[word]}"
    return _mistaken_argument(word) if len(word) <= _LONGEST else None


def _mistaken_argument(word: str) -> str | None:
    """What to type instead of a file or a page."""
    if word.endswith((".json", ".jsonl")):
        return f"a job in a file is run by `sidecar run-job {word}`; lines in a file are sent by `sidecar < {word}`"
    return f"to open a page: sidecar get {word}" if _URL.fullmatch(word) and not Path(word).exists() else None


def _message(word: str) -> str:
    """The message itself if it has no content, which may hold a secret; else its form."""
    try:
        message = json.loads(word)
    except ValueError:
        message = None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or not re.fullmatch(r"\w{1,40}", kind):
        return '{"type":"ping"}'
    return json.dumps({"type": kind}, separators=(",", ":"))[:-1] + (',"content":…}' if "content" in message else "}")
