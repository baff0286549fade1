"""Pages of lists."""

import pytest
from sidecar_protocol.pages import PAGE_SIZE, page_count, page_offset


@pytest.mark.parametrize(("entries", "pages"), [(0, 0), (1, 1), (PAGE_SIZE, 1), (PAGE_SIZE + 1, 2)])
def test_pages_are_counted(entries: int, pages: int) -> None:
    """The last one may be short; an empty list has none."""
    assert page_count(entries) == pages


def test_the_first_page_is_number_one() -> None:
    """Page numbers start at one."""
    assert [page_offset(page) for page in (1, 2)] == [0, PAGE_SIZE]
