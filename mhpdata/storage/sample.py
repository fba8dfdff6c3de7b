"""Decode records to samples: one image with its labels, in memory."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mhpdata import thumbnails
from mhpdata.errors import RecordError
from mhpdata.masks.joint_runs import check_runs, decode_runs
from mhpdata.masks.mask_runs import inflate_mask
from mhpdata.named import Named
from mhpdata.storage.codec import decode_stored
from mhpdata.storage.record import Record


class Sample(Named):
    """One image with its labels, in memory.

    It is also a mapping, without ``record`` and values that are None, so that data loaders can collate samples:
    ``sample["image"]`` is ``sample.image``.

    Attributes:
        name: Id of the image, such as "1528".
        image: uint8 (height, width, 3), RGB, 0..255.
        labels: uint8 (height, width), a class or 255 (ignored); None if the split has no labels.
        persons: uint8 (height, width), number of the pixel's person, from 1; 0 = nobody; None without labels.
        index: Index of the sample in its split.
        record: The record, with further fields (sizes, overlapping pixels, hash).
    """

    name: str
    image: np.ndarray
    labels: np.ndarray | None
    persons: np.ndarray | None
    index: int
    record: Record

    APART = frozenset({"record"})

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """The mask of each person as annotated: uint8 (source height, source width), in person order."""
        masks = []
        for person, data in enumerate(self.record.masks, 1):
            try:
                masks.append(inflate_mask(data, self.record.source_size))
            except RecordError as error:
                place = f"record {self.index} ({self.name}), mask of person {person}"
                raise error.at(place) from error
        return masks

    def _repr_html_(self) -> str | None:
        """Return the image with its labels as HTML, for notebooks; None for samples that a data loader has collated."""
        if not isinstance(self.image, np.ndarray) or self.image.ndim != 3:
            return None
        return thumbnails.row(repr(self), [thumbnails.picture(self.image, self.labels, self.name)])


def decode_record(record: Record, index: int, labels: int) -> Sample:
    """Decode the arrays of a record.

    Args:
        record: The record.
        index: Its index in its split.
        labels: Number of labels in the dataset; others are an error.

    Raises:
        RecordError: The image or the runs are damaged.
    """
    try:
        image = decode_stored(record.image, record.codec, record.size)
        if record.runs is None or record.row_offsets is None:
            return Sample(record.name, image, None, None, index, record)
        check_runs(record.row_offsets, record.runs, record.size, labels, len(record.masks))
        label_map, persons = decode_runs(record.row_offsets, record.runs, record.size)
    except RecordError as error:
        raise error.at(f"record {index} ({record.name}), {error.place}") from error
    return Sample(record.name, image, label_map, persons, index, record)
