"""Merge ranges of an object that are close together into one request each (a pure function)."""

from __future__ import annotations

from collections.abc import Iterable

GAP = 1 << 16
"""Maximum bytes between two ranges that are fetched together; reading them costs less than another request."""
MOST = 1 << 22
"""Maximum bytes of a merged range."""


def merge(ranges: Iterable[tuple[int, int]], gap: int = GAP, most: int = MOST) -> list[tuple[int, int]]:
    """Return ranges (start, end) that together cover the given ones, ascending.

    Args:
        ranges: Ranges (start, end), end exclusive, in any order; they may overlap.
        gap: Maximum distance of two ranges that are merged.
        most: Maximum length of a merged range. A single longer range is kept as it is.
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged:
            first, last = merged[-1]
            if end <= last:
                continue
            if start - last <= gap and end - first <= most:
                merged[-1] = (first, end)
                continue
        merged.append((start, end))
    return merged
