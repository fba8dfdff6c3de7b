"""View: one record at the size of the export: its image file, label map, map of persons, and each person's own mask.

At packed size, label map and map of persons are the packed ones. At source size, the masks are merged again by the
overlap rule of the pack, as packing does, so nothing is resized. Masks of persons are annotated at source size; at
another size they are resized by nearest neighbour, as packing resizes the label map.

Out: uint8 (height, width) maps; 255 is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import FIND_AGAIN, PACK_AGAIN, OptionError, RecordError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.masks.joint_runs import check_runs, decode_runs
from mhpdata.masks.mask_runs import MaskRuns, draw_mask, inflate_runs
from mhpdata.masks.merge import merge_runs
from mhpdata.opencv import cv2
from mhpdata.options import Overlap
from mhpdata.storage.codec import CODECS, check_stored, decode_stored
from mhpdata.storage.split import Split

Map = NDArray[np.uint8]


class View:
    """One sample at the size of the export.

    Args:
        split: The split; its records are checked when they are read.
        index: Index of the sample.
        at: "packed" or "source".

    Attributes:
        name: Id of the image.
        index: Index in its split.
        size: (height, width) of everything exported.
        persons: Number of persons.
        gray: Whether the source image is gray.
    """

    def __init__(self, split: Split, index: int, at: str) -> None:
        self._split, self._record = split, split.record(index)
        self.name, self.index = self._record.name, index
        self.size = self._record.source_size if at == "source" else self._record.size
        self.persons, self.gray = len(self._record.masks), self._record.gray

    def photo(self) -> bytes:
        """Return the image as a file: the JPEG as stored, or a PNG of the stored pixels.

        Raises:
            OptionError: The image is stored at another size.
            RecordError: It is damaged.
        """
        record = self._record
        if record.size != self.size:
            (height, width), (rows, columns) = record.size, self.size
            found = (
                f"source, but {self._split.place(self.index)} holds {height} x {width} of {rows} x {columns} pixels "
            )
            found += "(height x width)"
            remedy = "Pass --at packed, or --no-images to export the annotations only, or pack with --size 0."
            raise OptionError("at", found, "images at source size", remedy)
        try:
            check_stored(record.image, record.codec, record.size)
            if record.codec == CODECS["jpeg"]:
                return bytes(record.image)
            pixels = decode_stored(record.image, record.codec, record.size)
        except RecordError as error:
            raise self._placed(error, error.place) from error
        done, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        assert done, "OpenCV encodes every uint8 array"
        return data.tobytes()

    def maps(self) -> tuple[Map, Map]:
        """Return the label map and the map of persons, in which each pixel has one owner. Raises RecordError."""
        record = self._record
        if record.row_offsets is None or record.runs is None:
            raise RecordError(self._split.place(self.index), "has no labels", "labels, as its split has", PACK_AGAIN)
        if self.size == record.size:
            try:
                check_runs(record.row_offsets, record.runs, record.size, len(self._split.classes), self.persons)
            except RecordError as error:
                raise self._placed(error, error.place) from error
            return decode_runs(record.row_offsets, record.runs, record.size)
        rule: Overlap = self._split.manifest.options["overlap"]
        merged = merge_runs([runs for _, runs in self._runs()], rule, size=record.source_size)
        return decode_runs(merged.row_offsets, merged.runs, record.source_size)

    def masks(self) -> Iterator[Map]:
        """Yield each person's own mask, in person order: labels, 0 (not this person) and 255. Raises RecordError."""
        for _, runs in self._runs():
            mask = draw_mask(runs, self._record.source_size)
            yield mask if mask.shape == self.size else resize_labels(mask, self.size)

    def _runs(self) -> Iterator[tuple[int, MaskRuns]]:
        """Yield each person's number and mask as runs, at source size."""
        record, classes = self._record, len(self._split.classes)
        for person, data in enumerate(record.masks, 1):
            try:
                runs = inflate_runs(data, record.source_size)
            except RecordError as error:
                raise self._placed(error, f"mask of person {person}") from error
            wrong = runs.labels[(runs.labels >= classes) & (runs.labels != 255)]
            if wrong.size:
                found, expected = f"is damaged (label {wrong[0]})", f"labels below {classes}, or 255"
                damaged = RecordError("mask", found, expected, FIND_AGAIN)
                raise self._placed(damaged, f"mask of person {person}")
            yield person, runs

    def _placed(self, error: RecordError, what: object) -> RecordError:
        return error.in_shard(f"{self._split.place(self.index)}, {what}", self._split.file(self.index))
