"""Keeps some of many items, spread evenly over all of them, in memory that does not grow."""

from typing import Any


class EvenSample:
    """All items while they are few; later every second one, every fourth, and so on."""

    def __init__(self, most: int) -> None:
        """Between half of `most` and `most` items are kept."""
        self._most = most
        self._every = 1
        self._count = 0
        self._kept: list[tuple[int, dict[str, Any]]] = []

    def wants_next(self) -> bool:
        """Counts an item; whether it is to be added."""
        self._count += 1
        return (self._count - 1) % self._every == 0

    def add(self, item: dict[str, Any]) -> None:
        """Adds the item that was counted last."""
        self._kept.append((self._count - 1, item))
        if len(self._kept) > self._most:
            self._every *= 2
            self._kept = [one for one in self._kept if one[0] % self._every == 0]

    def items(self) -> list[dict[str, Any]]:
        """What is kept, in order."""
        return [item for _, item in self._kept]
