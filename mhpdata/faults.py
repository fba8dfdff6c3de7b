"""What can be wrong with a source file, as a code and values: what a manifest records of an entry that was left out.

An error's sentences may be reworded at any time, and a library's words differ between its versions; the code and its
values never do. So a manifest holds ``code`` and ``values``, and the English is made here, when it is printed.

Codes may be added without a new version of the format: ``describe`` takes those that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = int | str
Fault = tuple[Value, ...]
"""A code, which is a text, then its values in the order in which FAULTS numbers them."""

OTHER, WORDS = "other", "words"
UNREADABLE, CHANGED = "unreadable", "changed"
PASSING = frozenset({UNREADABLE, CHANGED})
"""Codes that say nothing about the data: a pack that is resumed tries such an entry again, and so does --overwrite."""

FAULTS = {
    OTHER: "cannot be used",
    UNREADABLE: "could not be read",
    CHANGED: "changed while it was being packed",
    # images and masks
    "empty": "is an empty file",
    "unknown-format": "is in no known image format",
    "unsupported-format": "is in an image format that mhp does not read",
    "damaged": "does not decode",
    "no-pixels": "declares {0} x {1} pixels",
    "too-large": "declares {0} x {1} pixels, more than mhp reads",
    "file-too-large": "has {0} bytes, more than mhp reads",
    "scans": "is a progressive JPEG of {0} scans",
    "several-images": "holds several images",
    "components": "is a JPEG with {0} components of {1} bits",
    "packed-size": "has {0} x {1} pixels, which become too many at this --size",
    # masks
    "not-png": "is a file of format {0}, not a PNG",
    "mask-size": "has {0} x {1} pixels, its image {2} x {3}",
    "not-labels": "holds no labels, or none that can be told without doubt",
    "label": "holds label {0}; the highest is {1}",
    "no-person": "has no person at {0} pixels that have a class",
    # folders and names
    "missing": "is missing",
    "refused": "is a link out of the source folder, or no regular file",
    "no-masks": "has no masks of image {0}",
    "person-counts": "has masks of image {0} that declare different numbers of persons",
    "persons": "has masks of image {0} for persons {2}, where the names declare {1}",
    # lists
    "list-line": "does not name an image",
    "list-repeat": "names image {0} again",
    "list-crlf": "has lines that end with CR LF",
    "list-lines": "follows {0} other wrong lines",
    "list-name": "is not read because of its name",
    "list-twice": "is there twice",
    "not-text": "is not text",
    # what format 1 recorded: the error's class and its sentences
    WORDS: "{1}",
}
"""The sentence of each code, to follow the name of the file."""

RENAMED = {
    "lines": "{0} lines not as released, such as line {1}, {2!r}, taken for {3}",
    "line": "1 line not as released, such as line {0}, {1!r}, taken for {2}",
    "empty-lines": "{0} empty lines, such as line {1}, passed over",
    "empty-line": "1 empty line, such as line {0}, passed over",
    "files": "{0} files taken under another name, such as {1} for {2}",
    "file": "1 file taken under another name, such as {0} for {1}",
    WORDS: "{0}",
}
"""The sentence of each code of what was taken under another name than the release's."""


def describe(table: dict[str, str], code: str, values: tuple[Value, ...]) -> str:
    """Return the sentence of a code.

    Args:
        table: FAULTS or RENAMED.
        code: one of its keys; any other is shown as it is, with its values.
        values: what the sentence is about.
    """
    try:
        return table[code].format(*values)
    except (KeyError, IndexError):  # of a newer mhp
        return " ".join([code, *map(str, values)])


@dataclass(frozen=True)
class Renamed:
    """Names or lines that are not those of the release and were taken for them.

    Attributes:
        split: that they are of; "" where they concern every split.
        place: the list or the folder, below the source folder.
        code, values: what was taken for what, of RENAMED.
    """

    split: str
    place: str
    code: str
    values: tuple[Value, ...]

    @property
    def text(self) -> str:
        """A sentence."""
        return place_before(self.place, describe(RENAMED, self.code, self.values))


def counted_code(count: int, code: str, *values: Value) -> tuple[str, tuple[Value, ...]]:
    """The code and values of ``count`` things of a code: of several the code ends with s and the count comes first."""
    return (code, values) if count == 1 else (f"{code}s", (count, *values))


def place_before(place: str, sentence: str) -> str:
    """A sentence after the place that it is about; alone where that is empty."""
    return f"{place}: {sentence}" if place else sentence
