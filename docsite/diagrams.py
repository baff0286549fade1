"""Draws the Mermaid diagrams of `docs/`: `python -m docsite.diagrams`, after `pip install mermaidx`.

The pictures are kept, so neither building the site nor reading it needs a renderer.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from docsite.hooks import PICTURES, ROOT, diagrams, picture_of

DOCS: Final = ROOT / "docs"


def pictures() -> dict[Path, str]:
    """The file of each picture, and the source of its diagram."""
    pages = (page.read_text() for page in sorted(DOCS.rglob("*.md")))
    return {DOCS / picture_of(source): source for page in pages for source in diagrams(page)}


def main() -> None:
    """Draws those that are missing, and removes those that are no more."""
    wanted = pictures()
    folder = DOCS / PICTURES
    folder.mkdir(exist_ok=True)
    for path in set(folder.iterdir()) - wanted.keys():
        path.unlink()
    for path in [path for path in wanted if not path.exists()]:
        mermaidx: Any = import_module("mermaidx")  # no dependency: diagrams seldom change
        drawn = str(mermaidx.render(wanted[path]).svg())
        path.write_text(drawn.replace("background-color: transparent", "background-color: white", 1) + "\n")


if __name__ == "__main__":
    main()
