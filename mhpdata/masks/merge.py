"""Merge the masks of the persons of an image into one label map and one person map, by an overlap rule.

Persons are taken in person order (the number in the file name), so the result is the same on every machine. Pixels
where more than one person has a label are *overlapping* (``contested`` in the API); overlapping pixels whose labels are
not all equal are *conflicting*. The rule decides which person owns an overlapping pixel. 255 in a mask (ignored) is not
a label: it never overlaps, and the merged pixel is 255, owned by nobody, only if no person has a label there.

=========  ====================================================================================================
first      the first person with a label there; GluonCV has this rule, but takes the persons in directory order
last       the last person with a label there
smallest   the person with fewer labelled pixels in the whole mask; ties go to the first
nearest    the person whose non-overlapping pixels are nearest (exact Euclidean distance); ties go to the first
ignore     as first, but conflicting pixels are ignored: label 255, owned by nobody
=========  ====================================================================================================

::

    runs of each mask ─Merging.add─> layers ─Merging.end─> joint runs
                       (mhpdata.masks.layers)   nearest: └─> maps ─give_to_nearest─> joint runs

Masks are merged as runs (mhpdata.masks.mask_runs). Only ``nearest`` draws maps, and only if persons overlap: at most 16
bytes per pixel.

In: runs, or uint8 (height, width) masks, 0 = nothing, 255 = ignored, else a label. Out: labels and persons, which
always agree on the owner: a person's number from 1, and 0 exactly where the label is 0 or 255. This module reads no
files, and ``Merging`` stores no masks: the caller reads them one by one, and ``nearest`` requests some a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mhpdata.errors import OptionError
from mhpdata.images.size import MAX_SIDE
from mhpdata.masks.joint_runs import decode_runs, encode_runs
from mhpdata.masks.layers import END, Layers, lay, nothing, settle
from mhpdata.masks.mask_runs import MaskRuns, mask_runs
from mhpdata.masks.nearest import give_to_nearest
from mhpdata.options import OVERLAPS, check_choice
from mhpdata.wording import array_in_words, as_map

MAX_PERSONS = 255
"""Maximum number of persons per image: a person's number is one byte, and 0 is nobody."""

Plane = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class MergedRuns:
    """Merged masks as joint runs, the result of ``merge_runs``.

    Attributes:
        row_offsets, runs: uint32, joint runs as from ``mhpdata.masks.joint_runs.encode_runs``.
        ``contested``: Number of overlapping pixels: those with a label from more than one person.
        ``conflicting``: Number of overlapping pixels whose labels are not all equal.
    """

    row_offsets: Words
    runs: Words
    contested: int
    conflicting: int


@dataclass(frozen=True, eq=False)
class Merged:
    """Merged masks as maps, the result of ``merge``.

    Attributes:
        labels: uint8 (height, width), 0 = background, 255 = ignored.
        persons: uint8 (height, width), the owner's number from 1; 0 exactly where the label is 0 or 255.
        ``contested``, ``conflicting``: Numbers of pixels, as in ``MergedRuns``.
    """

    labels: Plane
    persons: Plane
    contested: int
    conflicting: int


