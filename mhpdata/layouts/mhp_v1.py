"""LV-MHP v1 as released: photos, one PNG mask a person, two lists.

::

    LV-MHP-v1/
      train_list.txt        0001.jpg .. 4000.jpg, one a line
      test_list.txt         4001.jpg .. 4980.jpg
      val_list.txt          not in the release; obeyed where somebody gives one
      images/               <id>.jpg
      annotations/          <id>_<NN>_<ii>.png       NN persons in the image, ii = 01..NN

The release has no list of the validation split: it is the last quarter of train_list (3,000 + 1,000 images in the
paper). A val_list.txt names it instead; its images leave the training split. Names are parsed, never matched by
prefix; persons are ordered by the number in the file name, never by the directory.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Set
from pathlib import Path

from mhpdata.errors import FolderError
from mhpdata.labels import MHP_V1
from mhpdata.layouts.entry import Entry, Listing, Problem
from mhpdata.source import Refused, SourceFile, read_file, scan_folder
from mhpdata.wording import counted

LABELS = MHP_V1
SPLITS = ("train", "val", "test")
NAMES = ("train_list.txt", "test_list.txt", "images", "annotations")
MAX_PERSONS = 99

_IMAGE = re.compile(r"([0-9]{1,9})\.jpg", re.ASCII)
_MASK = re.compile(r"([0-9]{1,9})_([0-9]{2})_([0-9]{2})\.png", re.ASCII)
_AGAIN = "Unpack the archive again, or pass --on-error skip."

Found = dict[str, SourceFile | Refused]


def matches(names: set[str]) -> bool:
    """Whether a folder with these names looks like LV-MHP v1."""
    return set(NAMES[1:]) <= names or {NAMES[0], *NAMES[2:]} <= names


def scan(root: Path) -> Listing:
    """The entries of every split, in list order, and what is wrong with the rest; one scan of each folder.

    Raises:
        FolderError: a folder is missing, or a list is not text.
    """
    top = scan_folder(root)
    images = scan_folder(root, "images")
    masks, strays = _group_masks(scan_folder(root, "annotations"))
    problems: list[Problem] = []  # those of the lists first: they concern every split
    names = _split_names(root, top, problems)
    entries: dict[str, list[Entry]] = {}
    for split in SPLITS:
        entries[split] = []
        for name in names[split]:
            try:
                entries[split].append(_entry(name, split, images, masks.get(name, {})))
            except FolderError as error:
                problems.append(Problem(split, name, error))
    listed = {name for split in SPLITS for name in names[split]}
    remarks = [f"annotations/{name}: not a mask's name (<id>_<NN>_<ii>.png)" for name in strays]
    remarks += [f"annotations: masks of image {name}, which no list names" for name in sorted(set(masks) - listed)]
    unlisted = sorted(name for name in images if name.removesuffix(".jpg") not in listed)
    remarks += [f"images/{name}: no list names it" for name in unlisted]
    return Listing("mhp-v1", LABELS, entries, problems, remarks)


def _group_masks(found: Found) -> tuple[dict[str, dict[tuple[int, int], SourceFile | Refused]], list[str]]:
    """Masks by image id, keyed (declared persons, person); and names that are no mask's."""
    groups: dict[str, dict[tuple[int, int], SourceFile | Refused]] = defaultdict(dict)
    strays = []
    for name, file in found.items():
        match = _MASK.fullmatch(name)
        if match:
            groups[match[1]][int(match[2]), int(match[3])] = file
        else:
            strays.append(name)
    return groups, sorted(strays)


def _split_names(root: Path, top: Found, problems: list[Problem]) -> dict[str, list[str]]:
    """The image ids of each split; a name is taken once, by the first list that has it."""
    taken: dict[str, str] = {}
    given = "val_list.txt" in top
    val = _read_list(root, top, "val_list.txt", taken, problems) if given else []
    test = _read_list(root, top, "test_list.txt", taken, problems)
    train = _read_list(root, top, "train_list.txt", taken, problems, leave=set(val))
    if not given:
        cut = len(train) - len(train) // 4
        train, val = train[:cut], train[cut:]
    return {"train": train, "val": val, "test": test}


def _read_list(
    root: Path,
    top: Found,
    file_name: str,
    taken: dict[str, str],
    problems: list[Problem],
    leave: Set[str] = frozenset(),
) -> list[str]:
    """The ids of one list in its order, without those in ``leave``."""
    names = []
    for number, line in enumerate(_lines(root, top, file_name, problems), 1):
        match = _IMAGE.fullmatch(line)
        place = f"{file_name} line {number}"
        if match is None:
            error = FolderError(place, repr(line[:80]), "an image name such as 0001.jpg", _AGAIN)
            problems.append(Problem("", line[:80], error))
        elif match[1] in leave:
            continue
        elif match[1] in taken:
            error = FolderError(place, f"{line} again", f"one mention ({taken[match[1]]} has it)", _AGAIN)
            problems.append(Problem("", match[1], error))
        else:
            taken[match[1]] = place
            names.append(match[1])
    return names


def _lines(root: Path, top: Found, file_name: str, problems: list[Problem]) -> list[str]:
    """The lines of a list; a missing list is a problem and has none."""
    file = top.get(file_name)
    if file is None:
        error = FolderError(file_name, "missing", "a list of the release", _AGAIN)
        problems.append(Problem("", file_name, error))
        return []
    if isinstance(file, Refused):
        raise FolderError(file.path, file.reason, "a text file", "Put the real file in its place.")
    try:
        text = read_file(root, file).decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise FolderError(file_name, "is not text", "one image name a line", "Unpack the archive again.") from cause
    if "\r" in text:
        remedy = "It was converted: unpack it again, or pass --on-error skip to skip the CR characters."
        problems.append(
            Problem("", file_name, FolderError(file_name, "lines end with CR LF", "LF, as released", remedy))
        )
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n") if text else []


def _entry(name: str, split: str, images: Found, masks: dict[tuple[int, int], SourceFile | Refused]) -> Entry:
    image = images.get(f"{name}.jpg")
    if image is None:
        raise FolderError(f"images/{name}.jpg", "missing", "the photo that the list names", _AGAIN)
    if not masks:
        raise FolderError("annotations", f"image {name} has no masks", f"{name}_<NN>_<ii>.png", _AGAIN)
    for file in (image, *masks.values()):
        if isinstance(file, Refused):
            raise FolderError(file.path, file.reason, "a regular file", "Put the real file in its place. " + _AGAIN)
    declared = sorted({persons for persons, _ in masks})
    if len(declared) > 1:
        raise FolderError(
            "annotations",
            f"masks of image {name} declare {' and '.join(map(str, declared))} persons",
            "one number",
            "Remove the masks that are not of the release. " + _AGAIN,
        )
    _check_persons(name, declared[0], sorted(person for _, person in masks))
    ordered = [masks[declared[0], person] for person in range(1, declared[0] + 1)]
    return Entry(name, split, image, tuple(ordered))  # type: ignore[arg-type]  # refused files raised above


def _check_persons(name: str, declared: int, persons: list[int]) -> None:
    if persons == list(range(1, declared + 1)):
        return
    missing = ", ".join(str(p) for p in range(1, declared + 1) if p not in persons)
    extra = ", ".join(str(p) for p in persons if not 1 <= p <= declared)
    found = f"image {name} names {counted(declared, 'person')} but has masks for {', '.join(map(str, persons))}"
    found += f"; person {missing} is missing" if missing else ""
    found += f"; person {extra} is extra" if extra else ""
    raise FolderError("annotations", found, "", _AGAIN)
