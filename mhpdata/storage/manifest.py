"""manifest.json: what a packed folder holds. Written last, so a folder without it is not a dataset.

Nothing in it depends on who packed, where, when or with how many workers; build.json beside it says that.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any

from mhpdata.errors import UPDATE, ManifestError, copy_again
from mhpdata.fields import count_at, digest_at, field_of, hexadecimal_at, list_at, object_at, parse_json, shown, text_at
from mhpdata.filesystem.regular import read_regular
from mhpdata.images.notes import Note, parse_notes
from mhpdata.labels import IGNORE, LabelSet, label_set
from mhpdata.options import FORMATS, OVERLAPS
from mhpdata.wording import error_in_words, is_no_file, to_read, why

NAME = "manifest.json"
_AGAIN = copy_again(NAME)
BUILD_NAME = "build.json"
FORMAT = "mhp-packed"
VERSION = 1
MAX_BYTES = 1 << 28
SHARD_FILE = re.compile(r"[a-z][a-z0-9_]*-[0-9]{5}\.(rec|idx|h5)")
"""The names of shards' files: split, number, and one of mhpdata.storage.shards.formats.SUFFIXES."""


@dataclass(frozen=True)
class ShardFile:
    """A file of a shard: its name in the packed folder, its length, its SHA-256 (hex)."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Shard:
    """One shard: its files, and the names of its records in order.

    Attributes:
        photos: SHA-256 (hex) of each record's photo file. classes: of each record the labels that occur in it as
            packed, bit c of a number for label c. Both are empty in the manifest of an mhp that did not write them.
    """

    files: tuple[ShardFile, ...]
    names: tuple[str, ...]
    photos: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()

    @property
    def stem(self) -> str:
        """The files' common name without suffix."""
        return Path(self.files[0].file).stem


