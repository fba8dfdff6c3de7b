"""Find byte-identical images, and count those that splits share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations


def identical(hashes: Iterable[tuple[str, bytes | str]]) -> tuple[tuple[str, ...], ...]:
    """Return groups of two or more names with the same hash, in the order of their first names."""
    groups: dict[bytes | str, list[str]] = {}
    for name, digest in hashes:
        groups.setdefault(digest, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def count_shared(groups: Iterable[tuple[str, ...]], splits: Iterable[str]) -> tuple[int, dict[tuple[str, str], int]]:
    """Count the groups of ``identical`` images with several images of one split, and those that two splits share.

    Args:
        groups: Groups of names in the form split/name.
        splits: Names of the splits, in the order of the result.

    Returns:
        The number of groups with several images of one split, and the number of shared groups per pair of splits.
    """
    splits_of = [[name.split("/")[0] for name in group] for group in groups]
    within = sum(len(group) > len(set(group)) for group in splits_of)
    return within, {(a, b): sum(a in group and b in group for group in splits_of) for a, b in combinations(splits, 2)}
