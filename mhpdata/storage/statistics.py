"""Counts over the records of a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from mhpdata.fields import count_at, list_at, object_at


@dataclass
class Statistics:
    """Counts over a split or a subset of it; overlapping pixels are counted as annotated, all others as packed.

    Attributes:
        images, persons, gray: Number of images, of persons, and of gray images.
        contested_images: Number of images with overlapping pixels.
        ``contested``, ``conflicting``: Number of source pixels with labels from several persons; with different labels.
        class_pixels, class_images: For each label, number of its pixels, and of images with such pixels.
        ignored_pixels: Number of pixels with label 255.
        unlabelled_persons: Number of persons without a labelled pixel (all 0 or 255), whom scores do not count.
    """

    images: int = 0
    persons: int = 0
    gray: int = 0
    contested_images: int = 0
    contested: int = 0
    conflicting: int = 0
    class_pixels: list[int] = field(default_factory=list)
    class_images: list[int] = field(default_factory=list)
    ignored_pixels: int = 0
    unlabelled_persons: int = 0

    @property
    def labelled_persons(self) -> int:
        """The number of persons that scores count."""
        return self.persons - self.unlabelled_persons

    def add(self, other: Statistics) -> None:
        """Add the counts of ``other``."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, [a + b for a, b in zip_longest(mine, value, fillvalue=0)])
            else:
                setattr(self, name, mine + value)


def parse_statistics(content: Any, place: str = "statistics", optional: frozenset[str] = frozenset()) -> Statistics:
    """Return statistics from JSON.

    Args:
        content: Parsed JSON.
        place: Name of the field, for errors.
        optional: Counts that may be missing, and are then 0.

    Raises:
        ValueError: The content is invalid; the message names the field.
    """
    names = vars(Statistics())
    if odd := (set(object_at(content, place)) ^ set(names)) - (optional - set(content)):
        raise ValueError(f"{place} has missing or unknown fields: {', '.join(sorted(odd))}")
    values: dict[str, Any] = {}
    for name in names:
        value, where = content.get(name, 0), f"{place}.{name}"
        lists = name.startswith("class")
        values[name] = [count_at(one, where) for one in list_at(value, where)] if lists else count_at(value, where)
    parsed = Statistics(**values)
    if parsed.unlabelled_persons > parsed.persons:
        raise ValueError(f"{place} has {parsed.unlabelled_persons} unlabelled persons of {parsed.persons}")
    return parsed
