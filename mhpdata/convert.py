"""One entry of the download to one record: read, decode, merge, resize, encode. Pure but for reading the files.

::

    entry ─read─> bytes ─image─> image (H, W, 3) ──────────────────resize─> (h, w, 3) ─codec─┬─> record bytes
                  bytes ─image─> mask (H, W) ─masks─> runs ─merge─> joint runs ─resize_runs──┘

Masks are decoded one at a time, so memory depends on the image's pixels, not on its persons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import overload

import numpy as np

from mhpdata.codec import CODECS, encode_image
from mhpdata.errors import ImageError, OptionError
from mhpdata.header import MAX_PIXELS
from mhpdata.image import decode_image, decode_mask
from mhpdata.labels import LabelSet
from mhpdata.layouts import Entry
from mhpdata.masks import MaskRuns, deflate_runs, inflate_runs, mask_runs
from mhpdata.merge import merge_runs
from mhpdata.options import PackOptions
from mhpdata.record import Record, encode_record
from mhpdata.resize import packed_size, resize_image
from mhpdata.runs import count_labels, resize_runs
from mhpdata.scratch import Scratch
from mhpdata.source import read_file

MAX_JPEG_SIDE = 65500
"""The longest side that libjpeg encodes."""


_scratch = Scratch()


@dataclass(frozen=True)
class Converted:
    """A record and what its shard's statistics need to know of it.

    Attributes:
        data: the record's bytes, not yet numbered.
        source_sha256: of the photo's file, hex.
        gray: the photo has one channel of brightness.
        persons: how many.
        contested, conflicting: source pixels labelled by several persons; with different labels.
        pixels: int64 (256,), packed pixels of each label.
    """

    data: bytearray
    source_sha256: str
    gray: bool
    persons: int
    contested: int
    conflicting: int
    pixels: np.ndarray


def convert(root: Path, entry: Entry, labels: LabelSet, options: PackOptions) -> Converted:
    """The record of an entry.

    Args:
        root: the source folder.
        entry: of a layout's scan.
        labels: the layout's classes.
        options: how to pack.

    Raises:
        SourceError: the photo or a mask cannot be used, or changed since the scan.
    """
    photo = read_file(root, entry.image)
    image, header = decode_image(photo, entry.image.path, partial(_scratch.empty, "photo"))
    source_size = (header.height, header.width)
    masks = Masks(root, entry, source_size, len(labels))
    merged = merge_runs(masks, options.overlap)
    size = _packed_size(source_size, entry.image.path, options)
    row_offsets, runs = resize_runs(merged.row_offsets, merged.runs, source_size, size)
    verbatim = header.baseline and size == source_size and options.image == "jpeg"
    digest = hashlib.sha256(photo)
    record = Record(
        name=entry.name,
        codec=CODECS[options.image],
        size=size,
        source_size=source_size,
        image=photo if verbatim else _encode(image, size, options),
        row_offsets=row_offsets,
        runs=runs,
        masks=masks.streams,
        contested=merged.contested,
        conflicting=merged.conflicting,
        gray=header.gray,
        verbatim=verbatim,
        source_sha256=digest.digest(),
    )
    return Converted(
        data=encode_record(record),
        source_sha256=digest.hexdigest(),
        gray=header.gray,
        persons=len(masks),
        contested=merged.contested,
        conflicting=merged.conflicting,
        pixels=count_labels(row_offsets, runs),
    )


def _encode(image: np.ndarray, size: tuple[int, int], options: PackOptions) -> bytes:
    shape = (*size, 3)
    resized = resize_image(image, size, _scratch.empty("resized", shape))
    return encode_image(resized, options.image, options.quality, _scratch.empty("swapped", shape))


def _packed_size(source_size: tuple[int, int], place: str, options: PackOptions) -> tuple[int, int]:
    """The size of the record's image: an image so narrow that it would become huge is refused."""
    remedy = "Crop the photo, choose a smaller --size or --size-of long, or pass --on-error skip."
    try:
        size = packed_size(*source_size, options.size, options.size_of)
    except OptionError as error:
        raise ImageError(place, error.found, error.expected, remedy) from error
    if size[0] * size[1] > MAX_PIXELS or max(size) > MAX_JPEG_SIDE:
        found = f"{source_size[0]} x {source_size[1]} pixels would become {size[0]} x {size[1]}"
        raise ImageError(place, found, f"at most {MAX_PIXELS} pixels and {MAX_JPEG_SIDE} a side", remedy)
    return size


class Masks(Sequence[MaskRuns]):
    """The masks of an entry as runs, decoded when asked for; never more than one is held.

    The first access of a mask reads and checks its file and keeps the compressed runs for the record (``streams``);
    later ones inflate those, so a file is read once.
    """

    def __init__(self, root: Path, entry: Entry, size: tuple[int, int], labels: int) -> None:
        self._root, self._files, self._size, self._labels = root, entry.masks, size, labels
        self.streams: list[bytes] = []

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, person: int) -> MaskRuns: ...
    @overload
    def __getitem__(self, person: slice) -> Sequence[MaskRuns]: ...
    def __getitem__(self, person: int | slice) -> MaskRuns | Sequence[MaskRuns]:
        if isinstance(person, slice):
            return [self[i] for i in range(*person.indices(len(self)))]
        if person < len(self.streams):
            return inflate_runs(self.streams[person], self._size)
        assert person == len(self.streams), "masks are first taken in person order"
        file = self._files[person]
        runs = mask_runs(decode_mask(read_file(self._root, file), file.path, self._size, self._labels))
        self.streams.append(deflate_runs(runs))
        return runs
