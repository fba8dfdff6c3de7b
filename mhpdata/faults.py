"""Faults of source files as codes and values, as a manifest records them for skipped entries.

A manifest holds ``code`` and ``values``, which never change. The English is made here when it is printed, so messages
may be reworded and differ between library versions.

New codes do not need a new format version: ``describe`` prints unknown codes as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = int | str
Fault = tuple[Value, ...]
"""A code (a text), then its values in the order in which FAULTS numbers them."""

OTHER, WORDS = "other", "words"
UNREADABLE, CHANGED = "unreadable", "changed"
PASSING = frozenset({UNREADABLE, CHANGED})
"""Codes that say nothing about the data: a resumed pack, and --overwrite, try such an entry again."""

FAULTS = {
    OTHER: "cannot be used",
    UNREADABLE: "could not be read",
    CHANGED: "changed while it was being packed",
    # images and masks
    "empty": "is an empty file",
    "unknown-format": "has no known image format",
    "unsupported-format": "has an image format that mhp does not read",
    "damaged": "cannot be decoded",
    "no-pixels": "declares {0} x {1} pixels (height x width)",
    "too-large": "declares {0} x {1} pixels (height x width), more than mhp reads",
    "file-too-large": "has {0} bytes, more than mhp reads",
    "scans": "is a progressive JPEG of {0} scans",
    "several-images": "holds several images",
    "components": "is a JPEG with {0} components of {1} bits",
    "packed-size": "has {0} x {1} pixels (height x width), which become too many at this --size",
    # masks
    "not-png": "has format {0}, not PNG",
    "mask-size": "has {0} x {1} pixels, but its image has {2} x {3} (height x width)",
    "not-labels": "holds no labels, or labels in an ambiguous form",
    "label": "holds label {0}; the highest is {1}",
    "value": "holds the value {0}, which is no class",
    "region": "has an invalid region in annotation {0}",
    "no-person": "has {0} pixels with a class but no person",
    # folders and names
    "missing": "is missing",
    "refused": "is a link out of the source folder, or not a regular file",
    "no-masks": "has no masks for image {0}",
    "person-counts": "has masks for image {0} that declare different numbers of persons",
    "persons": "has masks for image {0} for persons {2}, but the file names declare {1}",
    # lists
    "list-line": "does not name an image",
    "list-repeat": "names image {0} again",
    "list-crlf": "has lines that end with CR LF",
    "list-lines": "follows {0} other invalid lines",
    "list-name": "is not read because of its name",
    "list-twice": "exists twice",
    "not-text": "is not text",
    # what format 1 recorded: the error's class and its sentences
    WORDS: "{1}",
}
"""The sentence of each code, to be printed after the name of the file."""

RENAMED = {
    "lines": "{0} lines not as released, such as line {1}, {2!r}, read as {3}",
    "line": "1 line not as released, line {0}, {1!r}, read as {2}",
    "empty-lines": "{0} empty lines ignored, such as line {1}",
    "empty-line": "1 empty line ignored, line {0}",
    "files": "{0} files used under another name, such as {1} for {2}",
    "file": "1 file used under another name: {0} for {1}",
    "unread-masks": "{0} masks not read, such as {1}: their names do not fit {2}",
    "unread-mask": "1 mask not read, {0}: its name does not fit {1}",
    WORDS: "{0}",
}
"""The sentence of each code for names and lines that were accepted though they differ, or that were not read."""


def describe(table: dict[str, str], code: str, values: tuple[Value, ...]) -> str:
    """Return the sentence of a code.

    Args:
        table: FAULTS or RENAMED.
        code: A key of the table; any other code is shown as it is, with its values.
        values: The values to format into the sentence.
    """
    try:
        return table[code].format(*values)
    except (KeyError, IndexError):  # written by a newer mhp
        return " ".join([code, *map(str, values)])


@dataclass(frozen=True)
class Renamed:
    """Names or lines of the source that were accepted though they differ from the release, or that were not read.

    Attributes:
        split: Name of the split; "" if every split is concerned.
        place: Path of the list or folder, relative to the source folder.
        code, values: What was accepted, and in place of what, or what was not read; a key of RENAMED and its values.
    """

    split: str
    place: str
    code: str
    values: tuple[Value, ...]

    @property
    def text(self) -> str:
        """The sentence that describes it."""
        return place_before(self.place, describe(RENAMED, self.code, self.values))


def counted_code(count: int, code: str, *values: Value) -> tuple[str, tuple[Value, ...]]:
    """Return the code and values for ``count`` items: for several, the code gets an s and the count comes first."""
    return (code, values) if count == 1 else (f"{code}s", (count, *values))


def place_before(place: str, sentence: str) -> str:
    """Return the sentence with its place prepended, if there is one."""
    return f"{place}: {sentence}" if place else sentence
