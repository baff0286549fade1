"""The tutorial and the recipes work as they stand: a reader follows each page from its first block to its last."""

from pathlib import Path

import pytest

from tests.reader import Reader

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
DOCS = Path(__file__).parents[2] / "docs"
RECIPES = [page for page in sorted((DOCS / "recipes").glob("*.md")) if page.stem != "index"]


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    """Its commands succeed, and print what it says."""
    with Reader(tmp_path) as reader:
        reader.follow(DOCS / "tutorial.md")


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_recipe_works_as_it_stands(page: Path, tmp_path: Path) -> None:
    """An environment with the PATH that the list of recipes asks for."""
    with Reader(tmp_path, has_path=True) as reader:
        reader.follow(page)
