"""URLs of settings in a recording: a word stands for what is behind the host, as in the exchanges with them."""

from collections.abc import Callable

from sidecar.recording.redaction.placeholders import SecretWords
from sidecar.recording.redaction.redactor import MIN_LITERAL_LENGTH
from sidecar.recording.redaction.secret_patterns import AFTER_HOST


def recorded_urls(setting: str, urls: str, key: bytes, on_secret: Callable[[str, str], None]) -> str:
    """The URLs of a setting, separated by spaces, as they may be recorded.

    `key` is that of the recording's words. `on_secret` takes each text that a word stands for, with the setting's name;
    what is too short to be looked for elsewhere stays.
    """
    words, recorded = SecretWords(key), []
    for url in urls.split():
        host = AFTER_HOST.sub(r"\g<1>", url)
        rest = url[len(host) :]
        if len(rest) >= MIN_LITERAL_LENGTH:
            on_secret(rest, setting)
            rest = words.of(rest, setting)
        recorded.append(host + rest)
    return " ".join(recorded)
