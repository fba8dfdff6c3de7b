"""The files of a dataset of one's own: the field ``folder`` of its label file, checked.

::

    "folder": {"form": "persons",                          one mask per person, or
               "images": "images",                         folder of the images
               "masks": "masks/{image}_{person}.png"}

              {"form": "maps",                             a label map and a map of persons per image, or
               "images": "{split}/images",
               "labels": "{split}/labels/{image}.png",
               "persons": "{split}/persons/{image}.png"}   left out or null: one person per image

              {"form": "coco",                             COCO JSON
               "images": "images",
               "annotations": {"train": "train.json", "val": "val.json"},
                                                            or one file, divided by lists in "splits"
               "person": "person",                         field that names the person of a part; null: one per image
               "left_out": ["person"]}                     categories that are no classes

With any of these: ``"splits"``, a list file per split, or the names of the splits whose folders ``{split}`` stands for;
``"unlabelled"``, the splits without annotations. Without splits, all images are the split train. Paths are relative to
the source folder. ``{image}`` is the name of an image without its ending, ``{person}`` a whole number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mhpdata.errors import OptionError
from mhpdata.fields import field_of, list_at, object_at, shown, text_at
from mhpdata.label_sets.table import LabelTable
from mhpdata.source.entry import SPLITS
from mhpdata.wording import either

PERSONS, MAPS, COCO = "persons", "maps", "coco"
FORMS = (PERSONS, MAPS, COCO)
_KEYS = {
    PERSONS: {"masks"},
    MAPS: {"labels", "persons"},
    COCO: {"annotations", "person", "left_out"},
}
_COMMON_KEYS = {"form", "images", "splits", "unlabelled"}
_NAMES = re.compile(r"\{([^{}]*)\}")
TRAIN = SPLITS[0]


@dataclass(frozen=True)
class Description:
    """The files of a dataset.

    Attributes:
        form: One of FORMS.
        images: Path of the folder of the images.
        masks, labels, persons: Paths with placeholders, for the forms that have them; None without.
        annotations: {split: path of its COCO JSON}.
        person: Keys that lead to the person of an annotation; None if each image shows one person.
        left_out: Categories whose annotations are left out.
        lists: {split: path of its list, or None for all images of its folder}, in the order of SPLITS.
        unlabelled: Splits without annotations.
    """

    form: str
    images: str
    masks: str | None = None
    labels: str | None = None
    persons: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    person: tuple[str, ...] | None = None
    left_out: frozenset[str] = frozenset()
    lists: dict[str, str | None] = field(default_factory=dict)
    unlabelled: frozenset[str] = frozenset()


def describe(table: LabelTable, place: str) -> Description:
    """Return the description of the files in a label file.

    Args:
        table: The table of classes in the file.
        place: Path of the file, for errors.

    Raises:
        OptionError: The description is missing or wrong.
    """
    if table.folder is None:
        remedy = 'Add "folder": {"form": ..., "images": ..., ...}; docs/datasets.md has an example of each form.'
        raise OptionError(place, 'has no "folder"', "a description of the dataset's files", remedy)
    try:
        return _description(table.folder)
    except ValueError as error:
        remedy = "Correct this field; docs/datasets.md has an example of each form."
        raise OptionError(place, str(error), "a description of the dataset's files", remedy) from error


def _description(content: dict[str, Any]) -> Description:
    form = text_at(field_of(content, "form", "folder"), "folder.form")
    if form not in FORMS:
        raise ValueError(f"folder.form is {shown(form)}, not {either(FORMS)}")
    known = _COMMON_KEYS | _KEYS[form]
    odd = sorted(set(content) - known)
    if odd:
        raise ValueError(f'folder has the unknown key {shown(odd[0])}; "form": "{form}" has {", ".join(sorted(known))}')
    images = _path(field_of(content, "images", "folder"), "folder.images", {"split"}, set())
    annotations = _annotations(content, form)
    lists = _lists(content, "{split}" in images, annotations)
    unlabelled = frozenset(_split_names(content.get("unlabelled", []), "folder.unlabelled"))
    if unlabelled - set(lists):
        raise ValueError(f"folder.unlabelled names {min(unlabelled - set(lists))}, which is no split")
    paths: dict[str, str | None] = {}
    for key, needed in (("masks", {"image", "person"}), ("labels", {"image"}), ("persons", {"image"})):
        if key not in _KEYS[form] or (key == "persons" and content.get(key) is None):
            continue
        paths[key] = _path(field_of(content, key, "folder"), f"folder.{key}", {"split", *needed}, needed)
        if key == "masks" and "{person}" not in str(paths[key]).rpartition("/")[2]:
            raise ValueError("folder.masks has {person} in a folder, not in the name of the file")
    given = content.get("person", "person") if form == COCO else None
    person = None if given is None else tuple(text_at(given, "folder.person").split("."))
    left_out = content.get("left_out", ["person"]) if form == COCO else []
    names = [text_at(one, "folder.left_out") for one in list_at(left_out, "folder.left_out")]
    return Description(
        form,
        images,
        annotations=annotations,
        person=person,
        left_out=frozenset(names),
        lists=lists,
        unlabelled=unlabelled,
        **paths,
    )


def _annotations(content: dict[str, Any], form: str) -> dict[str, str]:
    if form != COCO:
        return {}
    given = field_of(content, "annotations", "folder")
    if isinstance(given, str):
        splits = content.get("splits")
        given = dict.fromkeys(splits if isinstance(splits, dict) else (TRAIN,), given)
    by_split = object_at(given, "folder.annotations")
    names = _split_names(list(by_split), "folder.annotations")
    if not names:
        raise ValueError("folder.annotations names no file")
    return {split: _path(by_split[split], f"folder.annotations.{split}", set(), set()) for split in names}


def _lists(content: dict[str, Any], by_folder: bool, annotations: dict[str, str]) -> dict[str, str | None]:
    """Return the list of each split, or None for all its images."""
    splits = content.get("splits")
    if splits is None:
        if by_folder and not annotations:
            raise ValueError('folder.images has {split}, but "splits" does not name the splits')
        return dict.fromkeys(annotations or (TRAIN,))
    if isinstance(splits, list):
        names = _split_names(splits, "folder.splits")
        if not by_folder and not annotations and len(names) > 1:
            raise ValueError('folder.splits names folders, but "images" has no {split}')
        found: dict[str, str | None] = dict.fromkeys(names)
    else:
        by_split = object_at(splits, "folder.splits")
        names = _split_names(list(by_split), "folder.splits")
        found = {split: _path(by_split[split], f"folder.splits.{split}", set(), set()) for split in names}
    if not found:
        raise ValueError("folder.splits names no split")
    missing = sorted(set(found) - set(annotations)) if annotations else []
    if missing:
        raise ValueError(f'folder.splits names {missing[0]}, which has no file in "annotations"')
    return found


def _split_names(value: Any, place: str) -> list[str]:
    """Return the names of splits, in the order of SPLITS."""
    names = [text_at(one, place) for one in list_at(value, place)]
    for name in names:
        if name not in SPLITS:
            raise ValueError(f"{place} names the split {shown(name)}, not {either(SPLITS)}")
    return [split for split in SPLITS if split in names]


def _path(value: Any, place: str, allowed: set[str], needed: set[str]) -> str:
    """Return a path below the source folder with placeholders, without a slash at its end."""
    path = text_at(value, place).rstrip("/")
    parts = path.split("/")
    if not path or path.startswith("/") or "\\" in path or not path.isprintable() or {"", ".", ".."} & set(parts):
        raise ValueError(f"{place} is {shown(value)}, not a path below the source folder")
    given = _NAMES.findall(path)
    odd = [name for name in given if name not in allowed]
    if odd or "{" in _NAMES.sub("", path) or "}" in _NAMES.sub("", path):
        known = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "none"
        raise ValueError(f"{place} is {shown(path)}; its placeholders may be {known}")
    for name in sorted(needed):
        if name not in given:
            raise ValueError(f"{place} is {shown(path)}, without {{{name}}}")
    return path
