"""Find the masks of persons by file name: ``<id>_<NN>_<ii>.png``, NN persons in the image, ii = 01..NN.

Names are parsed, never matched by prefix (``100_02_01.png`` does not belong to image ``10``); persons are ordered by
the number in the file name, never by directory order. An upper-case ending (``.PNG``) is accepted if unambiguous.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from mhpdata.errors import EXTRACT_AGAIN, FolderError
from mhpdata.faults import Renamed
from mhpdata.source.entry import Names
from mhpdata.source.files import Refused, SourceFile
from mhpdata.source.names import OtherNames, is_there, say_renamed
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
            remedy = f"{self._hint(id)}{EXTRACT_AGAIN}"
            raise FolderError(folder, f"image {id} has no masks", expected, remedy, fault=("no-masks", id))
        for file in masks.values():
            if isinstance(file, Refused):
                raise file.error()
        declared = sorted({persons for persons, _ in masks})
        if len(declared) > 1:
            found = f"masks of image {id} declare {' and '.join(map(str, declared))} persons"
            raise FolderError(folder, found, "one number", _extra(id), fault=("person-counts", id))
        self._check_persons(id, declared[0], sorted(person for _, person in masks))
        ordered = [masks[declared[0], person] for person in range(1, declared[0] + 1)]
        return tuple(ordered)  # type: ignore[arg-type]  # refused files raised above

    def renamed(self, split: str, ids: Iterable[str]) -> list[Renamed]:
        """Return one note on the files with other names that were accepted as masks of these images; empty if none."""
        return say_renamed(split, self._folder, [pair for id in ids for pair in self._taken.get(id, ())])

    def unlisted(self) -> list[str]:
        """Return a remark for each file that is not a mask, and for the masks of each image that no list names."""
        unlisted = sorted(id for id in self._groups if id not in self._listed)
        remarks = [f"{self._folder}/{name}: not a mask's name (<id>_<NN>_<ii>.png)" for name in sorted(self._strays)]
        return remarks + [f"{self._folder}: masks of image {id}, which no list names" for id in unlisted]

    def _add(self, match: re.Match[str], file: SourceFile | Refused) -> None:
        self._groups[match[1]][int(match[2]), int(match[3])] = file

    def _check_persons(self, id: str, declared: int, persons: list[int]) -> None:
        if persons == list(range(1, declared + 1)):
            return
        missing = ", ".join(str(p) for p in range(1, declared + 1) if p not in persons)
        extra = ", ".join(str(p) for p in persons if not 1 <= p <= declared)
        found = f"image {id} names {counted(declared, 'person')} but has masks for {', '.join(map(str, persons))}"
        found += f"; person {missing} is missing" if missing else ""
        found += f"; person {extra} is extra" if extra else ""
        remedy = _extra(id) if extra else f"{self._hint(id)}{EXTRACT_AGAIN}"
        fault = ("persons", id, declared, ", ".join(map(str, persons)))
        raise FolderError(self._folder, found, "", remedy, fault=fault)

    def _hint(self, id: str) -> str:
        """Return a hint that names files which may be the missing masks."""
        if self._others is None:
            unlisted = (name for name in self._files if name.partition("_")[0] not in self._listed)
            self._others = OtherNames({*self._strays, *unlisted})
        return is_there(self._folder, self._others.of(id), f"{id}_<NN>_<ii>.png")


def _extra(id: str) -> str:
    """Return the remedy for surplus masks, which extracting the archive again would leave in place."""
    return f"Delete the files {id}_*.png that are not in the archive. {EXTRACT_AGAIN}"
