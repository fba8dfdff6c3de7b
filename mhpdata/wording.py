"""Numbers in sentences for people: 1 group, 2 groups."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what is counted, as "1 group", "0 groups", or with ``many`` given "2 entries"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
