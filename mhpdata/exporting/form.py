"""The interface of a form of export. The rest (folders, order, resuming) is the same for all forms.

::

    record ─View─> Form.piece ─> files of the sample, written at once
                                 rows, collected in blocks ─> Form.joined: the files that hold the rows of all samples
                   Form.finish ─> small files, such as lists and the configuration of a trainer

A piece depends on its view only, so pieces can be made in any order, on any number of threads, and made again after an
interruption. Ids are computed from the position of a sample in its split, never counted.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from mhpdata.errors import OptionError
from mhpdata.exporting.output import WORK, Output
from mhpdata.exporting.rows import Block, Rows, Sink
from mhpdata.exporting.view import View
from mhpdata.labels import LabelSet
from mhpdata.storage.manifest import Manifest

_SPLIT = re.compile("[A-Za-z0-9_-]{1,64}")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")
_NAME_BYTES = 200
"""Maximum bytes of a name; file systems allow 255 with an ending."""
SUBSET = "Choose another form, or export splits without it: --split (in Python: splits=[...])."
"""Remedy for a sample that a form cannot express."""


@dataclass(frozen=True)
class Plan:
    """The data to export.

    Attributes:
        manifest: Manifest of the packed folder.
        splits: Names of the images of each split, in order.
        at: "packed" or "source", the size of images and labels.
        images: Whether to write the images, too.
    """

    manifest: Manifest
    splits: dict[str, tuple[str, ...]]
    at: str
    images: bool

    @property
    def labels(self) -> LabelSet:
        """The classes of the dataset."""
        return self.manifest.labels

    @property
    def ending(self) -> str:
        """The ending of image files: .jpg if the images are stored as JPEGs, otherwise .png."""
        return ".jpg" if self.manifest.options["image"] == "jpeg" or not self.images else ".png"

    def labelled(self, split: str) -> bool:
        """Return whether a split has labels."""
        return self.manifest.splits[split].labelled


class Piece(NamedTuple):
    """The share of one sample in an export.

    Attributes:
        files: Path below the export, and content, of each of its files.
        rows: For each key of rows, the lines that it adds there.
        persons: Number of persons that it exports.
        values: Input of a sink of the form's own.
    """

    files: Sequence[tuple[str, bytes]] = ()
    rows: Mapping[str, Sequence[bytes]] = MappingProxyType({})
    persons: int = 0
    values: Any = None


@dataclass(frozen=True)
class Joined:
    """A file made of the rows of a split.

    Attributes:
        path: Path below the export.
        split: Name of the split.
        parts: The content: text, or the key (a tuple of one) of rows, which are separated by ",\\n".
    """

    path: str
    split: str
    parts: Sequence[bytes | tuple[str]]


class Form(ABC):
    """Base of all forms: one object per export.

    Args:
        plan: What to export.

    Raises:
        OptionError: The form cannot express it.
    """

    name: str
    reader: str
    """Sentences for README.txt: how to read the export."""
    block = 64
    """Samples per block: what a kill can cost."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        check_names(plan)

    @abstractmethod
    def folders(self) -> Iterable[str]:
        """Return the folders of the export, each after the one above it."""

    @abstractmethod
    def piece(self, split: str, view: View) -> Piece:
        """Return what a sample adds. Raises RecordError if it is damaged, OptionError if it cannot be expressed."""

    def joined(self) -> Iterable[Joined]:
        """Return the files made of rows."""
        return ()

    def sink(self, output: Output, split: str, block: Block) -> Sink:
        """Return the sink of a block of samples; by default one that collects rows."""
        return Rows(output.work / f"{split}-{block.number:05d}")

    def place_of_rows(self, name: str) -> str:
        """Return the path, below the export, of a file that a sink has written."""
        return f"{WORK}/{name}"

    def kept_rows(self, sizes: dict[str, int]) -> dict[str, int]:
        """Return those of a sink's files, with their sizes, that are files of the export."""
        return {}

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of further files, written last."""
        yield from ()

    def image(self, folder: str, view: View, ending: str = "") -> list[tuple[str, bytes]]:
        """Return the image file of a sample, as stored if it is a JPEG; nothing if images are not exported."""
        if not self.plan.images:
            return []
        return [(f"{folder}/{view.name}{ending or self.plan.ending}", view.photo())]


def check_names(plan: Plan) -> None:
    """Raise OptionError unless the names of the images can be names of files, on any disk."""
    for split, names in plan.splits.items():
        if not _SPLIT.fullmatch(split):
            found, expected = f"has a split called {split[:80]!r}", "letters, digits, _ and - only"
            raise OptionError("folder", found, expected, "Export its other splits.")
        known: dict[str, str] = {}
        for name in names:
            if _UNSAFE.search(name) or name in ("", ".", "..") or len(name.encode()) > _NAME_BYTES:
                found, expected = (
                    f"{name[:80]!r} of split {split}",
                    f"a name of a file, at most {_NAME_BYTES} bytes long",
                )
                raise OptionError(
                    "folder", f"has an image called {found}", expected, "Rename the image and pack again."
                )
            if (other := known.get(name.casefold())) is not None:
                found = f"has images {other!r} and {name!r} in split {split}, which are one file on some disks"
                raise OptionError("folder", found, "different names", "Rename one of them and pack again.")
            known[name.casefold()] = name


def lines(names: Iterable[str], ending: str = "") -> bytes:
    """Return a list file with one name per line."""
    return "".join(f"{name}{ending}\n" for name in names).encode()
