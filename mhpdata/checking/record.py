"""Check one record of a packed folder against everything that can be recomputed.

::

    record ─parse, claims, runs─> statistics                                                       always
           ├─> image: decodes, identically by both decoders; its hash, if it is the source file    deep
           └─> masks ─merge─> ─resize─> compared with the labels and persons of the record         deep

The deep check repeats the pack with the masks in the record: merged by the same code, and resized as maps, not as runs.
It detects a record that was altered together with its CRC, but not an error in ``merge`` itself. Sizes are checked
(``parse_record``) before anything is allocated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mhpdata.errors import ANOTHER, PACK_AGAIN, MhpError, OptionError, RecordError, ShardError
from mhpdata.images.nearest_pixel import resize_labels
from mhpdata.images.size import packed_size
from mhpdata.labels import IGNORE
from mhpdata.masks.joint_runs import check_runs, count_labels, decode_runs
from mhpdata.masks.mask_runs import MaskRuns, inflate_runs
from mhpdata.masks.merge import Merging
from mhpdata.options import PackOptions
from mhpdata.packing.crosscheck import find_difference
from mhpdata.storage.codec import CODECS, decode_stored
from mhpdata.storage.content import record_digest
from mhpdata.storage.record import Record, parse_record
from mhpdata.storage.shards.formats import Reader
from mhpdata.storage.statistics import Statistics

_CLAIM = "is damaged: marked as an unchanged source JPEG, but its image has another size, or is not a JPEG"
_CLAIMED = {"contested": "overlapping pixels", "conflicting": "pixels with conflicting labels"}


@dataclass(frozen=True)
class Checked:
    """Result of the check of one record.

    Attributes:
        findings: Problems of the record.
        statistics: Its contribution to the split's statistics; None if unknown.
        source_sha256: SHA-256 of its source image; empty if unknown.
        content: Its digest (mhpdata.storage.content); empty if it is unreadable.
    """

    findings: list[MhpError]
    statistics: Statistics | None = None
    source_sha256: bytes = b""
    content: bytes = b""

    @property
    def classes(self) -> int | None:
        """Return the labels that occur as bits, bit c for label c; None if unknown."""
        if self.statistics is None:
            return None
        return sum(1 << label for label, images in enumerate(self.statistics.class_images) if images)


@dataclass(frozen=True)
class RecordCheck:
    """Check of the records of one shard; call it with a position in the shard, from any number of threads.

    Attributes:
        reader: Reader of the shard.
        file: The shard's file, as the user would name it.
        names: Names of the shard's records, by the manifest.
        start: Index in the split of the shard's first record.
        classes: Number of labels of the dataset.
        options: Options of the pack.
        deep: Whether to decode the image and to repeat the merge, too.
        labelled: Whether the records have labels, by the manifest.
    """

    reader: Reader
    file: str
    names: Sequence[str]
    start: int
    classes: int
    options: PackOptions
    deep: bool
    labelled: bool = True

    def __call__(self, position: int) -> Checked:
        """Check one record; its problems are returned in the result, not raised."""
        index, name = self.start + position, self.names[position]
        place = f"{self.file}, record {index} ({name})"
        try:
            data = self.reader.read(position)
            record = parse_record(data, index)
        except RecordError as error:
            return Checked([error.in_shard(place, Path(self.file).name)])
        except ShardError as error:
            return Checked([error.at(place)])
        findings: list[MhpError] = list(_check_claims(record, name, self.options, place))
        if (record.runs is not None) != self.labelled:
            found, expected = ("has no labels", "labels") if self.labelled else ("has labels", "no labels")
            findings.append(RecordError(place, found, f"{expected}, as the manifest says", PACK_AGAIN))
        faults: list[MhpError] = list(_check_runs(record, self.classes, place))
        findings += faults
        if self.deep:
            findings += _check_image(record, place)
            findings += _check_maps(record, self.classes, self.options.overlap, not faults, place)
        unlabelled = _count_unlabelled(record) if self.deep else 0
        statistics = None if faults else _count(record, self.classes, unlabelled)
        return Checked(findings, statistics, record.source_sha256, record_digest(data))


def _check_claims(record: Record, name: str, options: PackOptions, place: str) -> Iterator[RecordError]:
    """Check name, codec and sizes against the manifest."""
    if record.name != name:
        expected = f"{name!r}, as the manifest says"
        yield RecordError(place, f"is named {record.name!r}", expected, f"{ANOTHER} {PACK_AGAIN}")
    if record.codec != CODECS[options.image]:
        found, expected = (
            f"image codec {record.codec}",
            f"{CODECS[options.image]} ({options.image}), as the manifest says",
        )
        yield RecordError(place, found, expected, PACK_AGAIN)
    try:
        size = packed_size(*record.source_size, options.size, options.size_of)
    except OptionError as error:
        yield RecordError(place, f"its source size is invalid: {error.found}", error.expected, PACK_AGAIN)
        return
    if record.size != size:
        found = f"has {_by(record.size)} pixels, from a source image of {_by(record.source_size)}"
        yield RecordError(
            place, found, f"{_by(size)} (height x width), as the size option in the manifest says", PACK_AGAIN
        )
    if record.verbatim and (record.size != record.source_size or record.codec != CODECS["jpeg"]):
        yield RecordError(place, _CLAIM, "", PACK_AGAIN)


def _check_runs(record: Record, classes: int, place: str) -> Iterator[RecordError]:
    if record.runs is None or record.row_offsets is None:
        return
    try:
        check_runs(record.row_offsets, record.runs, record.size, classes, len(record.masks))
    except RecordError as error:
        yield error.at(f"{place}, {error.place}", PACK_AGAIN)


def _check_image(record: Record, place: str) -> Iterator[RecordError]:
    if record.verbatim and hashlib.sha256(record.image).digest() != record.source_sha256:
        found = "its bytes differ from those of its source image (SHA-256)"
        yield RecordError(f"{place}, image", found, "the unchanged source JPEG", PACK_AGAIN)
    try:
        image = decode_stored(record.image, record.codec, record.size)
    except RecordError as error:
        yield error.at(f"{place}, {error.place}", PACK_AGAIN)
        return
    if record.codec == CODECS["jpeg"] and (difference := find_difference(record.image, image)):
        yield RecordError(f"{place}, image", f"is a damaged JPEG: {difference}", "libjpeg's pixels", PACK_AGAIN)
    if record.gray and (image != image[..., :1]).any():
        yield RecordError(f"{place}, image", "has colours", "a gray image, as stated in the record", PACK_AGAIN)


def _check_maps(record: Record, classes: int, overlap: str, sound: bool, place: str) -> Iterator[RecordError]:
    """Check every person's mask, merge them, and compare the result with the stored maps if their runs are valid."""
    if record.runs is None or record.row_offsets is None:
        return
    size, merging, sound_masks = record.source_size, Merging(overlap, record.source_size), True
    for person, data in enumerate(record.masks, 1):
        runs = _person_runs(data, size, classes)
        if isinstance(runs, MaskRuns):
            merging.add(runs)
            continue
        found, expected = runs
        yield RecordError(f"{place}, mask of person {person}", found, expected, PACK_AGAIN)
        sound_masks = False
    if not sound_masks:
        return
    merged = merging.end(lambda person: inflate_runs(record.masks[person - 1], size))
    for what, words in _CLAIMED.items():
        stored, counted = getattr(record, what), getattr(merged, what)
        if stored != counted:
            yield RecordError(place, f"is damaged: states {stored} {words}", f"{counted}, as in its masks", PACK_AGAIN)
    if not sound:
        return
    labels, persons = decode_runs(record.row_offsets, record.runs, record.size)
    again = decode_runs(merged.row_offsets, merged.runs, record.source_size)
    differ = labels != resize_labels(again[0], record.size)
    differ |= persons != resize_labels(again[1], record.size)
    if differ.any():
        row, column = np.argwhere(differ)[0].tolist()
        found = f"labels or persons differ from those of its masks in {int(differ.sum())} pixels"
        found += f", first in row {row}, column {column}"
        yield RecordError(place, found, f"the masks, merged by the rule '{overlap}' and resized", PACK_AGAIN)


