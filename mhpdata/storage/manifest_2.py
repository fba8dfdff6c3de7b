"""Read and write version 2 of manifest.json; docs/format.md describes each field.

The JSON is untrusted: a value that violates the specification raises a ValueError that names the field.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from mhpdata.faults import Renamed, Value
from mhpdata.fields import count_at, digest_at, field_of, hexadecimal_at, list_at, object_at, shown, text_at
from mhpdata.images.notes import Note
from mhpdata.labels import IGNORE
from mhpdata.options import FORMATS, IMAGES, OVERLAPS
from mhpdata.storage.digests import SOURCE_BYTES, blocks_of, digests_at
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile, Skipped
from mhpdata.storage.statistics import parse_statistics

SHARD_FILE = re.compile(r"[a-z][a-z0-9_]*-[0-9]{5}\.(rec|idx|h5)")
"""Names of shards' files: split, number, and one of mhpdata.storage.shards.formats.SUFFIXES."""


def file_content(file: ShardFile) -> dict[str, Any]:
    """Return a file of a shard as JSON values."""
    return {"file": file.file, "bytes": file.bytes, "sha256": file.sha256, "blocks": file.blocks.hex()}


def shard_content(shard: Shard) -> dict[str, Any]:
    """Return a shard as JSON values."""
    return {
        "records": len(shard.names),
        "files": [file_content(file) for file in shard.files],
        "names": shard.names,
        "photos": shard.photos.hex(),
        "sources": shard.sources.hex(),
        "classes": [f"{classes:x}" for classes in shard.classes],
    }


def split_fields(split: PackedSplit) -> dict[str, Any]:
    """Return a split as JSON values."""
    return {
        "records": split.records,
        "labelled": split.labelled,
        "content": split.content,
        "statistics": vars(split.statistics),
        "shards": [shard_content(shard) for shard in split.shards],
    }


def coded(items: tuple[Skipped, ...] | tuple[Note, ...] | tuple[Renamed, ...]) -> list[dict[str, Any]]:
    """Return items with a code and values as JSON values."""
    return [asdict(item) for item in items]


def parse_fields(content: Any) -> dict[str, Any]:
    """Return the fields of a Manifest, except its version and content, from the JSON of version 2."""
    splits = object_at(field_of(content, "splits", ""), "splits")
    return {
        **parse_labels(content),
        "selection": object_at(content["selection"], "selection") if "selection" in content else None,
        "licence": _text_or_none(field_of(content, "licence", ""), "licence"),
        "citation": _text_or_none(field_of(content, "citation", ""), "citation"),
        "splits": {text_at(name, "splits"): parse_split(split, f"splits.{name}") for name, split in splits.items()},
        "skipped": parse_skipped(field_of(content, "skipped", "")),
        "notes": parse_notes(field_of(content, "notes", "")),
        "renamed": parse_renamed(field_of(content, "renamed", "")),
    }


def parse_labels(content: Any) -> dict[str, Any]:
    """Return layout, classes, left/right pairs, options and duplicates, which have the same form in both versions."""
    classes = tuple(text_at(name, "classes") for name in list_at(field_of(content, "classes", ""), "classes"))
    pairs = tuple(_pair(pair) for pair in list_at(field_of(content, "flip_pairs", ""), "flip_pairs"))
    if any(max(pair) >= len(classes) for pair in pairs) or len(classes) > 255:
        raise ValueError(f"flip_pairs is {pairs}, but there are {len(classes)} classes")
    options = object_at(field_of(content, "options", ""), "options")
    for name, choices in (("format", FORMATS), ("overlap", OVERLAPS), ("image", IMAGES)):
        if field_of(options, name, "options") not in choices:
            raise ValueError(f"options.{name} is {shown(options[name])}, not {' or '.join(choices)}")
    groups = list_at(field_of(content, "duplicates", ""), "duplicates")
    return {
        "layout": text_at(field_of(content, "layout", ""), "layout"),
        "classes": classes,
        "flip_pairs": pairs,
        "options": options,
        "duplicates": tuple(
            tuple(text_at(name, "duplicates") for name in list_at(group, "duplicates")) for group in groups
        ),
    }


def parse_split(split: Any, place: str) -> PackedSplit:
    """Parse a split from JSON values."""
    listed = list_at(field_of(split, "shards", place), f"{place}.shards")
    packed = PackedSplit(
        shards=tuple(parse_shard(shard, f"{place}.shards[{i}]") for i, shard in enumerate(listed)),
        statistics=parse_statistics(field_of(split, "statistics", place), f"{place}.statistics"),
        labelled=truth_at(field_of(split, "labelled", place), f"{place}.labelled"),
        content=digest_at(field_of(split, "content", place), f"{place}.content"),
    )
    check_records(packed, split, place)
    return packed