class Merging:
    """Merges persons one by one, in person order; holds runs, never masks.

    Args:
        rule: Overlap rule, of ``mhpdata.options.OVERLAPS``.
        size: (height, width) that all masks must have; None for that of the first mask.

    Raises:
        OptionError: The rule is unknown, or the size has no pixels.
    """

    def __init__(self, rule: str = "first", size: tuple[int, int] | None = None) -> None:
        check_choice("rule", rule, OVERLAPS)
        self._rule, self._persons = rule, 0
        self._size = None if size is None else _checked(size)
        self._layers: Layers | None = None
        self._ranks = np.zeros(MAX_PERSONS + 1, np.int64)
        self._meeting: set[int] = set()

    def add(self, mask: MaskRuns) -> None:
        """Add the mask of the next person. Raises OptionError for another size, and for person 256."""
        self._persons += 1
        check_count(self._persons)
        self._size = self._size or mask.size
        if mask.size != self._size:
            found, expected = f"size {mask.size}", f"{self._size} (height, width), the size of the other masks"
            remedy = "Pass masks of a single image, at its size."
            raise OptionError(f"mask of person {self._persons}", found, expected, remedy)
        if self._rule == "last":
            self._ranks[self._persons] = 1 - self._persons
        elif self._rule == "smallest":
            self._ranks[self._persons] = mask.area
        self._layers, met = lay(self._layers or nothing(self._size), mask, self._persons, self._ranks)
        if met:
            self._meeting.add(self._persons)

    def end(self, mask_of: Callable[[int], MaskRuns]) -> MergedRuns:
        """Return the merged runs; ``add`` must not be called afterwards.

        Args:
            mask_of: Returns the mask of a person again, by number from 1; called for ``nearest`` if persons overlap.

        Raises:
            OptionError: There is neither a mask nor a size.
        """
        if self._size is None:
            remedy = "Pass the image's size, such as size=(480, 640)."
            raise OptionError("masks", "no masks and no size", "at least one mask, or a size", remedy)
        layers = self._layers or nothing(self._size)
        nearest = self._rule == "nearest" and len(self._meeting) > 0
        maps = self._nearest(layers, self._size, mask_of) if nearest else None
        offsets, runs, contested, conflicting = settle(layers, self._rule == "ignore")
        if maps is not None:
            offsets, runs = encode_runs(*maps)
        return MergedRuns(offsets, runs, contested, conflicting)

    def _nearest(
        self, layers: Layers, size: tuple[int, int], mask_of: Callable[[int], MaskRuns]
    ) -> tuple[Plane, Plane]:
        """Return labels and persons after moving each overlapping pixel from the first claimant to the nearest."""
        labels, persons = decode_runs(layers.offsets, layers.runs, size)
        states = layers.runs & END | layers.states.astype(np.uint32) << np.uint32(16)
        state = decode_runs(layers.offsets, states, size)[0]
        owners = (layers.runs[layers.states != 0] >> np.uint32(24)).tolist()
        give_to_nearest(mask_of, sorted(self._meeting.union(owners)), labels, persons, state)
        return labels, persons


def merge(masks: Sequence[Plane], rule: str = "first", *, size: tuple[int, int] | None = None) -> Merged:
    """Merge the masks of all persons of one image.

    Args:
        masks: ``masks[k]`` is the mask of person k + 1: uint8 (height, width), 0 = nothing. At most 255. The sequence
            may decode on access: each mask is read once, in order (``nearest``: again if persons overlap).
        rule: Overlap rule, of ``mhpdata.options.OVERLAPS``.
        size: (height, width) that all masks must have; needed only if there may be no masks.

    Returns:
        The merged maps and the two counts, which do not depend on the rule.

    Raises:
        OptionError: The rule is unknown, there are no masks and no size, more than 255 masks, or masks that differ in
            size or are not uint8.
    """
    check_count(len(masks))
    merging = Merging(rule, size)
    for k in range(len(masks)):
        runs = _as_runs(masks[k], k + 1)
        size = size or runs.size
        merging.add(runs)
    merged = merging.end(lambda person: _as_runs(masks[person - 1], person))
    assert size is not None
    labels, persons = decode_runs(merged.row_offsets, merged.runs, size)
    return Merged(labels, persons, merged.contested, merged.conflicting)


def merge_runs(masks: Sequence[MaskRuns], rule: str = "first", *, size: tuple[int, int] | None = None) -> MergedRuns:
    """Merge masks that are given as runs into joint runs: as ``merge``, in a fifth of the time, without drawing maps.

    Args:
        masks: ``masks[k]`` holds the runs of the mask of person k + 1.
        rule, size: As for ``merge``.

    Raises:
        OptionError: As for ``merge``.
    """
    check_count(len(masks))
    merging = Merging(rule, size)
    for mask in masks:
        merging.add(mask)
    return merging.end(lambda person: masks[person - 1])


def check_count(persons: int) -> None:
    """Raise OptionError for more persons than a byte can number."""
    if persons > MAX_PERSONS:
        remedy = f"Pass {MAX_PERSONS} masks or fewer."
        raise OptionError("masks", f"{persons} persons", f"at most {MAX_PERSONS}", remedy)


def _as_runs(array: Plane, person: int) -> MaskRuns:
    """Return the runs of a person's mask. Raises OptionError if the array is not a mask."""
    mask = np.asarray(array)
    if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
        expected = "an array of uint8 (height, width), not empty"
        remedy = as_map(mask, MAX_SIDE, "mask")
        if not mask.size:
            remedy = "Pass this person's mask at the size of the image, or leave the person out."
        raise OptionError(f"mask of person {person}", array_in_words(mask), expected, remedy)
    return mask_runs(mask)


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise OptionError("size", f"{size}", "(height, width), each at least 1", "Pass both, as size=(480, 640).")
    return int(size[0]), int(size[1])
