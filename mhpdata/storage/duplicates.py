"""Images that are the same file, byte for byte: groups of them, and how many splits share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations


def identical(hashes: Iterable[tuple[str, bytes | str]]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more names with the same hash, in the order of their first."""
    groups: dict[bytes | str, list[str]] = {}
    for name, digest in hashes:
        groups.setdefault(digest, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def count_shared(groups: Iterable[tuple[str, ...]], splits: Iterable[str]) -> tuple[int, dict[tuple[str, str], int]]:
    """How many groups of ``identical`` photos have several of one split; and how many each two splits share.

    Args:
        groups: of names as split/name.
        splits: which, in the order wanted.
    """
    places = [[name.split("/")[0] for name in group] for group in groups]
    within = sum(len(group) > len(set(group)) for group in places)
    return within, {(a, b): sum(a in group and b in group for group in places) for a, b in combinations(splits, 2)}
