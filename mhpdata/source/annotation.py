"""Read the masks of an entry's persons from its annotation files, which have one of four forms.

==== ==============================================================================================================
gray one PNG per person: MHP v1
red  one PNG per person with the label in the red channel, green and blue 0, or gray: MHP v2
maps one map of classes and one map of persons: CIHP. Persons are taken in the order of their numbers; gaps are closed.
     A pixel with a person and class 0 is background. A pixel with a class (or 255, ignored) and no person is an error,
     since labels are stored per person
coco parts of persons, drawn one person at a time (mhpdata.source.own.masks)
==== ==============================================================================================================

Each PNG may hold its labels in any of the forms of mhpdata.images.label_png. Masks are decoded one at a time, so memory
use does not depend on the number of persons. Out: the runs of each mask (mhpdata.masks.mask_runs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mhpdata.errors import EXTRACT_AGAIN, MaskError
from mhpdata.images.decode import Pixels
from mhpdata.images.label_png import decode_mask
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import MaskRuns, deflate_runs, mask_runs
from mhpdata.source.entry import COCO, MAPS, RED, Entry
from mhpdata.source.files import read_file
from mhpdata.source.own.masks import draw_persons, to_labels
from mhpdata.source.remote import Root
from mhpdata.source.source_file import SourceFile

PERSONS = 256
"""Number of values in a map of persons: 0 and up to 255 persons."""


class Person(NamedTuple):
    """One person's mask as runs, and as the compressed stream for the record (mhpdata.masks.mask_runs.deflate_runs)."""

    runs: MaskRuns
    stream: bytes


def read_persons(root: Root, entry: Entry, size: tuple[int, int], labels: int) -> Iterator[Person]:
    """Read the masks of an entry one at a time, in person order.

    Args:
        root: The source folder.
        entry: An entry with labels.
        size: (height, width) of its image.
        labels: Number of labels in the dataset.

    Raises:
        MaskError, UnreadableError, SourceChangedError: As for ``read_mask`` and ``read_maps``.
    """
    for mask in _masks(root, entry, size, labels):
        runs = mask_runs(mask)
        del mask
        yield Person(runs, deflate_runs(runs))


def _masks(root: Root, entry: Entry, size: tuple[int, int], labels: int) -> Iterator[Pixels]:
    """Decode the mask of each person, for any form of annotation."""
    assert entry.masks is not None
    if entry.form == COCO:
        yield from draw_persons(entry, size)
        return
    if entry.form == MAPS:
        classes, persons = read_maps(root, entry, size, labels)
        for person in persons_of(persons):
            yield np.where(persons == person, classes, np.uint8(0))
        return
    for file in entry.masks:
        yield _read(root, entry, file, size, labels)


def _read(root: Root, entry: Entry, file: SourceFile, size: tuple[int, int], labels: int) -> Pixels:
    """Read a map of labels of an entry; its values are labels, unless a label file gives their labels."""
    if entry.own is None:
        return read_mask(root, file, size, labels, entry.form == RED)
    return to_labels(read_mask(root, file, size, PERSONS, False), entry.own, file.path)


def read_mask(root: Root, file: SourceFile, size: tuple[int, int], labels: int, red: bool) -> Pixels:
    """Read one person's mask, uint8 (height, width).

    Raises:
        MaskError, UnreadableError, SourceChangedError: As for ``decode_mask`` and ``read_file``.
    """
    return decode_mask(read_file(root, file), file.path, size, labels, red=red)


def read_maps(root: Root, entry: Entry, size: tuple[int, int], labels: int) -> tuple[Pixels, Pixels]:
    """Read the map of classes and the map of persons of an entry with form "maps", each uint8 (height, width).

    Raises:
        MaskError: A file is not such a map, or a pixel has a class and no person.
        UnreadableError, SourceChangedError: As for ``read_file``.
    """
    assert entry.masks is not None
    file, persons_file = entry.masks
    classes = _read(root, entry, file, size, labels)
    persons = read_mask(root, persons_file, size, PERSONS, False)
    check_maps(entry, classes, persons)
    return classes, persons


def check_maps(entry: Entry, classes: Pixels, persons: Pixels) -> None:
    """Raise MaskError if a pixel has a class in an entry's first map and no person in the second."""
    assert entry.masks is not None
    file, persons_file = entry.masks
    nobody = int(np.count_nonzero((classes != 0) & (persons == 0)))
    if nobody:
        found = f"{nobody} pixels have a class in {file.path} but no person here"
        fault = ("no-person", nobody)
        raise MaskError(persons_file.path, found, "a person for each such pixel", EXTRACT_AGAIN, fault=fault)


def unlabelled_of(classes: Pixels, persons: Pixels) -> int:
    """Return the number of persons in an entry's two maps that have no labelled pixel."""
    labelled = (classes != 0) & (classes != IGNORE)
    return len(persons_of(persons)) - len(persons_of(np.where(labelled, persons, np.uint8(0))))


def persons_of(persons: Pixels) -> tuple[int, ...]:
    """Return the numbers in a map of persons in ascending order, without 0."""
    return tuple(np.flatnonzero(np.bincount(persons.reshape(-1), minlength=2)[1:]) + 1)
