"""What is counted over the records of a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from mhpdata.fields import count_at, list_at, object_at


@dataclass
class Statistics:
    """Counts over a split (or a part of one); pixels are counted as packed, contested ones as annotated.

    Attributes:
        images, persons, gray: how many.
        contested_images: images with contested pixels.
        contested, conflicting: source pixels labelled by several persons; with different labels.
        class_pixels, class_images: for each label, its pixels and the images that have any.
        ignored_pixels: pixels of label 255.
        unlabelled_persons: of the persons, those without a labelled pixel (all 0 or 255); no score counts them.
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
        """The persons that scores count."""
        return self.persons - self.unlabelled_persons

    def add(self, other: Statistics) -> None:
        """Count what ``other`` counted, too."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, [a + b for a, b in zip_longest(mine, value, fillvalue=0)])
            else:
                setattr(self, name, mine + value)


def parse_statistics(content: Any, place: str = "statistics", optional: frozenset[str] = frozenset()) -> Statistics:
    """Return statistics from JSON.

    Args:
        content: as parsed.
        place: the field, for errors.
        optional: counts that may be missing; they are 0 then.

    Raises:
        ValueError: it is not that; the message names the field.
    """
    names = vars(Statistics())
    if odd := (set(object_at(content, place)) ^ set(names)) - (optional - set(content)):
        raise ValueError(f"{place} has these missing or unknown: {', '.join(sorted(odd))}")
    values: dict[str, Any] = {}
    for name in names:
        value, where = content.get(name, 0), f"{place}.{name}"
        lists = name.startswith("class")
        values[name] = [count_at(one, where) for one in list_at(value, where)] if lists else count_at(value, where)
    found = Statistics(**values)
    if found.unlabelled_persons > found.persons:
        raise ValueError(f"{place} has {found.unlabelled_persons} unlabelled persons of {found.persons}")
    return found
