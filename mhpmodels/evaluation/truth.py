"""True labels to score predictions against: as packed, or as annotated at source size.

At source size, the persons' masks are merged again by the overlap rule of the packed folder, so the labels are never
resized. Masks are merged as runs and drawn one at a time, so memory does not grow with the number of persons.

Out: uint8 (height, width) class labels; 255 for pixels that are not counted.
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
    """Return each person's mask as runs, in person order.

    Args:
        record: record of a split.
        place: record name, for error messages.
        file: name of the record's shard file, for remedies; "" if unknown.

    Raises:
        RecordError: a mask is damaged.
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
    """Merge masks into labels, at the size of the masks.

    Args:
        masks: masks from ``person_runs``.
        overlap: rule from ``mhpdata.options.OVERLAPS``; the one in the manifest gives the labels as packed.
        size: (height, width) of the masks in pixels.

    Returns:
        uint8 labels of ``size``.
    """
    merged = merge_runs(masks, overlap, size=size)
    return decode_runs(merged.row_offsets, merged.runs, size)[0]


def packed_labels(record: Record, classes: int, place: str, file: str = "") -> Labels:
    """Return the labels of a record as packed, without decoding its image.

    Args:
        record: record that has labels.
        classes: number of classes of the dataset.
        place: record name, for error messages.
        file: name of the record's shard file, for remedies; "" if unknown.

    Raises:
        RecordError: the runs are damaged.
    """
    assert record.row_offsets is not None and record.runs is not None
    try:
        check_runs(record.row_offsets, record.runs, record.size, classes, len(record.masks))
    except RecordError as error:
        raise _placed(error, f"{place}, {error.place}", file) from error
    return decode_runs(record.row_offsets, record.runs, record.size)[0]


def true_persons(masks: Sequence[MaskRuns], source_size: tuple[int, int], size: tuple[int, int]) -> Iterator[Labels]:
    """Yield each person's mask at ``size``, drawn one at a time and resized by nearest neighbour if necessary."""
    for runs in masks:
        mask = draw_mask(runs, source_size)
        yield mask if mask.shape == size else resize_labels(mask, size)


def labels_of_size(sample: Sample, size: tuple[int, int], overlap: str, place: str, file: str = "") -> Labels | None:
    """Return the labels of a sample at ``size``, the same as packing at this size would give.

    Labels packed at that size are returned as they are; for another size, the masks are merged at source size and
    resized by nearest neighbour, as packing does.

    Returns:
        uint8 labels of ``size``; None if the split has no labels.
    """
    if sample.labels is None or sample.labels.shape == size:
        return sample.labels
    labels = merged_labels(person_runs(sample.record, place, file), overlap, sample.record.source_size)
    return labels if labels.shape == size else resize_labels(labels, size)
