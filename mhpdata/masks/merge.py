"""Many masks, one a person, into one label map and one person map: the overlap rule lives here and nowhere else.

Persons are taken in person order (the number in the file name), so that the result is the same on every machine. A
pixel is *contested* if more than one person has a label there, and *conflicting* if these labels are not all equal. The
rule says who owns a contested pixel. 255 in a mask (not counted) is no label: it claims nothing and contests nothing,
and the pixel is 255, and nobody's, only if no person has a label there.

=========  ====================================================================================================
first      the first person with a label there: GluonCV's rule, which takes the persons in directory order
last       the last person with a label there
smallest   the person with fewer labelled pixels in the whole mask is in front; of equals the first
nearest    the person whose uncontested part is nearest (exact Euclidean distance); of equals the first
ignore     as first, but a conflicting pixel is not counted at all: label 255, nobody's
=========  ====================================================================================================

::

    runs of each mask ─Merging.add─> layers ─Merging.end─> joint runs
                       (mhpdata.masks.layers)   nearest: └─> maps ─give_to_nearest─> joint runs

Masks are merged as runs (mhpdata.masks.mask_runs). Only ``nearest`` draws maps, where persons do overlap: at most 16
bytes a pixel.

In: runs, or uint8 (height, width) masks, 0 = nothing, 255 = not counted, else a label. Out: labels and persons, which
always agree on the owner: a person's number from 1, and 0 exactly where the label is 0 or 255. Nothing is read here,
and ``Merging`` keeps no mask: the caller reads one after the other, and ``nearest`` asks for some once more.
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
from mhpdata.options import OVERLAPS
from mhpdata.wording import array_in_words, as_map

MAX_PERSONS = 255
"""A person's number is one byte, and 0 is nobody."""

Plane = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class MergedRuns:
    """What ``merge_runs`` returns.

    Attributes:
        row_offsets, runs: uint32, joint runs as of ``mhpdata.masks.joint_runs.encode_runs``.
        contested: the number of pixels with a label from more than one person.
        conflicting: the number of contested pixels whose labels are not all equal.
    """

    row_offsets: Words
    runs: Words
    contested: int
    conflicting: int


@dataclass(frozen=True, eq=False)
class Merged:
    """What ``merge`` returns.

    Attributes:
        labels: uint8 (height, width), 0 background, 255 not counted.
        persons: uint8 (height, width), the owner's number from 1; 0 exactly where the label is 0 or 255.
        contested, conflicting: as in ``MergedRuns``.
    """

    labels: Plane
    persons: Plane
    contested: int
    conflicting: int


class Merging:
    """Persons laid over each other one by one, in person order; it holds runs, and never a mask.

    Args:
        rule: of ``mhpdata.options.OVERLAPS``.
        size: (height, width) that all masks must have; by default that of the first.

    Raises:
        OptionError: an unknown rule, or a size without pixels.
    """

    def __init__(self, rule: str = "first", size: tuple[int, int] | None = None) -> None:
        if rule not in OVERLAPS:
            remedy = ""
            raise OptionError("rule", f"unknown rule {rule!r}", f"one of {', '.join(OVERLAPS)}", remedy)
        self._rule, self._persons = rule, 0
        self._size = None if size is None else _checked(size)
        self._layers: Layers | None = None
        self._ranks = np.zeros(MAX_PERSONS + 1, np.int64)
        self._meeting: set[int] = set()

    def add(self, mask: MaskRuns) -> None:
        """Lay the mask of the next person. Raises OptionError for one of another size, or one more than 255."""
        self._persons += 1
        check_count(self._persons)
        self._size = self._size or mask.size
        if mask.size != self._size:
            found, expected = f"size {mask.size}", f"{self._size} (height, width), as the other masks or size"
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
        """Return the merged runs; nothing may be added afterwards.

        Args:
            mask_of: gives the mask of a person, by number from 1, once more: for ``nearest``, where persons overlap.

        Raises:
            OptionError: there is neither a mask nor a size.
        """
        if self._size is None:
            remedy = "Pass the image's size, such as size=(480, 640)."
            raise OptionError("masks", "no masks and no size", "masks, or size=(height, width)", remedy)
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
        """Labels and persons once each contested pixel, so far the first claimant's, is given to the nearest one."""
        labels, persons = decode_runs(layers.offsets, layers.runs, size)
        states = layers.runs & END | layers.states.astype(np.uint32) << np.uint32(16)
        state = decode_runs(layers.offsets, states, size)[0]
        owners = (layers.runs[layers.states != 0] >> np.uint32(24)).tolist()
        give_to_nearest(mask_of, sorted(self._meeting.union(owners)), labels, persons, state)
        return labels, persons


def merge(masks: Sequence[Plane], rule: str = "first", *, size: tuple[int, int] | None = None) -> Merged:
    """Lay the masks of all persons of one image over each other.

    Args:
        masks: ``masks[k]`` is the mask of person k + 1: uint8 (height, width), 0 = nothing. At most 255. The sequence
            may decode on access: each mask is read once, in order (``nearest``: once more where persons overlap).
        rule: of ``mhpdata.options.OVERLAPS``.
        size: (height, width) that all masks must have; needed only where there may be no masks.

    Returns:
        The merged maps and the two counts, which do not depend on the rule.

    Raises:
        OptionError: an unknown rule, no masks and no size, more than 255 masks, or masks that differ in size or are
            not uint8.
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
    """``merge`` of masks that are runs already, to joint runs: the same in a fifth of the time, without a map.

    Args:
        masks: ``masks[k]`` are the runs of the mask of person k + 1.
        rule, size: as of ``merge``.

    Raises:
        OptionError: as ``merge``.
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
    """The runs of a person's mask. Raises OptionError where it is none."""
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