@dataclass
class Statistics:
    """Counts over a split (or a part of one); pixels are counted as packed, contested ones as annotated.

    Attributes:
        images, persons, gray: how many.
        contested_images: images with contested pixels.
        contested, conflicting: source pixels labelled by several persons; with different labels.
        class_pixels, class_images: for each label, its pixels and the images that have any.
        ignored_pixels: pixels of label 255.
        unlabelled_persons: of the persons, those without a labelled pixel (all 0 or 255); no score counts them.
    """

    images: int = 0
    persons: int = 0
    gray: int = 0
    contested_images: int = 0
    contested: int = 0
    conflicting: int = 0
    class_pixels: list[int] = field(default_factory=list)
    class_images: list[int] = field(default_factory=list)
    ignored_pixels: int = 0
    unlabelled_persons: int = 0

    @property
    def labelled_persons(self) -> int:
        """The persons that scores count."""
        return self.persons - self.unlabelled_persons

    def add(self, other: Statistics) -> None:
        """Count what ``other`` counted, too."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if isinstance(value, list):
                setattr(self, name, [a + b for a, b in zip_longest(mine, value, fillvalue=0)])
            else:
                setattr(self, name, mine + value)


@dataclass(frozen=True)
class PackedSplit:
    """One split of a manifest: its shards in order, its statistics, and whether its records have labels."""

    shards: tuple[Shard, ...]
    statistics: Statistics
    labelled: bool = True

    @property
    def records(self) -> int:
        """How many records the split has."""
        return sum(len(shard.names) for shard in self.shards)


@dataclass(frozen=True)
class Skipped:
    """An entry, or a line of a list, that was left out, and the error that says why."""

    split: str
    name: str
    error: str
    message: str


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json; docs/format.md describes each field."""

    layout: str
    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    options: dict[str, Any]
    splits: dict[str, PackedSplit]
    skipped: tuple[Skipped, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    renamed: tuple[str, ...] = ()

    @property
    def labels(self) -> LabelSet:
        """The classes with their colours and left/right pairs."""
        return label_set(self.classes, self.flip_pairs)

    @property
    def files(self) -> list[ShardFile]:
        """Every file of every shard."""
        return [file for split in self.splits.values() for shard in split.shards for file in shard.files]

    def to_json(self) -> str:
        """The text of manifest.json."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "layout": self.layout,
            "classes": self.classes,
            "flip_pairs": self.flip_pairs,
            "options": self.options,
            "splits": {
                name: {
                    "records": split.records,
                    **({} if split.labelled else {"labelled": False}),
                    "statistics": statistics_content(split.statistics),
                    "shards": [shard_content(shard) for shard in split.shards],
                }
                for name, split in self.splits.items()
            },
            "skipped": [vars(skip) for skip in self.skipped],
            "duplicates": self.duplicates,
            **({"notes": [vars(note) for note in self.notes]} if self.notes else {}),
            **({"renamed": self.renamed} if self.renamed else {}),
        }
        return dump(content)

    @staticmethod
    def from_json(text: str, place: str) -> Manifest:
        """A manifest from its text.

        Raises:
            ManifestError: not the manifest of a packed folder, or of a version that this mhp does not read.
        """
        try:
            content = parse_json(text)
            format, version = field_of(content, "format", ""), count_at(field_of(content, "version", ""), "version")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ManifestError(place, f"is not a manifest ({error_in_words(error)})", "", _AGAIN) from error
        if (format, version) != (FORMAT, VERSION):
            found, expected = f"format {shown(format)}, version {version}", f'format "{FORMAT}", version {VERSION}'
            if format != FORMAT:
                raise ManifestError(place, f"is not a manifest of mhp ({found})", expected, _AGAIN)
            raise ManifestError(place, f"is of another mhp ({found})", expected, UPDATE)
        try:
            return _parse(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(place, f"a field is wrong: {error_in_words(error)}", "", _AGAIN) from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a packed folder.

    Raises:
        ManifestError: there is none (an unfinished pack, or no packed folder), or it is damaged.
    """
    path = folder / NAME
    try:
        data = read_regular(path, MAX_BYTES)
    except FileNotFoundError as error:
        remedy = f"There is no folder {folder}: pass the one that mhp-pack wrote, its --out."
        if folder.is_dir():
            remedy = (
                "Pass the folder that mhp-pack wrote; if mhp-pack was interrupted in this one, run its command again."
            )
        raise ManifestError(path, "missing", "the manifest of a packed folder", remedy) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ManifestError(path, "too large", f"at most {MAX_BYTES} bytes", _AGAIN) from error
        remedy = to_read(error, path, _AGAIN)
        if isinstance(error, NotADirectoryError):
            remedy = "Pass the folder that mhp-pack wrote, not a file."
        elif is_no_file(error):
            remedy = f"Move away what is at {path}, a folder, pipe or device. {_AGAIN}"
        raise ManifestError(path, f"cannot be read ({why(error)})", "", remedy) from error
    return Manifest.from_json(data.decode("utf-8", "replace"), str(path))


def identical(hashes: Iterable[tuple[str, bytes | str]]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more names with the same hash, in the order of their first."""
    groups: dict[bytes | str, list[str]] = {}
    for name, digest in hashes:
        groups.setdefault(digest, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def count_shared(groups: Iterable[tuple[str, ...]], splits: Iterable[str]) -> tuple[int, dict[tuple[str, str], int]]:
    """How many groups of ``identical`` photos have several of one split; and how many each two splits share.

    Args:
        groups: of names as split/name.
        splits: which, in the order wanted.
    """
    places = [[name.split("/")[0] for name in group] for group in groups]
    within = sum(len(group) > len(set(group)) for group in places)
    return within, {(a, b): sum(a in group and b in group for group in places) for a, b in combinations(splits, 2)}


_OPTIONAL = {"unlabelled_persons"}
"""Counts that a folder need not state; then they are 0, or it was packed before they were counted."""


def dump(value: object, depth: int = 0) -> str:
    """JSON with one line for a list of plain values, so that a manifest can be read by people."""
    inner = "\n" + " " * (depth + 1)
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {dump(item, depth + 1)}" for key, item in value.items()]
        brackets = "{}"
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        items = [dump(item, depth + 1) for item in value]
        brackets = "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    text = inner + f",{inner}".join(items) + "\n" + " " * depth if items else ""
    return brackets[0] + text + brackets[1] + ("\n" if depth == 0 else "")


def shard_content(shard: Shard) -> dict[str, Any]:
    """A shard for JSON."""
    content = {"records": len(shard.names), "files": [vars(file) for file in shard.files], "names": shard.names}
    return {
        **content,
        **({"photos": shard.photos} if shard.photos else {}),
        **({"classes": [f"{classes:x}" for classes in shard.classes]} if shard.classes else {}),
    }


def parse_shard(content: Any, place: str = "shard") -> Shard:
    """A shard from JSON; raises ValueError and its like, which name the field, where it is not one."""
    listed = list_at(field_of(content, "files", place), f"{place}.files")
    files = tuple(
        ShardFile(
            text_at(field_of(f, "file", f"{place}.files"), f"{place}.files.file"),
            count_at(field_of(f, "bytes", f"{place}.files"), f"{place}.files.bytes"),
            text_at(field_of(f, "sha256", f"{place}.files"), f"{place}.files.sha256"),
        )
        for f in listed
    )
    if not files or not all(SHARD_FILE.fullmatch(file.file) for file in files):
        named = ", ".join(repr(file.file) for file in files)
        raise ValueError(f"{place}.files names {named or 'nothing'}, not files such as train-00000.rec")
    name, names = f"{place}.names", field_of(content, "names", place)
    names = tuple(text_at(one, name) for one in list_at(names, name))
    if (records := count_at(field_of(content, "records", place), f"{place}.records")) != len(names):
        raise ValueError(f"{place}.records is {records}, but there are {len(names)} names")
    photo, kind = f"{place}.photos", f"{place}.classes"
    photos = tuple(digest_at(one, photo) for one in list_at(content.get("photos", []), photo))
    classes = tuple(hexadecimal_at(bits, kind) for bits in list_at(content.get("classes", []), kind))
    if len(photos) not in (0, len(names)) or len(classes) not in (0, len(names)) or min(classes, default=0) < 0:
        raise ValueError(f"{place} has {len(photos)} photos and {len(classes)} classes, and {len(names)} names")
    if max(classes, default=0) >> IGNORE:
        raise ValueError(f"{kind} has a label beyond {IGNORE - 1}")
    return Shard(files, names, photos, classes)


def statistics_content(statistics: Statistics) -> dict[str, Any]:
    """Statistics for JSON; a count that folders of older versions of mhp do not have is there only if it is not 0."""
    return {name: value for name, value in vars(statistics).items() if name not in _OPTIONAL or value}


def parse_statistics(content: Any, place: str = "statistics") -> Statistics:
    """Statistics from JSON; raises ValueError and its like, which name the field, where it is not that."""
    names = vars(Statistics())
    if odd := (set(object_at(content, place)) ^ set(names)) - (_OPTIONAL - set(content)):
        raise ValueError(f"{place} has these missing or unknown: {', '.join(sorted(odd))}")
    values: dict[str, Any] = {}
    for name in names:
        value, where = content.get(name, 0), f"{place}.{name}"
        lists = name.startswith("class")
        values[name] = [count_at(one, where) for one in list_at(value, where)] if lists else count_at(value, where)
    return Statistics(**values)


def parse_skipped(content: Any) -> tuple[Skipped, ...]:
    """What was left out, from JSON; raises ValueError and its like, which name the field, where it is not that."""
    return tuple(
        Skipped(
            **{name: text_at(field_of(skip, name, "skipped"), f"skipped.{name}") for name in Skipped.__annotations__}
        )
        for skip in list_at(content, "skipped")
    )


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"flip_pairs has {shown(value)}, not a list of two labels")
    return count_at(value[0], "flip_pairs"), count_at(value[1], "flip_pairs")


def _parse(content: Any) -> Manifest:
    splits = {}
    for name, split in object_at(field_of(content, "splits", ""), "splits").items():
        place = f"splits.{name}"
        listed = list_at(field_of(split, "shards", place), f"{place}.shards")
        shards = tuple(parse_shard(shard, f"{place}.shards[{i}]") for i, shard in enumerate(listed))
        labelled = split.get("labelled", True)
        if not isinstance(labelled, bool):
            raise ValueError(f"{place}.labelled is {shown(labelled)}, not true or false")
        statistics = parse_statistics(field_of(split, "statistics", place), f"{place}.statistics")
        splits[text_at(name, "splits")] = PackedSplit(shards, statistics, labelled)
        records = count_at(field_of(split, "records", place), f"{place}.records")
        if splits[name].records != records:
            raise ValueError(f"{place}.records: {records} records, {splits[name].records} in its shards")
    classes = tuple(text_at(name, "classes") for name in list_at(field_of(content, "classes", ""), "classes"))
    pairs = tuple(_pair(pair) for pair in list_at(field_of(content, "flip_pairs", ""), "flip_pairs"))
    if any(max(pair) >= len(classes) for pair in pairs) or len(classes) > 255:
        raise ValueError(f"flip_pairs is {pairs}, and there are {len(classes)} classes")
    options = field_of(content, "options", "")
    if field_of(options, "format", "options") not in FORMATS:
        raise ValueError(f"options.format is {shown(options['format'])}, not {' or '.join(FORMATS)}")
    if field_of(options, "overlap", "options") not in OVERLAPS:
        raise ValueError(f"options.overlap is {shown(options['overlap'])}, not {' or '.join(OVERLAPS)}")
    groups = list_at(field_of(content, "duplicates", ""), "duplicates")
    return Manifest(
        layout=text_at(field_of(content, "layout", ""), "layout"),
        classes=classes,
        flip_pairs=pairs,
        options=options,
        splits=splits,
        skipped=parse_skipped(field_of(content, "skipped", "")),
        duplicates=tuple(
            tuple(text_at(name, "duplicates") for name in list_at(group, "duplicates")) for group in groups
        ),
        notes=parse_notes(content.get("notes", [])),
        renamed=tuple(text_at(text, "renamed") for text in list_at(content.get("renamed", []), "renamed")),
    )
