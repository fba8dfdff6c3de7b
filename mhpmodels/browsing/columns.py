"""The data of a site as scripts: a page opened from disk may run scripts, but not fetch files.

::

    data/site.js       mhp.site = {...}       the pack, its classes and colours, the layers
    data/samples.js    mhp.samples = {...}    one list per column, one value per sample

Names come from the dataset and may hold anything. They stand in JSON strings without ``<``, ``>`` and ``&``, in ASCII,
and the page inserts them as text only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mhpmodels.browsing.facts import Facts
from mhpmodels.browsing.predicted import Score
from mhpmodels.browsing.site_folder import SCRIPT_START

GRAY, LABELLED, FULL = 1, 2, 4
"""Bits of a sample's flags."""
WORD = 30
"""Classes per column of class bits: JavaScript's bit operations take 32 bits."""
UNKNOWN = -1
"""Value of a column for a sample without it."""


@dataclass(frozen=True)
class Shown:
    """One sample in the grid of a site.

    Attributes:
        split, index: number of its split, and its index there.
        name: name of the image.
        height, width: source size in pixels.
        persons: number of persons.
        tallest: height of the tallest person in source pixels; 0 without persons.
        ``contested``, conflicting: numbers of overlapping source pixels, and of those with different labels.
        gray, labelled: as in ``mhpmodels.browsing.facts.Facts``.
        classes: bit c is set if class c occurs in the labels.
        rules: number of source pixels that the second overlap rule labels differently, or UNKNOWN.
        changed: number of source pixels with another label in the other pack, or UNKNOWN.
        scores: scores of its predictions; None for those that are missing.
    """

    split: int
    index: int
    name: str
    height: int
    width: int
    persons: int
    tallest: int
    contested: int
    conflicting: int
    gray: bool
    labelled: bool
    classes: int
    rules: int
    changed: int
    scores: tuple[Score | None, ...]

    @property
    def merit(self) -> float:
        """The lowest mean IoU of its predictions; 2 without one."""
        return min((one.mean_iou for one in self.scores if one is not None and one.mean_iou is not None), default=2.0)


def shown_from(
    split: int, index: int, facts: Facts, differences: tuple[int, int], scores: tuple[Score | None, ...]
) -> Shown:
    """Return what the grid shows; ``differences`` are ``rules`` and ``changed``."""
    return Shown(
        split=split,
        index=index,
        name=facts.name,
        height=facts.source_size[0],
        width=facts.source_size[1],
        persons=len(facts.persons),
        tallest=max((person.height for person in facts.persons), default=0),
        contested=facts.contested,
        conflicting=facts.conflicting,
        gray=facts.gray,
        labelled=facts.labelled,
        classes=sum(1 << label for label in facts.class_pixels[:255].nonzero()[0].tolist()),
        rules=differences[0],
        changed=differences[1],
        scores=scores,
    )


def samples_script(
    samples: Sequence[Shown], full: Iterable[int], groups: Sequence[Sequence[int]], classes: int, predictions: int
) -> bytes:
    """Return data/samples.js.

    Args:
        samples: all samples, in order.
        full: positions of those with layers at full size.
        groups: groups of positions of byte-identical images.
        classes: number of classes.
        predictions: number of folders of predictions.
    """
    layered = set(full)
    copies = [0] * len(samples)
    for number, group in enumerate(groups, 1):
        for position in group:
            copies[position] = number
    columns: dict[str, list[Any]] = {
        "name": [one.name for one in samples],
        "flags": [
            GRAY * one.gray | LABELLED * one.labelled | FULL * (position in layered)
            for position, one in enumerate(samples)
        ],
        "copies": copies,
    }
    for key in ("split", "index", "height", "width", "persons", "tallest", "contested", "conflicting", "rules"):
        columns[key] = [getattr(one, key) for one in samples]
    columns["changed"] = [one.changed for one in samples]
    for word in range((classes + WORD - 1) // WORD):
        columns[f"classes{word}"] = [one.classes >> WORD * word & (1 << WORD) - 1 for one in samples]
    for k in range(predictions):
        scores = [one.scores[k] or Score(None, None) for one in samples]
        columns[f"iou{k + 1}"] = [_score(score.mean_iou) for score in scores]
        columns[f"acc{k + 1}"] = [_score(score.pix_acc) for score in scores]
    return script("mhp.samples = ", columns, ";")


def script(before: str, value: object, after: str) -> bytes:
    """Return a script with a value as JSON that is safe inside HTML, too."""
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":  # in JSON they occur in strings only
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{SCRIPT_START}{before}{text}{after}\n".encode()


def _score(value: float | None) -> int:
    """Return a score in ten-thousandths, or UNKNOWN."""
    return UNKNOWN if value is None else round(10_000 * value)
