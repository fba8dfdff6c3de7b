"""Find the masks of persons by file name: ``<id>_<NN>_<ii>.png``, NN persons in the image, ii = 01..NN.

Names are parsed, never matched by prefix (``100_02_01.png`` does not belong to image ``10``); persons are ordered by
the number in the file name, never by directory order. An upper-case ending (``.PNG``) is accepted if unambiguous.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from mhpdata.errors import WITHOUT, FolderError
from mhpdata.faults import Renamed
from mhpdata.source.entry import Names
from mhpdata.source.names import SHOWN, OtherNames, how_to_restore, say_renamed
from mhpdata.source.source_file import Refused, SourceFile
from mhpdata.wording import counted

_MASK = re.compile(r"([0-9]{1,9})_([0-9]{2})_([0-9]{2})\.png", re.ASCII | re.IGNORECASE)

Group = dict[tuple[int, int], "SourceFile | Refused"]
"""The masks of one image, by (declared persons, person)."""


class PersonMasks:
    """The masks of a folder by image and person.

    Args:
        files: Files in the folder by name.
        folder: Path of the folder, relative to the source folder.
        listed: Ids that the lists name.
    """

    def __init__(self, files: Names, folder: str, listed: Collection[str]) -> None:
        self._files, self._folder, self._listed = files, folder, listed
        self._groups: dict[str, Group] = defaultdict(dict)
        self._taken: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._strays: list[str] = []
        self._others: OtherNames | None = None
        near: dict[str, list[str]] = defaultdict(list)
        for name, file in files.items():
            match = _MASK.fullmatch(name)
            if match is None:
                self._strays.append(name)
            elif name.endswith(".png"):
                self._add(match, file)
            else:
                near[f"{name[:-4]}.png"].append(name)
        for wanted, names in near.items():
            match = _MASK.fullmatch(wanted)
            if match is None or wanted in files or len(names) > 1:
                self._strays += names
            else:
                self._add(match, files[names[0]])
                self._taken[match[1]].append((names[0], wanted))

    def find(self, id: str) -> tuple[SourceFile, ...]:
        """Return the masks of an image in person order.

        Raises:
            FolderError: There are no masks, their number differs from the declared one, or one must not be read.
        """
        masks, folder = self._groups.get(id, {}), self._folder
        if not masks:
            expected = f"{id}_<NN>_<ii>.png for each of its NN persons"
            raise FolderError(folder, f"image {id} has no masks", expected, self._restore(id), fault=("no-masks", id))
        for file in masks.values():
            if isinstance(file, Refused):
                raise file.error(otherwise=WITHOUT)
        declared = sorted({persons for persons, _ in masks})
        if len(declared) > 1:
            few = " and ".join(self._name(next(key for key in sorted(masks) if key[0] == n), masks) for n in declared)
            found = f"masks of image {id} declare {' and '.join(map(str, declared))} persons ({few})"
            raise FolderError(
                folder, found, "one number", _delete("the wrong files", "they are"), fault=("person-counts", id)
            )
        self._check_persons(id, declared[0], masks)
        ordered = [masks[declared[0], person] for person in range(1, declared[0] + 1)]
        return tuple(ordered)  # type: ignore[arg-type]  # refused files raised above

    def renamed(self, split: str, ids: Iterable[str]) -> list[Renamed]:
        """Return one note on the files with other names that were accepted as masks of these images; empty if none."""
        return say_renamed(split, self._folder, [pair for id in ids for pair in self._taken.get(id, ())])

    def unlisted(self) -> list[str]:
        """Return a remark for each file that is not a mask, and for the masks of each image that no list names."""
        unlisted = sorted(id for id in self._groups if id not in self._listed)
        remarks = [f"{self._folder}/{name}: not a mask's name (<id>_<NN>_<ii>.png)" for name in sorted(self._strays)]
        return remarks + [f"{self._folder}: masks of image {id}, which is in no list" for id in unlisted]

    def _add(self, match: re.Match[str], file: SourceFile | Refused) -> None:
        self._groups[match[1]][int(match[2]), int(match[3])] = file

    def _check_persons(self, id: str, declared: int, masks: Group) -> None:
        persons, wanted = sorted(person for _, person in masks), range(1, declared + 1)
        if persons == list(wanted):
            return
        fault = ("persons", id, declared, ", ".join(map(str, persons)))
        if extra := [person for person in persons if person not in wanted]:
            files = _few([self._name((declared, person), masks) for person in extra])
            found = f"image {id} has {'a mask' if len(extra) == 1 else 'masks'} for {_persons(extra)} ({files})"
            remedy = _delete("this file", "it is") if len(extra) == 1 else _delete("these files", "they are")
            raise FolderError(self._folder, found, _persons(wanted), remedy, fault=fault)
        missing = [f"{id}_{declared:02d}_{person:02d}.png" for person in wanted if person not in persons]
        found = f"{_few(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        expected = f"{counted(declared, 'mask')} for image {id}, found only {_persons(persons)}"
        raise FolderError(self._folder, found, expected, self._restore(id), fault=fault)

    def _name(self, key: tuple[int, int], masks: Group) -> str:
        """Return the file name of a mask."""
        return masks[key].path.rpartition("/")[2]

    def _restore(self, id: str) -> str:
        """Return the remedy for missing masks, which names files that may be these."""
        if self._others is None:
            unlisted = (name for name in self._files if name.partition("_")[0] not in self._listed)
            self._others = OtherNames({*self._strays, *unlisted})
        return how_to_restore(self._folder, self._others.of(id), f"{id}_<NN>_<ii>.png")


def _delete(files: str, they_are: str) -> str:
    """Return the remedy for surplus masks, which extracting the archive over them would leave in place."""
    remedy = f"Delete {files} if {they_are} not in the archive, or extract the archive into an empty folder."
    return f"{remedy} {WITHOUT}"


def _persons(numbers: Sequence[int]) -> str:
    """Return persons in words: "person 3", "persons 1 and 2", "no person"."""
    if not numbers:
        return "no person"
    return f"person{'s' * (len(numbers) > 1)} {_joined(list(map(str, numbers)))}"


def _few(names: list[str]) -> str:
    """Return the first names of a list, and the number of the others."""
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return _joined(names[:SHOWN] + more)


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])
