"""Hooks of mkdocs: pages that lie outside `docs/` belong to the site, and so do the files that its pages link to.

A Mermaid diagram of a page is a picture in the site, which loads no script for it.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = {
    "README.md": "index.md",
    "protocol/README.md": "protocol.md",
    "clients/README.md": "clients.md",
    "examples/README.md": "examples.md",
    "replay_logs/README.md": "recorded-sessions.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages outside `docs/`, by their place in the repository, and their place in the site."""
FILES: Final = "files/"
"""Where the site keeps copies of the repository's other files that pages link to."""

PICTURES: Final = "diagrams/"
"""Where `docs/` keeps the pictures of diagrams, drawn by `docsite.diagrams`."""

_DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
_PARTS: Final = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages outside `docs/`, and a copy of each other file that a page links to."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for page in [file for file in files if file.is_documentation_page()]:
        for target in targets(page.content_string, place_of(page.src_uri)):
            add(target, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Links that are right in the repository become those that are right in the site."""
    uri = page.file.src_uri
    place = place_of(uri)

    def link(match: re.Match[str]) -> str:
        target = resolve(match[1], place)
        found = posixpath.relpath(uri_of(target), posixpath.dirname(uri) or ".")
        return f"]({found}{match[2] or ''})"

    parts = _PARTS.split(markdown)
    parts[::2] = [_LINK.sub(link, part) for part in parts[::2]]
    return with_pictures("".join(parts), posixpath.dirname(uri))


def with_pictures(markdown: str, folder: str) -> str:
    """A page of that folder of the site with the pictures of its diagrams. mkdocs says so where one is not there."""

    def picture(match: re.Match[str]) -> str:
        (heading,) = _HEADING.findall(markdown, 0, match.start())[-1:] or ["diagram"]
        return f"![{heading}]({posixpath.relpath(picture_of(match[1]), folder or '.')})"

    return _DIAGRAM.sub(picture, markdown)


def diagrams(markdown: str) -> list[str]:
    """The sources of a page's diagrams."""
    return _DIAGRAM.findall(markdown)


def picture_of(source: str) -> str:
    """The place of a diagram's picture in `docs/`; its name changes with the source, so no picture is out of date."""
    return f"{PICTURES}{hashlib.sha256(source.encode()).hexdigest():.12}.svg"


def place_of(uri: str) -> str:
    """Where a page of the site is in the repository."""
    return next((path for path, page in PAGES.items() if page == uri), f"docs/{uri}")


def uri_of(path: str) -> str:
    """Where a file of the repository is in the site."""
    readme = f"{path}/README.md" if (ROOT / path).is_dir() else path
    if readme in PAGES:
        return PAGES[readme]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{FILES}{path}.md" if (ROOT / path).is_dir() else f"{FILES}{path}"


def resolve(target: str, place: str) -> str:
    """The place in the repository of what a page links to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), target))


def targets(markdown: str, place: str) -> Iterator[str]:
    """Places in the repository that a page links to."""
    for part in _PARTS.split(markdown)[::2]:
        for match in _LINK.finditer(part):
            yield resolve(match[1], place)


def add(path: str, files: Files, config: MkDocsConfig) -> None:
    """A copy of a file, or a page that lists a folder. What is not there is left for mkdocs, which says so."""
    source, uri = ROOT / path, uri_of(path)
    if not uri.startswith(FILES) or uri in files.src_uris:
        return
    if source.is_dir():
        names = sorted(one.name for one in source.iterdir() if one.is_file())
        for name in names:
            add(f"{path}/{name}", files, config)
        listing = "".join(f"- [{name}]({source.name}/{name})\n" for name in names)
        files.append(File.generated(config, uri, content=f"# {path}\n\n{listing}"))
    elif source.is_file():
        files.append(File.generated(config, uri, abs_src_path=str(source)))
