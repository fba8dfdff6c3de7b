"""Read version 1 of manifest.json, which mhp 0.1 wrote, as a Manifest.

It has no digests of blocks, no contents and no digests of sources. Missing optional fields get their defaults; the
English texts on skipped entries, notes and renamed files are kept as they are.
"""

from __future__ import annotations

from typing import Any

from mhpdata.faults import WORDS, Renamed
from mhpdata.fields import count_at, digest_at, field_of, list_at, object_at, text_at
from mhpdata.images.notes import Note
from mhpdata.options import DAMAGE
from mhpdata.storage.digests import Digests
from mhpdata.storage.manifest_2 import check_records, parse_classes, parse_files, parse_labels, parse_names, truth_at
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile, Skipped
from mhpdata.storage.statistics import parse_statistics

_OPTIONAL = frozenset({"unlabelled_persons"})
"""Counts that may be missing, because they were 0 or not counted yet."""


def parse_fields(content: Any) -> dict[str, Any]:
    """Return the fields of a Manifest, except its version, from the JSON of version 1.

    Raises:
        ValueError: A field is missing or invalid; the message names it.
    """
    splits = object_at(field_of(content, "splits", ""), "splits")
    fields = parse_labels(content)
    skipped = list_at(field_of(content, "skipped", ""), "skipped")
    notes, renamed = (list_at(content.get(name, []), name) for name in ("notes", "renamed"))
    return {
        **fields,
        "options": {**fields["options"], "damaged": fields["options"].get("damaged", DAMAGE[0])},
        "splits": {text_at(name, "splits"): _split(split, f"splits.{name}") for name, split in splits.items()},
        "skipped": tuple(map(_skipped, skipped)),
        "notes": tuple(map(_note, notes)),
        "renamed": tuple(Renamed("", "", WORDS, (text_at(text, "renamed"),)) for text in renamed),
    }


def _split(split: Any, place: str) -> PackedSplit:
    listed = list_at(field_of(split, "shards", place), f"{place}.shards")
    packed = PackedSplit(
        shards=tuple(_shard(shard, f"{place}.shards[{i}]") for i, shard in enumerate(listed)),
        statistics=parse_statistics(field_of(split, "statistics", place), f"{place}.statistics", _OPTIONAL),
        labelled=truth_at(split.get("labelled", True), f"{place}.labelled"),
    )
    check_records(packed, split, place)
    return packed


def _shard(content: Any, place: str) -> Shard:
    files = tuple(
        ShardFile(
            file["file"],
            count_at(field_of(file, "bytes", f"{place}.files"), f"{place}.files.bytes"),
            text_at(field_of(file, "sha256", f"{place}.files"), f"{place}.files.sha256"),
        )
        for file in parse_files(content, place)
    )
    names, where = parse_names(content, place), f"{place}.photos"
    photos = Digests.of(digest_at(one, where) for one in list_at(content.get("photos", []), where))
    if len(photos) not in (0, len(names)):
        raise ValueError(f"{where} has {len(photos)} digests, but there are {len(names)} names")
    classes = content.get("classes", [])
    return Shard(
        files, names, photos, classes=parse_classes(classes, f"{place}.classes", len(names)) if classes != [] else ()
    )


def _skipped(content: Any) -> Skipped:
    split, name, error, message = (
        text_at(field_of(content, field, "skipped"), f"skipped.{field}")
        for field in ("split", "name", "error", "message")
    )
    return Skipped(split, name, "", WORDS, (error, message))


def _note(content: Any) -> Note:
    split, name, code, message = (
        text_at(field_of(content, field, "notes"), f"notes.{field}") for field in ("split", "name", "note", "message")
    )
    return Note(split, name, code, (message,))
