"""Pages of the lists that replies carry: jobs, deliveries, schedules, tasks and their runs."""

from typing import Final

PAGE_SIZE: Final = 50
"""Entries on one page."""


def page_offset(page: int) -> int:
    """Returns how many entries come before a page, which is counted from 1."""
    return (page - 1) * PAGE_SIZE


def page_count(entries: int) -> int:
    """Returns how many pages the entries fill."""
    return -(-entries // PAGE_SIZE)