def check_records(packed: PackedSplit, split: Any, place: str) -> None:
    """Compare the number of records of a split with that of its shards. Raises ValueError if they differ."""
    records = count_at(field_of(split, "records", place), f"{place}.records")
    if packed.records != records:
        raise ValueError(f"{place}.records: {records} records, but {packed.records} in its shards")


def parse_shard(content: Any, place: str = "shard") -> Shard:
    """Parse a shard from JSON values."""
    files = tuple(_file(file, f"{place}.files") for file in parse_files(content, place))
    names = parse_names(content, place)
    count = len(names)
    return Shard(
        files,
        names,
        digests_at(field_of(content, "photos", place), f"{place}.photos", count),
        digests_at(field_of(content, "sources", place), f"{place}.sources", count, SOURCE_BYTES),
        parse_classes(field_of(content, "classes", place), f"{place}.classes", count),
    )


def parse_files(content: Any, place: str) -> list[Any]:
    """Return the files of a shard as JSON values. Raises ValueError unless there is one and all names are valid."""
    listed = list_at(field_of(content, "files", place), f"{place}.files")
    named = [text_at(field_of(file, "file", f"{place}.files"), f"{place}.files.file") for file in listed]
    if not named or not all(map(SHARD_FILE.fullmatch, named)):
        found = ", ".join(map(repr, named)) or "nothing"
        raise ValueError(f"{place}.files names {found}, not files such as train-00000.rec")
    return listed


def parse_names(content: Any, place: str) -> tuple[str, ...]:
    """Return the names of a shard's records. Raises ValueError unless their number is that of its records."""
    where = f"{place}.names"
    names = tuple(text_at(one, where) for one in list_at(field_of(content, "names", place), where))
    if (records := count_at(field_of(content, "records", place), f"{place}.records")) != len(names):
        raise ValueError(f"{place}.records is {records}, but there are {len(names)} names")
    if not names:
        raise ValueError(f"{place} has no records")
    return names


def parse_classes(content: Any, place: str, count: int) -> tuple[int, ...]:
    """Return the labels in each of ``count`` records as bit sets; 255 is not a label."""
    classes = tuple(hexadecimal_at(bits, place) for bits in list_at(content, place))
    if len(classes) != count or min(classes, default=0) < 0:
        raise ValueError(f"{place} has {len(classes)} numbers, not {count} of 0 or more")
    if max(classes, default=0) >> IGNORE:
        raise ValueError(f"{place} has a label above {IGNORE - 1}")
    return classes


def parse_skipped(content: Any) -> tuple[Skipped, ...]:
    """Parse skipped entries from JSON values."""
    return tuple(
        Skipped(**_texts(one, "skipped", "split", "name", "place", "code"), values=_values(one, "skipped"))
        for one in list_at(content, "skipped")
    )


def parse_notes(content: Any) -> tuple[Note, ...]:
    """Parse notes from JSON values."""
    listed, fields = list_at(content, "notes"), ("split", "name", "code")
    return tuple(Note(**_texts(one, "notes", *fields), values=_values(one, "notes")) for one in listed)


def parse_renamed(content: Any) -> tuple[Renamed, ...]:
    """Parse accepted deviations of names and lines from JSON values."""
    return tuple(
        Renamed(**_texts(one, "renamed", "split", "place", "code"), values=_values(one, "renamed"))
        for one in list_at(content, "renamed")
    )


def truth_at(value: Any, place: str) -> bool:
    """Return a boolean value."""
    if not isinstance(value, bool):
        raise ValueError(f"{place} is {shown(value)}, not true or false")
    return value


def _file(content: Any, place: str) -> ShardFile:
    size = count_at(field_of(content, "bytes", place), f"{place}.bytes")
    return ShardFile(
        content["file"],
        size,
        digest_at(field_of(content, "sha256", place), f"{place}.sha256"),
        digests_at(field_of(content, "blocks", place), f"{place}.blocks", blocks_of(size)),
    )


def _texts(content: Any, place: str, *names: str) -> dict[str, Any]:
    return {name: text_at(field_of(content, name, place), f"{place}.{name}") for name in names}


def _values(content: Any, place: str) -> tuple[Value, ...]:
    where = f"{place}.values"
    listed = list_at(field_of(content, "values", place), where)
    return tuple(value if isinstance(value, str) else count_at(value, where) for value in listed)


def _text_or_none(value: Any, place: str) -> str | None:
    return None if value is None else text_at(value, place)


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"flip_pairs has {shown(value)}, not a list of two labels")
    return count_at(value[0], "flip_pairs"), count_at(value[1], "flip_pairs")
