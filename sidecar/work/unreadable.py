"""Entries of the agenda that can't be read, because a newer sidecar wrote them or because they are damaged."""

import logging
from typing import Final

from sidecar.storage.agenda import Agenda, Item

log = logging.getLogger(__name__)

LATER: Final = 3600.0
"""Seconds until such an entry is looked at again."""


async def set_aside(agenda: Agenda, what: str, item: Item, now: float) -> None:
    """Has an entry wait, as it is, so that it holds up no other; whoever can read it may still change it."""
    log.warning("the %s %s can't be read, and is tried again in an hour", what, item.id)
    await agenda.replace(item, item.document, now + LATER, item.drop_at)
