"""Where RT-CV scraper client v2 looks for a scraper's environment: files, and variables."""

from pathlib import Path
from typing import Final

from sidecar.rtcv.scraper_env import EnvError, KeyPair, ScraperEnv, parse
from sidecar.settings import ScraperVariables, SettingsError, scraper_variables

ENV_FILE: Final = "env.json"
ENV_FILE_WITH_COMMENTS: Final = "env.jsonc"


def read_env(variables: ScraperVariables, folder: Path | None = None) -> ScraperEnv | None:
    """The scraper's environment: of a file, else of the variable; None where there is none. Raises SettingsError."""
    folder = folder or Path()
    names = [variables.env_file] if variables.env_file else [ENV_FILE]
    sources = [(folder / name, name) for name in names]
    if not variables.env_file and not variables.env:
        sources.append((folder / ENV_FILE_WITH_COMMENTS, ENV_FILE_WITH_COMMENTS))
    for path, name in sources:
        text = _text(path, name)
        if text is not None:
            return _parsed(text, name)
    if variables.env:
        return _parsed(variables.env, "RTCV_SCRAPER_CLIENT_ENV")
    if variables.env_file:
        raise SettingsError(f"RTCV_SCRAPER_CLIENT_ENV_FILE: there is no {variables.env_file}")
    return None


def _text(path: Path, name: str) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{name}: the file can't be read") from None


def _parsed(text: str, name: str) -> ScraperEnv:
    try:
        return parse(text)
    except EnvError as wrong:
        raise SettingsError(f"{name}: {wrong}") from None


def read_keys() -> KeyPair | None:
    """The keys of the scraper's environment; None without. Raises SettingsError."""
    env = read_env(scraper_variables())
    return env.keys if env else None
