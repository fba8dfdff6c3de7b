"""manifest.json describes a packed folder. It is written last, so a folder without it is not a dataset.

It does not depend on who packed, where, when or with how many workers; build.json beside it records that. Version 2 is
written and read (mhpdata.storage.manifest_2), version 1 only read (mhpdata.storage.manifest_1), both as a Manifest.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mhpdata import thumbnails
from mhpdata.address import Address
from mhpdata.errors import PACK_AGAIN, UPDATE, ManifestError, NoObjectError, copy_again
from mhpdata.faults import Renamed
from mhpdata.fields import count_at, digest_at, field_of, parse_json, shown
from mhpdata.filesystem.regular import read_regular
from mhpdata.images.notes import Note
from mhpdata.labels import LabelSet, label_set
from mhpdata.options import check_folder
from mhpdata.remote.requests import stopped, submit
from mhpdata.remote.store import read_object
from mhpdata.storage import manifest_1, manifest_2
from mhpdata.storage.content import pack_content
from mhpdata.storage.packed import PackedSplit, ShardFile, Skipped, contents
from mhpdata.wording import counted, error_in_words, is_no_file, printable, to_read, unread

NAME = "manifest.json"
_AGAIN = copy_again(NAME)
BUILD_NAME = "build.json"
FORMAT = "mhp-packed"
VERSION = 2
READ = {1: manifest_1.parse_fields, VERSION: manifest_2.parse_fields}
"""Supported versions, each with its parser."""
MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json; docs/format.md describes each field.

    Attributes:
        layout: Layout of the download, such as "mhp-v1".
        classes: Class names, indexed by label.
        flip_pairs: (left, right) labels to swap when an image is mirrored.
        options: Options of the pack that change bytes (``PackOptions``).
        splits: The splits by name: shards, statistics, content.
        skipped: Entries that were left out, each with the reason.
        duplicates: Groups of byte-identical images, as split/name.
        notes: Remarks on images that were packed, such as damaged metadata.
        renamed: Files that were accepted under another name than the release's, and masks that were not read.
        licence: Licence of the dataset; None if unknown.
        citation: How to cite the dataset; None if unknown.
        version: Version of the format that it was read from; version 1 has no contents, and no digests of blocks and
            sources.
        selection: How its records were selected from other packed folders (mhpdata.editing); None for a pack of a
            download, and for all records of one folder.
        written: Whether the call that returned it wrote it; False for one that was read, as by a call that found the
            folder complete. It is not part of manifest.json.
    """

    layout: str
    classes: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    options: dict[str, Any]
    splits: dict[str, PackedSplit]
    skipped: tuple[Skipped, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    notes: tuple[Note, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    licence: str | None = None
    citation: str | None = None
    version: int = VERSION
    selection: dict[str, Any] | None = None
    written: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {split.records}" for name, split in self.splits.items())
        return printable(f"<Manifest of {self.layout}, {counted(len(self.classes), 'class', 'classes')}: {splits}>")

    def _repr_html_(self) -> str:
        """Return the splits as a table, for notebooks."""
        heads = "split", "images", "persons", "shards", "MB"
        lines = [split.in_words(name) for name, split in self.splits.items()]
        below = [f"{word}: {text}" for word, text in (("Licence", self.licence), ("Cite", self.citation)) if text]
        if self.skipped:
            below.append(f"{counted(len(self.skipped), 'entry', 'entries')} skipped")
        return thumbnails.table(repr(self), heads, lines, below)

    @property
    def labels(self) -> LabelSet:
        """The classes with their colours and left/right pairs."""
        return label_set(self.classes, self.flip_pairs)

    @property
    def files(self) -> list[ShardFile]:
        """Every file of every shard."""
        return [file for split in self.splits.values() for shard in split.shards for file in shard.files]

    @property
    def content_id(self) -> str | None:
        """SHA-256 (hex) of the folder's content (mhpdata.storage.content); None for version 1, which lacks it."""
        if self.version == 1:
            return None
        return pack_content(self.layout, self.classes, self.flip_pairs, contents(self.splits))

    def to_json(self) -> str:
        """Return the text of manifest.json.

        Raises:
            ManifestError: The manifest was read from version 1, and lacks fields of version 2.
        """
        if self.version != VERSION:
            raise ManifestError(NAME, f"has version {self.version}", f"version {VERSION}", PACK_AGAIN)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "content": self.content_id,
            "layout": self.layout,
            "licence": self.licence,
            "citation": self.citation,
            "classes": self.classes,
            "flip_pairs": self.flip_pairs,
            "options": self.options,
            **({} if self.selection is None else {"selection": self.selection}),
            "splits": {name: manifest_2.split_fields(split) for name, split in self.splits.items()},
            "skipped": manifest_2.coded(self.skipped),
            "renamed": manifest_2.coded(self.renamed),
            "notes": manifest_2.coded(self.notes),
            "duplicates": self.duplicates,
        }
        return dump(content)

    @staticmethod
    def from_json(text: str, place: str) -> Manifest:
        """Parse the text of a manifest.

        Args:
            text: Content of manifest.json.
            place: Path of the file, for errors.

        Raises:
            ManifestError: The text is not the manifest of a packed folder, or has an unsupported version.
        """
        try:
            content = parse_json(text)
            del text  # 70 MB for a large folder, and the values take as much again
            format, version = field_of(content, "format", ""), count_at(field_of(content, "version", ""), "version")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ManifestError(place, f"is not a manifest ({error_in_words(error)})", "", _AGAIN) from error
        if format != FORMAT or version not in READ:
            known = " or ".join(map(str, READ))
            if format != FORMAT:
                found, expected = f"format {shown(format)}, version {version}", f'format "{FORMAT}", version {known}'
                raise ManifestError(place, f"is not a manifest of mhp ({found})", expected, _AGAIN)
            raise ManifestError(place, f"manifest version {version}", known, UPDATE)
        try:
            manifest = Manifest(**READ[version](content), version=version)
            if version != 1 and digest_at(field_of(content, "content", ""), "content") != manifest.content_id:
                raise ValueError("content is not the digest of its layout, classes and splits")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(place, f"invalid field: {error_in_words(error)}", "", _AGAIN) from error
        return manifest


def read_manifest(folder: str | os.PathLike[str] | Address) -> Manifest:
    """Read the manifest of a packed folder: a path or an address.

    Raises:
        ManifestError: The manifest is missing (an unfinished pack, or not a packed folder) or damaged.
        RemoteError, MissingError: It has an address and cannot be read.
        OptionError: The address is invalid.
    """
    place = check_folder("folder", folder)
    if isinstance(place, Path):
        return Manifest.from_json(_read_text(place), str(place / NAME))
    try:
        return Manifest.from_json(_request_text(place), str(place / NAME))
    except ManifestError as error:
        if isinstance(error.__cause__, NoObjectError):
            raise
    return Manifest.from_json(_request_text(place), str(place / NAME))  # bytes may be changed on their way


def _request_text(folder: Address) -> str:
    """Return the text of the manifest at an address."""
    place = folder / NAME
    try:
        return bytes(submit(read_object, place, MAX_BYTES, stopped).result()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(place, f"is not a manifest ({error_in_words(error)})", "UTF-8", _AGAIN) from error
    except NoObjectError as error:
        remedy = (
            "Pass the address of a folder that mhp pack wrote, with the name of the bucket first in s3:// and gs://."
        )
        raise ManifestError(place, "missing", "the manifest of a packed folder", remedy) from error


def _read_text(folder: Path) -> str:
    path = folder / NAME
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(path, f"is not a manifest ({error_in_words(error)})", "UTF-8", _AGAIN) from error
    except FileNotFoundError as error:
        if not folder.is_dir():
            expected = "a packed folder, the --out of mhp pack"
            raise ManifestError(folder, "no such folder", expected, f'Correct the path "{folder}".') from error
        remedy = "Pass the folder that mhp pack wrote; if mhp pack was interrupted here, run its command again."
        if _has_folders(folder):
            remedy = "Pass the folder that mhp pack wrote. If this is a download, check it with mhp verify --src "
            remedy += f"{folder}, and pack it with mhp pack --src {folder} --out rec."
        raise ManifestError(path, "missing", "the manifest of a packed folder", remedy) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ManifestError(path, "too large", f"at most {MAX_BYTES} bytes", _AGAIN) from error
        remedy = to_read(error, path, _AGAIN)
        if isinstance(error, NotADirectoryError):
            remedy = "Pass the folder that mhp pack wrote, not a file."
        elif is_no_file(error):
            remedy = f"Move the folder, pipe or device at {path} away. {_AGAIN}"
        raise ManifestError(path, unread(error), "", remedy) from error


def _has_folders(folder: Path) -> bool:
    """Return whether a folder has visible folders in it, as downloads do and packed folders do not."""
    with suppress(OSError):
        return any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir())
    return False


def dump(value: object, depth: int = 0) -> str:
    """Return JSON for human readers: indented, but with lists of simple values on one line."""
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
