"""Masks of a dataset of one's own: labels from the values in its files, and parts of persons from COCO JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np

from mhpdata.errors import WITHOUT, MaskError
from mhpdata.fields import parse_json
from mhpdata.images.decode import Pixels
from mhpdata.labels import IGNORE
from mhpdata.masks.coco_regions import Region, draw_region
from mhpdata.source.entry import Entry, Own
from mhpdata.source.own.coco import CROWD


def to_labels(values: Pixels, own: Own, place: str) -> Pixels:
    """Return the labels of a mask's values.

    Args:
        values: uint8 (height, width).
        own: The label of each value.
        place: Path of the mask, for errors.

    Raises:
        MaskError: A value is no class.
    """
    counts = np.bincount(values.reshape(-1), minlength=len(own.values))
    wrong = [value for value in np.flatnonzero(counts).tolist() if own.values[value] < 0]
    if wrong:
        found = f"holds {'the value' if len(wrong) == 1 else 'the values'} {', '.join(map(str, wrong[:5]))}"
        known = [value for value, label in enumerate(own.values) if label >= 0]
        expected = f"values of classes or ignored values ({', '.join(map(str, known[:8]))}{', ...' * (len(known) > 8)})"
        remedy = f'Add the value to "classes" or "ignore" in the label file, or correct the mask. {WITHOUT}'
        raise MaskError(place, found, expected, remedy, fault=("value", wrong[0]))
    return np.array(own.values, np.int16).astype(np.uint8)[values]


def draw_persons(entry: Entry, size: tuple[int, int]) -> Iterator[Pixels]:
    """Draw the persons of an entry with form "coco" one at a time: uint8 (height, width).

    Raises:
        MaskError: A region is invalid, or the annotations are for another size.
    """
    assert entry.own is not None
    content = parse_json(entry.own.parts.decode(), 1)  # made by CocoImage.as_json
    if content["size"] and content["size"] != list(size):
        stated = " x ".join(map(str, content["size"]))
        found = f"states {stated} pixels for image {entry.name}"
        remedy = f"Annotate the image as it is stored, without the rotation of its EXIF block. {WITHOUT}"
        expected = f"{size[0]} x {size[1]} (height x width), the size of the image"
        raise MaskError(entry.own.file, found, expected, remedy, fault=("mask-size", *content["size"], *size))
    parts = sorted(content["parts"], key=lambda part: int(part[2]))  # stable: persons in order, crowds first
    crowd = np.zeros(size, bool)
    persons = False
    for person, own_parts in groupby(parts, key=lambda part: int(part[2])):
        mask = np.zeros(size, np.uint8)
        for id, label, _, segmentation in own_parts:
            region = _region(entry, id, segmentation, size)
            if person == CROWD:
                crowd |= region
            else:
                mask[region] = label
        if person != CROWD:
            mask[crowd & (mask == 0)] = IGNORE
            crowd, persons = np.zeros(size, bool), True
            yield mask
    if not persons and crowd.any():
        yield np.where(crowd, np.uint8(IGNORE), np.uint8(0))


def _region(entry: Entry, id: Any, segmentation: Any, size: tuple[int, int]) -> Region:
    assert entry.own is not None
    try:
        return draw_region(segmentation, size)
    except ValueError as error:
        found = f"annotation {id} of image {entry.name}: {error}"
        expected, remedy = "polygons, or run lengths", f"Correct or remove the annotation. {WITHOUT}"
        raise MaskError(entry.own.file, found, expected, remedy, fault=("region", str(id))) from error
