"""Draw the layers of a sample at full size: its image, and transparent PNGs to lay over it.

Every layer except images has the packed size of the sample; label maps are resized by nearest neighbour. Colours are
those of mhp show.

Out: the bytes of JPEG and PNG files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mhpdata.images.formats.segments import without_metadata
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.labels import IGNORE
from mhpdata.masks.joint_runs import decode_runs
from mhpdata.masks.mask_runs import MaskRuns, draw_mask
from mhpdata.masks.merge import merge_runs
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.storage.codec import CODECS, decode_stored, encode_image
from mhpdata.storage.record import Record
from mhpmodels.figures.colours import PERSONS
from mhpmodels.figures.panels import CONFLICTING, EQUAL, NOBODY, contested_map, shrink_contested
from mhpmodels.files.png import encode_indexed

Pixels = NDArray[np.uint8]
Size = tuple[int, int]

DIFFERENT = (0, 170, 255)
"""Colour of pixels at which two rules, or two packs, give different labels."""
MARK = 3
"""Side of an overlapping or differing pixel in a layer, in pixels; odd."""


def image_layer(record: Record) -> bytes:
    """Return the image as a JPEG; the stored one without its metadata, because browsers would turn it by its EXIF.

    Raises:
        RecordError: the image is damaged.
    """
    if record.codec == CODECS["jpeg"]:
        return without_metadata(bytes(record.image))
    return encode_image(decode_stored(record.image, record.codec, record.size), "jpeg", 95)


def packed_maps(record: Record) -> tuple[Pixels, Pixels]:
    """Return the labels and persons of a record whose runs were checked, as packed."""
    assert record.row_offsets is not None and record.runs is not None
    return decode_runs(record.row_offsets, record.runs, record.size)


def merged_maps(masks: Sequence[MaskRuns], rule: str, source_size: Size, size: Size) -> tuple[Pixels, Pixels]:
    """Return the labels and persons that packing by an overlap rule gives at ``size``."""
    merged = merge_runs(masks, rule, size=source_size)
    return decode_runs(*resize_runs(merged.row_offsets, merged.runs, source_size, size), size)


def labels_layer(labels: Pixels, palette: Pixels) -> bytes:
    """Return a layer of label colours; background is transparent."""
    return encode_indexed(labels, palette, clear=True)


def persons_layer(persons: Pixels) -> bytes:
    """Return a layer with the colour of each pixel's person."""
    palette = np.array([NOBODY, *(PERSONS[k % len(PERSONS)] for k in range(255))], np.uint8)
    return encode_indexed(persons, palette, clear=True)


def overlap_layer(masks: Sequence[MaskRuns], source_size: Size, size: Size) -> bytes:
    """Return a layer that marks overlapping pixels: one colour for equal, one for conflicting labels."""
    state = contested_map([draw_mask(mask, source_size) for mask in masks], source_size)
    return _marks(shrink_contested(state, size, MARK), EQUAL, CONFLICTING)


def different_layer(labels: Pixels, others: Pixels, size: Size) -> bytes:
    """Return a layer that marks the pixels at which two label maps of the same size differ."""
    return _marks(shrink_contested((labels != others).astype(np.uint8), size, MARK), DIFFERENT)


def wrong_layer(predicted: Pixels, labels: Pixels) -> bytes:
    """Return a layer that marks the pixels whose prediction is wrong; label 255 is not counted."""
    return _marks(((predicted != labels) & (labels != IGNORE)).astype(np.uint8), CONFLICTING)


def at_size(labels: Pixels, size: Size) -> Pixels:
    """Return a label map at ``size``."""
    return labels if labels.shape == size else resize_labels(labels, size)


def _marks(state: Pixels, *colors: tuple[int, int, int]) -> bytes:
    palette = np.zeros((256, 3), np.uint8)
    palette[1 : 1 + len(colors)] = colors
    return encode_indexed(state, palette, clear=True)
