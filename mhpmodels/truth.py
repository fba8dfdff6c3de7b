"""The labels that a prediction is compared with: as packed, or as annotated at the photo's own size.

At source size, the persons' own masks are merged anew by the rule that the folder was packed with, so no resize has
touched the labels. Masks are inflated one at a time, whatever the number of persons.

Out: uint8 (height, width), a class, or 255 where nothing is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import RecordError
from mhpdata.masks import inflate_mask
from mhpdata.merge import merge
from mhpdata.record import Record, Sample
from mhpdata.resize import resize_labels
from mhpdata.runs import check_runs, decode_runs

Labels = NDArray[np.uint8]


class PersonMasks(Sequence[Labels]):
    """The masks of a record, uint8 (source height, source width), in person order; inflated at each access."""

    def __init__(self, record: Record, place: str) -> None:
        """``place`` names the record in errors."""
        self._record, self._place = record, place

    def __len__(self) -> int:
        return len(self._record.masks)

    @overload
    def __getitem__(self, person: int) -> Labels: ...
    @overload
    def __getitem__(self, person: slice) -> Sequence[Labels]: ...
    def __getitem__(self, person: int | slice) -> Labels | Sequence[Labels]:
        """Raises RecordError where the mask is damaged."""
        if isinstance(person, slice):
            return [self[i] for i in range(*person.indices(len(self)))]
        try:
            return inflate_mask(self._record.masks[person], self._record.source_size)
        except RecordError as error:
            place = f"{self._place}, mask of person {person + 1}"
            raise RecordError(place, error.found, error.expected, "Copy the shard again, or pack again.") from error


def source_labels(record: Record, overlap: str, place: str) -> Labels:
    """The labels of a record at source size: its masks, merged.

    Args:
        record: one that has labels.
        overlap: the rule, of ``mhpdata.merge.RULES``; that of the manifest's options gives the labels as packed.
        place: names the record in errors.

    Raises:
        RecordError: a damaged mask.
    """
    return merge(PersonMasks(record, place), overlap, size=record.source_size).labels


def packed_labels(record: Record, classes: int, place: str) -> Labels:
    """The labels of a record as packed; its image is not decoded.

    Args:
        record: one that has labels.
        classes: how many labels the dataset has.
        place: names the record in errors.

    Raises:
        RecordError: damaged runs.
    """
    assert record.row_offsets is not None and record.runs is not None
    try:
        check_runs(record.row_offsets, record.runs, record.size, classes, len(record.masks))
    except RecordError as error:
        raise RecordError(f"{place}, {error.place}", error.found, error.expected, "Pack again.") from error
    return decode_runs(record.row_offsets, record.runs, record.size)[0]


def true_persons(record: Record, size: tuple[int, int], place: str) -> Iterator[Labels]:
    """Each person's own mask at a size, in person order, one at a time; resized to the nearest pixel, if at all.

    Raises:
        RecordError: a damaged mask.
    """
    for mask in PersonMasks(record, place):
        yield mask if mask.shape == size else resize_labels(mask, size)


def labels_of_size(sample: Sample, size: tuple[int, int], overlap: str, place: str) -> Labels | None:
    """The labels of a sample at a size: as packed where it is that size, else merged at source size and resized.

    Resizing takes the nearest pixel, as packing does: a size gives the labels that packing at this size would give.

    Returns:
        uint8 of ``size``; None where the split has no labels.
    """
    if sample.labels is None or sample.labels.shape == size:
        return sample.labels
    labels = source_labels(sample.record, overlap, place)
    return labels if labels.shape == size else resize_labels(labels, size)
