"""The labels that a prediction is compared with: as packed, or as annotated at the photo's own size.

At source size, the persons' own masks are merged anew by the rule that the folder was packed with, so no resize has
touched the labels. Masks are merged as runs and drawn one at a time, whatever the number of persons.

Out: uint8 (height, width), a class, or 255 where nothing is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import RecordError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.masks.joint_runs import check_runs, decode_runs
from mhpdata.masks.mask_runs import MaskRuns, draw_mask, inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.storage.record import Record
from mhpdata.storage.sample import Sample

Labels = NDArray[np.uint8]


def person_runs(record: Record, place: str, file: str = "") -> list[MaskRuns]:
    """Each person's own mask as runs, in person order.

    Args:
        record: of a split.
        place: names the record in errors.
        file: the name of its shard's file, for their remedy; "" where nobody knows it.

    Raises:
        RecordError: a damaged mask.
    """
    masks = []
    for person, data in enumerate(record.masks, 1):
        try:
            masks.append(inflate_runs(data, record.source_size))
        except RecordError as error:
            raise _placed(error, f"{place}, mask of person {person}", file) from error
    return masks


def _placed(error: RecordError, place: str, file: str) -> RecordError:
    return error.in_shard(place, file) if file else error.at(place)


def merged_labels(masks: Sequence[MaskRuns], overlap: str, size: tuple[int, int]) -> Labels:
    """The labels of masks, merged, at their own size.

    Args:
        masks: of ``person_runs``.
        overlap: the rule, of ``mhpdata.options.OVERLAPS``; that of the manifest's options gives the labels as packed.
        size: (height, width) of the masks.
    """
    merged = merge_runs(masks, overlap, size=size)
    return decode_runs(merged.row_offsets, merged.runs, size)[0]


def packed_labels(record: Record, classes: int, place: str, file: str = "") -> Labels:
    """The labels of a record as packed; its image is not decoded.

    Args:
        record: one that has labels.
        classes: how many labels the dataset has.
        place, file: as of ``person_runs``.

    Raises:
        RecordError: damaged runs.
    """
    assert record.row_offsets is not None and record.runs is not None
    try:
        check_runs(record.row_offsets, record.runs, record.size, classes, len(record.masks))
    except RecordError as error:
        raise _placed(error, f"{place}, {error.place}", file) from error
    return decode_runs(record.row_offsets, record.runs, record.size)[0]


def true_persons(masks: Sequence[MaskRuns], source_size: tuple[int, int], size: tuple[int, int]) -> Iterator[Labels]:
    """Each person's own mask at a size, drawn one at a time; resized to the nearest pixel, if at all."""
    for runs in masks:
        mask = draw_mask(runs, source_size)
        yield mask if mask.shape == size else resize_labels(mask, size)


def labels_of_size(sample: Sample, size: tuple[int, int], overlap: str, place: str, file: str = "") -> Labels | None:
    """The labels of a sample at a size: as packed where it is that size, else merged at source size and resized.

    Resizing takes the nearest pixel, as packing does: a size gives the labels that packing at this size would give.

    Returns:
        uint8 of ``size``; None where the split has no labels.
    """
    if sample.labels is None or sample.labels.shape == size:
        return sample.labels
    labels = merged_labels(person_runs(sample.record, place, file), overlap, sample.record.source_size)
    return labels if labels.shape == size else resize_labels(labels, size)
