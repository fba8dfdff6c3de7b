"""Convert one entry of the download to one record: read, decode, merge, resize, encode.

::

    entry ─read─> bytes ─image─> image (H, W, 3) ──────────────────resize─> (h, w, 3) ─codec─┬─> record bytes
                  bytes ─annotation─> runs of each mask ─merge─> joint runs ─resize_runs─────┘

The result depends on the files and the options only. A JPEG that keeps its size is stored unchanged, except for
segments that the image does not need, if the loader's decoder and libjpeg decode the same pixels
(mhpdata.packing.crosscheck, imported only for such JPEGs, since it compiles the decoder).

Masks are decoded one at a time, so memory depends on the number of pixels, not on the number of persons.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from mhpdata.errors import WITHOUT, ImageError, OptionError, SourceError
from mhpdata.faults import Value
from mhpdata.images.decode import decode_file
from mhpdata.images.notes import REENCODED
from mhpdata.images.resize import resize_image
from mhpdata.images.size import MAX_JPEG_SIDE, MAX_PIXELS, largest_size, packed_size
from mhpdata.labels import LabelSet
from mhpdata.masks.joint_runs import count_labels
from mhpdata.masks.mask_runs import inflate_runs
from mhpdata.masks.merge import Merging
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.options import PackOptions
from mhpdata.packing.scratch import Scratch
from mhpdata.packing.sources import source_digest
from mhpdata.source.annotation import read_persons
from mhpdata.source.entry import Entry
from mhpdata.source.files import read_file
from mhpdata.source.own.words import own_words
from mhpdata.source.remote import Root
from mhpdata.storage.codec import CODECS, encode_image
from mhpdata.storage.content import record_digest
from mhpdata.storage.record import Record, encode_record

_USEFUL, _MOST = 64, 8192
"""Range of sizes that an error recommends: the smallest useful one, and the largest of PackOptions."""

_scratch = Scratch()


@dataclass(frozen=True)
class Converted:
    """Record of an entry, with its contribution to the statistics of its shard.

    Attributes:
        data: Bytes of the record, not yet numbered.
        source_sha256: SHA-256 of the image's file, hex.
        content: Digest of the record (mhpdata.storage.content).
        source: Digest of the entry's files (mhpdata.packing.sources).
        gray: Whether the source image has a single channel.
        persons: Number of persons.
        ``contested``: Number of overlapping source pixels: labelled by several persons.
        conflicting: Number of those whose labels differ.
        pixels: int64 (256,), number of packed pixels of each label.
        notes: The manifest's notes on the image: values by code (docs/format.md).
        unlabelled: Number of persons without a labelled pixel.
    """

    data: bytearray
    source_sha256: str
    content: bytes
    source: bytes
    gray: bool
    persons: int
    contested: int
    conflicting: int
    pixels: np.ndarray
    notes: dict[str, tuple[Value, ...]]
    unlabelled: int = 0


def convert(root: Root, entry: Entry, labels: LabelSet, options: PackOptions) -> Converted:
    """Convert an entry to a record.

    Args:
        root: Source folder.
        entry: Entry of the layout's scan.
        labels: Classes of the layout.
        options: Options of the pack.

    Raises:
        SourceError: The image or a mask is invalid, unreadable, or has changed since the scan.
    """
    with own_words(entry):
        return _convert(root, entry, labels, options)


def _convert(root: Root, entry: Entry, labels: LabelSet, options: PackOptions) -> Converted:
    source = read_file(root, entry.image)
    decoded = decode_file(source, entry.image.path, partial(_scratch.empty, "image"), damaged=options.damaged)
    image, header, notes = decoded.pixels, decoded.header, dict(decoded.notes)
    source_size = (header.height, header.width)
    size = _packed_size(source_size, entry.image.path, options)
    maps = None if entry.masks is None else _read_masks(root, entry, len(labels), options.overlap, (source_size, size))
    jpeg = decoded.jpeg if size == source_size and options.image == "jpeg" else None
    if jpeg is not None and _find_difference(jpeg, image):
        notes[REENCODED], jpeg = (), None
    digest = hashlib.sha256(source)
    record = Record(
        name=entry.name,
        codec=CODECS[options.image],
        size=size,
        source_size=source_size,
        image=_encode(image, size, options) if jpeg is None else jpeg,
        row_offsets=None if maps is None else maps.row_offsets,
        runs=None if maps is None else maps.runs,
        masks=[] if maps is None else maps.masks,
        contested=0 if maps is None else maps.contested,
        conflicting=0 if maps is None else maps.conflicting,
        gray=header.gray,
        verbatim=jpeg is source,
        source_sha256=digest.digest(),
    )
    data = encode_record(record)
    return Converted(
        data=data,
        source_sha256=digest.hexdigest(),
        content=record_digest(data),
        source=source_digest(root, entry, digest.digest()),
        gray=header.gray,
        persons=len(record.masks),
        unlabelled=0 if maps is None else maps.unlabelled,
        contested=record.contested,
        conflicting=record.conflicting,
        pixels=np.zeros(256, np.int64) if maps is None else count_labels(maps.row_offsets, maps.runs),
        notes=notes,
    )


class Refused(NamedTuple):
    """Entry that is left out: its error, and the digest of its files (mhpdata.packing.sources)."""

    error: SourceError
    source: bytes


def _find_difference(jpeg: bytes, image: np.ndarray) -> str:
    from mhpdata.packing.crosscheck import find_difference

    return find_difference(jpeg, image)


class _Maps(NamedTuple):
    """Labels and persons as packed, and the statistics of their merge."""

    row_offsets: np.ndarray
    runs: np.ndarray
    masks: list[bytes]
    unlabelled: int
    contested: int
    conflicting: int


def _read_masks(
    root: Root, entry: Entry, labels: int, overlap: str, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> _Maps:
    """Read the masks of an entry one by one, and merge them; ``sizes``: of the source image, and of the record."""
    source_size, size = sizes
    merging, streams, unlabelled = Merging(overlap, source_size), list[bytes](), 0
    for person in read_persons(root, entry, source_size, labels):
        merging.add(person.runs)
        streams.append(person.stream)
        unlabelled += not person.runs.area
    merged = merging.end(lambda number: inflate_runs(streams[number - 1], source_size))
    row_offsets, runs = resize_runs(merged.row_offsets, merged.runs, source_size, size)
    return _Maps(row_offsets, runs, streams, unlabelled, merged.contested, merged.conflicting)


def _encode(image: np.ndarray, size: tuple[int, int], options: PackOptions) -> bytes:
    shape = (*size, 3)
    resized = resize_image(image, size, _scratch.empty("resized", shape))
    return encode_image(resized, options.image, options.quality, _scratch.empty("swapped", shape))


def _packed_size(source_size: tuple[int, int], place: str, options: PackOptions) -> tuple[int, int]:
    """Return the size of the record's image; refuse an image that would become too large, such as a narrow one."""
    try:
        size = packed_size(*source_size, options.size, options.size_of)
    except OptionError as error:
        remedy, fault = _how_to_fit(source_size, options), ("packed-size", *source_size)
        raise ImageError(place, error.found, error.expected, remedy, fault=fault) from error
    if not _fits(source_size, options.size, options.size_of):
        found = f"{source_size[0]} x {source_size[1]} pixels"
        found += f", resized to {size[0]} x {size[1]}" if size != source_size else ", not resized"
        found += " (height x width)"
        expected = f"at most {MAX_PIXELS} pixels and {MAX_JPEG_SIDE} per side"
        fault = ("packed-size", *source_size)
        raise ImageError(place, found, expected, _how_to_fit(source_size, options), fault=fault)
    return size


def _fits(source_size: tuple[int, int], size: int, size_of: str) -> bool:
    try:
        height, width = packed_size(*source_size, size, size_of)
    except OptionError:
        return False
    return height * width <= MAX_PIXELS and max(height, width) <= MAX_JPEG_SIDE


def _how_to_fit(source_size: tuple[int, int], options: PackOptions) -> str:
    """Return the remedy for an image that would become too large, with options that fit it."""
    ways = []
    largest = largest_size(options.size or _MOST + 1, lambda size: _fits(source_size, size, options.size_of))
    if largest >= _USEFUL:
        ways.append(f"--size {largest} or less")
    if options.size and options.size_of == "short" and _fits(source_size, options.size, "long"):
        ways.append("--size-of long, which makes --size the longer side")
    fit = f" Or pack all images with {', or '.join(ways)}." if ways else ""
    return f"Crop this image.{fit} {WITHOUT}"