def _person_runs(data: bytes | memoryview, size: tuple[int, int], classes: int) -> MaskRuns | tuple[str, str]:
    """Return the runs of a person's mask; if it is damaged, (found, expected)."""
    try:
        runs = inflate_runs(data, size)
    except RecordError as error:
        return error.found, error.expected
    highest = int(runs.labels.max(where=runs.labels != IGNORE, initial=0))
    return runs if highest < classes else (f"has label {highest}", f"labels 0 to {classes - 1}")


def _count_unlabelled(record: Record) -> int:
    """Count the persons without a labelled pixel, except those whose masks are damaged."""
    count = 0
    for mask in record.masks:
        with suppress(RecordError):
            count += not inflate_runs(mask, record.source_size).area
    return count


def _count(record: Record, classes: int, unlabelled: int) -> Statistics:
    """Return the statistics of one record whose runs are valid."""
    pixels = np.zeros(256, np.int64)
    if record.runs is not None and record.row_offsets is not None:
        pixels = count_labels(record.row_offsets, record.runs)
    return Statistics(
        images=1,
        persons=len(record.masks),
        gray=int(record.gray),
        contested_images=int(record.contested > 0),
        contested=record.contested,
        conflicting=record.conflicting,
        class_pixels=pixels[:classes].tolist(),
        class_images=(pixels[:classes] > 0).astype(np.int64).tolist(),
        ignored_pixels=int(pixels[IGNORE]),
        unlabelled_persons=unlabelled,
    )


def _by(size: tuple[int, int]) -> str:
    """Return height x width."""
    return f"{size[0]} x {size[1]}"
