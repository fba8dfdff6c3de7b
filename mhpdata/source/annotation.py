"""The annotation files of an entry to the masks of its persons: the one place that knows in what form labels lie.

==== ==============================================================================================================
gray a PNG a person: MHP v1
red  a PNG a person, whose label may be in the red channel, the others 0: MHP v2
maps one map of classes and one of persons: CIHP. Persons are in the order of their numbers, gaps closed. A pixel with a
     person and class 0 is background; one with a class (or 255, not counted) and no person is an error, as labels come
     from the masks of persons
==== ==============================================================================================================

Each PNG may hold its labels in any of the forms of mhpdata.images.label_png. Masks are decoded one at a time, so memory
does not depend on the number of persons. Out: the runs of a mask (mhpdata.masks.mask_runs).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mhpdata.errors import EXTRACT_AGAIN, MaskError
from mhpdata.images.decode import Pixels, decode_mask
from mhpdata.labels import IGNORE
from mhpdata.masks.mask_runs import LazyMasks, MaskRuns, deflate_runs, inflate_runs, mask_runs
from mhpdata.source.entry import MAPS, RED, Entry
from mhpdata.source.files import SourceFile, read_file

PERSONS = 256
"""Values of a map of persons: 0 and up to 255 persons."""


class Masks(LazyMasks):
    """The masks of an entry as runs, decoded when asked for; never more than one is held.

    The first access of a mask reads and checks its file and keeps the compressed runs for the record (``streams``);
    later ones inflate those, so a file is read once. ``size`` is (height, width) of all; ``unlabelled`` counts the
    masks so far that have no label, of which 255 is none.
    """

    def __init__(self, root: Path, entry: Entry, size: tuple[int, int], labels: int) -> None:
        """Of an entry that has labels; ``labels`` is how many the dataset has."""
        assert entry.masks is not None
        self._root, self._files, self.size, self._labels = root, entry.masks, size, labels
        self._red = entry.form == RED
        self._maps = read_maps(root, entry, size, labels) if entry.form == MAPS else None
        self._persons = () if self._maps is None else persons_of(self._maps[1])
        self.streams: list[bytes] = []
        self.unlabelled = 0

    def __len__(self) -> int:
        return len(self._files) if self._maps is None else len(self._persons)

    def _mask(self, person: int) -> MaskRuns:
        if person < 0 or person >= len(self):
            raise IndexError(person)
        if person < len(self.streams):
            return inflate_runs(self.streams[person], self.size)
        assert person == len(self.streams), "masks are first taken in person order"
        runs = mask_runs(self._decode(person))
        self.streams.append(deflate_runs(runs))
        self.unlabelled += not runs.area
        return runs

    def _decode(self, person: int) -> Pixels:
        if self._maps is not None:
            classes, persons = self._maps
            return np.where(persons == self._persons[person], classes, np.uint8(0))
        return read_mask(self._root, self._files[person], self.size, self._labels, self._red)


def read_mask(root: Path, file: SourceFile, size: tuple[int, int], labels: int, red: bool) -> Pixels:
    """One person's mask.

    Raises:
        MaskError, UnreadableError, SourceChangedError: as ``decode_mask`` and ``read_file``.
    """
    return decode_mask(read_file(root, file), file.path, size, labels, red=red)


def read_maps(root: Path, entry: Entry, size: tuple[int, int], labels: int) -> tuple[Pixels, Pixels]:
    """The map of classes and the map of persons of an entry in the form "maps".

    Raises:
        MaskError: one is no such map, or a pixel has a class and no person.
        UnreadableError, SourceChangedError: as ``read_file``.
    """
    assert entry.masks is not None
    file, persons_file = entry.masks
    classes = read_mask(root, file, size, labels, False)
    persons = read_mask(root, persons_file, size, PERSONS, False)
    check_maps(entry, classes, persons)
    return classes, persons


def check_maps(entry: Entry, classes: Pixels, persons: Pixels) -> None:
    """Raises MaskError where a pixel of an entry's two maps has a class and no person."""
    assert entry.masks is not None
    file, persons_file = entry.masks
    nobody = int(np.count_nonzero((classes != 0) & (persons == 0)))
    if nobody:
        found = f"{nobody} pixels have a class in {file.path} and no person here"
        raise MaskError(persons_file.path, found, "a person for each", EXTRACT_AGAIN)


def unlabelled_of(classes: Pixels, persons: Pixels) -> int:
    """How many persons of an entry's two maps have no labelled pixel."""
    labelled = (classes != 0) & (classes != IGNORE)
    return len(persons_of(persons)) - len(persons_of(np.where(labelled, persons, np.uint8(0))))


def persons_of(persons: Pixels) -> tuple[int, ...]:
    """The numbers in a map of persons, rising, without 0."""
    return tuple(np.flatnonzero(np.bincount(persons.reshape(-1), minlength=2)[1:]) + 1)
