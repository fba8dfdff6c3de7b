"""Masks by file name, one a person: ``<id>_<NN>_<ii>.png``, NN persons in the image, ii = 01..NN.

Names are parsed, never matched by prefix (``10`` is not the beginning of ``100_02_01.png``); persons are ordered by the
number in the file name, never by the directory.
"""

from __future__ import annotations

import re
from collections import defaultdict

from mhpdata.errors import EXTRACT_AGAIN, FolderError
from mhpdata.layouts.entry import REAL_FILE, Found
from mhpdata.source import Refused, SourceFile
from mhpdata.wording import counted

_MASK = re.compile(r"([0-9]{1,9})_([0-9]{2})_([0-9]{2})\.png", re.ASCII)

Group = dict[tuple[int, int], "SourceFile | Refused"]
"""The masks of one image, by (declared persons, person)."""


def group_masks(found: Found) -> tuple[dict[str, Group], list[str]]:
    """Masks by image id; and the names that are no mask's."""
    groups: dict[str, Group] = defaultdict(dict)
    strays = []
    for name, file in found.items():
        match = _MASK.fullmatch(name)
        if match:
            groups[match[1]][int(match[2]), int(match[3])] = file
        else:
            strays.append(name)
    return groups, sorted(strays)


def order_masks(folder: str, name: str, masks: Group) -> tuple[SourceFile, ...]:
    """The masks of image ``name`` in person order.

    Args:
        folder: where they lie, for errors.

    Raises:
        FolderError: none, not as many as declared, or one that must not be read.
    """
    if not masks:
        expected = f"{name}_<NN>_<ii>.png for each of its NN persons"
        raise FolderError(folder, f"image {name} has no masks", expected, EXTRACT_AGAIN)
    for file in masks.values():
        if isinstance(file, Refused):
            raise FolderError(file.path, file.reason, "a regular file", REAL_FILE)
    declared = sorted({persons for persons, _ in masks})
    if len(declared) > 1:
        raise FolderError(
            folder,
            f"masks of image {name} declare {' and '.join(map(str, declared))} persons",
            "one number",
            _extra(name),
        )
    _check_persons(folder, name, declared[0], sorted(person for _, person in masks))
    ordered = [masks[declared[0], person] for person in range(1, declared[0] + 1)]
    return tuple(ordered)  # type: ignore[arg-type]  # refused files raised above


def _check_persons(folder: str, name: str, declared: int, persons: list[int]) -> None:
    if persons == list(range(1, declared + 1)):
        return
    missing = ", ".join(str(p) for p in range(1, declared + 1) if p not in persons)
    extra = ", ".join(str(p) for p in persons if not 1 <= p <= declared)
    found = f"image {name} names {counted(declared, 'person')} but has masks for {', '.join(map(str, persons))}"
    found += f"; person {missing} is missing" if missing else ""
    found += f"; person {extra} is extra" if extra else ""
    raise FolderError(folder, found, "", _extra(name) if extra else EXTRACT_AGAIN)


def _extra(name: str) -> str:
    """What to do about masks too many, which extracting over them leaves where they are."""
    return f"Delete those of {name}_*.png that the archive does not have. {EXTRACT_AGAIN}"
