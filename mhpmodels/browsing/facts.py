"""Facts about one record, from its runs and masks: classes, persons, sizes, overlaps. The image is not decoded.

In: a ``Record`` of an open split. Out: numbers. Classes are counted in the labels as packed, persons in their own masks
as annotated, at source size. Sizes are (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import RecordError
from mhpdata.labels import IGNORE
from mhpdata.masks.joint_runs import check_runs, count_labels
from mhpdata.masks.mask_runs import MaskRuns
from mhpdata.storage.record import Record
from mhpdata.storage.split import Split
from mhpmodels.evaluation.truth import person_runs


@dataclass(frozen=True)
class Person:
    """Extent of one person's mask at source size, in pixels; all zero for a mask without labels.

    Attributes:
        pixels: number of labelled pixels; 255 does not count.
        height: height of their bounding box.
        width: width of their bounding box.
    """

    pixels: int
    height: int
    width: int


@dataclass(frozen=True)
class Facts:
    """Facts about one record.

    Attributes:
        split: name of its split.
        name: name of the image.
        size: (height, width) as packed.
        source_size: (height, width) as downloaded.
        labelled: whether it has labels.
        gray: whether the source has one channel of brightness.
        ``contested``: number of source pixels with labels from several persons.
        conflicting: number of source pixels with different labels from several persons.
        class_pixels: int64 (256,), number of packed pixels of each label.
        persons: extents of the persons, in person order.
    """

    split: str
    name: str
    size: tuple[int, int]
    source_size: tuple[int, int]
    labelled: bool
    gray: bool
    contested: int
    conflicting: int
    class_pixels: NDArray[np.int64]
    persons: tuple[Person, ...]


def facts_of(split: Split, index: int) -> Facts:
    """Return the facts about a record of a split.

    Raises:
        PackedError: the record is damaged.
    """
    record = split.record(index)
    masks = person_runs(record, split.place(index), split.file(index))
    return facts_from(split, index, record, masks)


def facts_from(split: Split, index: int, record: Record, masks: Sequence[MaskRuns]) -> Facts:
    """Return the facts about a record whose masks are already read (``mhpmodels.evaluation.truth.person_runs``).

    Raises:
        RecordError: its runs are damaged.
    """
    pixels = np.zeros(256, np.int64)
    if record.row_offsets is not None and record.runs is not None:
        try:
            check_runs(record.row_offsets, record.runs, record.size, len(split.classes), len(record.masks))
        except RecordError as error:
            raise error.in_shard(f"{split.place(index)}, {error.place}", split.file(index)) from error
        pixels = count_labels(record.row_offsets, record.runs)
    return Facts(
        split=split.name,
        name=record.name,
        size=record.size,
        source_size=record.source_size,
        labelled=record.runs is not None,
        gray=record.gray,
        contested=record.contested,
        conflicting=record.conflicting,
        class_pixels=pixels,
        persons=tuple(map(extent, masks)),
    )


def extent(mask: MaskRuns) -> Person:
    """Return the extent of a mask, from its runs."""
    kept = (mask.labels != 0) & (mask.labels != IGNORE)
    if not kept.any():
        return Person(0, 0, 0)
    lengths = mask.lengths[kept].astype(np.int64)
    starts = ((np.cumsum(mask.lengths, dtype=np.int64) - mask.lengths) % mask.size[1])[kept]
    rows = np.repeat(np.arange(len(mask.counts)), mask.counts)[kept]
    height, width = rows[-1] - rows[0] + 1, (starts + lengths).max() - starts.min()
    return Person(int(lengths.sum()), int(height), int(width))
