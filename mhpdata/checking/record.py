"""One record of a packed folder against all that can be computed anew.

::

    record ─parse, claims, runs─> statistics                                           always
           ├─> image: decodes, by both decoders alike; its hash, if it is the source's own file       deep
           └─> masks ─merge─> ─resize─> = labels and persons of the record?            deep

The deep check repeats the pack with the masks that the record keeps: merged by the same code, resized as maps, not as
runs. It finds a record that was altered together with its CRC, not an error of ``merge`` itself. Sizes are checked
(``parse_record``) before anything is allocated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mhpdata.errors import PACK_AGAIN, MhpError, OptionError, RecordError, ShardError
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

_CLAIM = "is damaged: it says that it holds the photo's own JPEG, but its image is of another size, or no JPEG"
_CLAIMED = {
    "contested": "pixels that several persons label (contested)",
    "conflicting": "pixels that persons label differently (conflicting)",
}


@dataclass(frozen=True)
class Checked:
    """What one record gave.

    Attributes:
        findings: what is wrong with it.
        statistics: its share of the split's; None where it cannot be told.
        source_sha256: of its photo's file; empty where it cannot be told.
        content: its digest (mhpdata.storage.content); empty where it cannot be read.
    """

    findings: list[MhpError]
    statistics: Statistics | None = None
    source_sha256: bytes = b""
    content: bytes = b""

    @property
    def classes(self) -> int | None:
        """The labels that occur, bit c for label c; None where it cannot be told."""
        if self.statistics is None:
            return None
        return sum(1 << label for label, images in enumerate(self.statistics.class_images) if images)


@dataclass(frozen=True)
class RecordCheck:
    """The check of the records of one shard, to be called with a place in the shard, by any number of threads.

    Attributes:
        reader: of the shard.
        file: the shard's file, as the user would name it.
        names: of the shard's records, by the manifest.
        start: the index in the split of the shard's first record.
        classes: how many labels the dataset has.
        options: what it was packed with.
        deep: decode the image and repeat the merge, too.
        labelled: the records have labels, by the manifest.
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
        """Check one record; what is wrong with it is in the result, never raised."""
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
            found, expected = ("has labels", "none") if self.labelled is False else ("has no labels", "some")
            findings.append(RecordError(place, found, f"{expected}, by the manifest", PACK_AGAIN))
        faults: list[MhpError] = list(_check_runs(record, self.classes, place))
        findings += faults
        if self.deep:
            findings += _check_image(record, place)
            findings += _check_maps(record, self.classes, self.options.overlap, not faults, place)
        unlabelled = _count_unlabelled(record) if self.deep else 0
        statistics = None if faults else _count(record, self.classes, unlabelled)
        return Checked(findings, statistics, record.source_sha256, record_digest(data))


def _check_claims(record: Record, name: str, options: PackOptions, place: str) -> Iterator[RecordError]:
    """Name, codec and sizes: what the manifest says of every record."""
    if record.name != name:
        yield RecordError(place, f"is named {record.name!r}", f"{name!r}, by the manifest", PACK_AGAIN)
    if record.codec != CODECS[options.image]:
        found, expected = f"image codec {record.codec}", f"{CODECS[options.image]} ({options.image}), by the manifest"
        yield RecordError(place, found, expected, PACK_AGAIN)
    try:
        size = packed_size(*record.source_size, options.size, options.size_of)
    except OptionError as error:
        yield RecordError(place, f"by its photo's size: {error.found}", error.expected, PACK_AGAIN)
        return
    if record.size != size:
        found = f"{_by(record.size)} pixels from a photo of {_by(record.source_size)}"
        yield RecordError(place, found, f"{_by(size)}, by the manifest's size", PACK_AGAIN)
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
        found = "its bytes are not those of the photo that it was made from (SHA-256)"
        yield RecordError(f"{place}, image", found, "the photo's own JPEG", PACK_AGAIN)
    try:
        image = decode_stored(record.image, record.codec, record.size)
    except RecordError as error:
        yield error.at(f"{place}, {error.place}", PACK_AGAIN)
        return
    if record.codec == CODECS["jpeg"] and (difference := find_difference(record.image, image)):
        yield RecordError(f"{place}, image", f"is a damaged JPEG: {difference}", "libjpeg's pixels", PACK_AGAIN)
    if record.gray and (image != image[..., :1]).any():
        yield RecordError(f"{place}, image", "has colours", "a gray image, as the record says", PACK_AGAIN)


def _check_maps(record: Record, classes: int, overlap: str, sound: bool, place: str) -> Iterator[RecordError]:
    """Every person's mask, and the maps they make together; the stored ones are compared if their runs are sound."""
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
            yield RecordError(place, f"is damaged: says {stored} {words}", f"{counted}, as in its masks", PACK_AGAIN)
    if not sound:
        return
    labels, persons = decode_runs(record.row_offsets, record.runs, record.size)
    anew = decode_runs(merged.row_offsets, merged.runs, record.source_size)
    differ = labels != resize_labels(anew[0], record.size)
    differ |= persons != resize_labels(anew[1], record.size)
    if differ.any():
        row, column = np.argwhere(differ)[0].tolist()
        found = f"labels or persons are not those of its masks in {int(differ.sum())} pixels"
        found += f", first in row {row}, column {column}"
        yield RecordError(place, found, f"the masks merged by the rule '{overlap}' and resized", PACK_AGAIN)


def _person_runs(data: bytes | memoryview, size: tuple[int, int], classes: int) -> MaskRuns | tuple[str, str]:
    """The runs of a person's mask; where it is damaged, what was found and expected."""
    try:
        runs = inflate_runs(data, size)
    except RecordError as error:
        return error.found, error.expected
    highest = int(runs.labels.max(where=runs.labels != IGNORE, initial=0))
    return runs if highest < classes else (f"has label {highest}", f"labels 0 to {classes - 1}")


def _count_unlabelled(record: Record) -> int:
    """The persons without a labelled pixel; none of those whose masks are damaged."""
    found = 0
    for mask in record.masks:
        with suppress(RecordError):
            found += not inflate_runs(mask, record.source_size).area
    return found


def _count(record: Record, classes: int, unlabelled: int) -> Statistics:
    """The statistics of one record whose runs are sound."""
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
    return f"{size[0]} x {size[1]}"
