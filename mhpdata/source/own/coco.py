"""Read COCO JSON whose annotations are parts of persons: each has a class, a region, and the person that it belongs to.

::

    {"images": [{"id": 1, "file_name": "a.jpg", "height": 480, "width": 640}, ...],
     "categories": [{"id": 1, "name": "hair"}, ...],
     "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "person": 1, "segmentation": ...}, ...]}

The parts of a person have the same value, a whole number or a text, in the field ``person``, or in another one that the
label file names ("attributes.person" is the field person of the field attributes). It counts within its image only.
Persons are taken in the order of their numbers, or else of their first parts; later parts of a person cover earlier
ones. An annotation with ``iscrowd`` and without a person is not counted (255).

Out: the parts of each image as JSON, [[annotation id, label, person from 0 or -1, segmentation], ...]; nothing is
drawn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from mhpdata.errors import WITHOUT, FolderError, SourceError
from mhpdata.fields import count_at, field_of, list_at, object_at, parse_json, shown, text_at
from mhpdata.label_sets.table import LabelTable
from mhpdata.source.own.description import Description
from mhpdata.wording import error_in_words

CROWD = -1
"""Person of a part that is not counted."""
_VALUE_CHARACTERS = 4
"""Minimum characters per value of a large JSON text: coordinates take this many."""


@dataclass
class CocoImage:
    """One image of the file.

    Attributes:
        name: Its file_name.
        size: [height, width], as stated; empty if not.
        parts: Its parts, with the values that name their persons.
        problem: The first error of its annotations.
    """

    name: str
    size: list[int]
    parts: list[tuple[Any, int, Any, Any]] = field(default_factory=list)
    problem: SourceError | None = None

    def as_json(self) -> bytes:
        """Return size and parts as JSON, the persons numbered from 0."""
        given = list(dict.fromkeys(person for _, _, person, _ in self.parts if person is not None))
        if all(isinstance(person, int) for person in given):
            given.sort()
        numbers = {person: number for number, person in enumerate(given)}
        parts = [[id, label, numbers.get(person, CROWD), region] for id, label, person, region in self.parts]
        return json.dumps({"size": self.size, "parts": parts}, separators=(",", ":")).encode()


def read_coco(data: bytes, place: str, table: LabelTable, description: Description, label_file: str) -> list[CocoImage]:
    """Return the images of a COCO file, in its order.

    Args:
        data: Content of the file.
        place: Its path, for errors.
        table: The classes.
        description: The description of the dataset.
        label_file: Path of the label file, for errors.

    Raises:
        FolderError: It is not such a file, or its categories are not the classes.
    """
    try:
        content = object_at(parse_json(data.decode("utf-8-sig"), _VALUE_CHARACTERS), "its content")
        images = _images(content)
        labels = _categories(content, table, description)
        annotations = list_at(field_of(content, "annotations", ""), "annotations")
        for k, one in enumerate(annotations):
            _add(object_at(one, f"annotations[{k}]"), (place, f"annotations[{k}]"), images, labels, description)
    except _CategoryError as error:
        remedy = f'Add it to "classes" in {label_file}, or to "left_out" to leave its annotations out.'
        raise FolderError(place, str(error), "the classes of the label file", remedy, fault=("not-text",)) from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else f"is not JSON ({error_in_words(error)})"
        remedy = "Export the annotations again as COCO JSON; docs/datasets.md shows the fields that are read."
        raise FolderError(place, reason, "COCO JSON", remedy, fault=("not-text",)) from error
    found = list(images.values())
    if annotations and not any(one.parts or one.problem for one in found):
        raise _nothing_left(place, len(annotations), content, labels, label_file)
    return found


class _CategoryError(ValueError):
    """Raised for a category that is no class."""


def _nothing_left(
    place: str, count: int, content: dict[str, Any], labels: dict[Any, int | None], label_file: str
) -> FolderError:
    """Return the error for a file all of whose annotations have categories that are left out."""
    used = {one["category_id"] for one in content["annotations"]}
    names = [shown(one["name"]) for one in content["categories"] if one["id"] in used and labels[one["id"]] is None]
    what = f"category {names[0]}, which is" if len(names) == 1 else f"categories {', '.join(names)}, which are"
    found = f"{'its annotation has' if count == 1 else f'all {count} annotations have'} the {what} left out"
    remedy = (
        f'Under "annotations" in {label_file}, name a file with the parts of persons (of mhp export, parts_train.json, '
        'with "person": "person_id"), or correct "left_out". If no image shows a person, remove these annotations.'
    )
    return FolderError(place, found, "annotations of classes", remedy, fault=("not-text",))


def _images(content: dict[str, Any]) -> dict[Any, CocoImage]:
    images: dict[Any, CocoImage] = {}
    for k, one in enumerate(list_at(field_of(content, "images", ""), "images")):
        where = f"images[{k}]"
        id = _id_at(field_of(object_at(one, where), "id", where), f"{where}.id")
        if id in images:
            raise ValueError(f"{where}.id is {shown(id)}, as that of an earlier image")
        sides = [one[side] for side in ("height", "width") if side in one]
        size = [count_at(side, f"{where} size") for side in sides] if len(sides) == 2 else []
        images[id] = CocoImage(text_at(field_of(one, "file_name", where), f"{where}.file_name"), size)
    return images


def _categories(content: dict[str, Any], table: LabelTable, description: Description) -> dict[Any, int | None]:
    """Return the label of each category; None for one whose annotations are left out."""
    names = {name: label for label, name in enumerate(table.labels.names)}
    labels: dict[Any, int | None] = {}
    for k, one in enumerate(list_at(field_of(content, "categories", ""), "categories")):
        where = f"categories[{k}]"
        name = text_at(field_of(object_at(one, where), "name", where), f"{where}.name")
        if name not in names and name not in description.left_out:
            raise _CategoryError(f"has the category {shown(name)}, which is no class")
        labels[_id_at(field_of(one, "id", where), f"{where}.id")] = names.get(name)
    return labels


def _add(
    one: dict[str, Any],
    places: tuple[str, str],
    images: dict[Any, CocoImage],
    labels: dict[Any, int | None],
    description: Description,
) -> None:
    """Add an annotation to its image; ``places``: the path of the file, and the place of the annotation in it."""
    where = places[1]
    image = images.get(_id_at(field_of(one, "image_id", where), f"{where}.image_id"))
    if image is None:
        raise ValueError(f"{where}.image_id is {shown(one['image_id'])}, which no image has")
    category = _id_at(field_of(one, "category_id", where), f"{where}.category_id")
    if category not in labels:
        raise ValueError(f"{where}.category_id is {shown(category)}, which no category has")
    label = labels[category]
    if label is None:
        return
    person: Any = 0
    if description.person is not None:
        person = one
        for key in description.person:
            person = person.get(key) if isinstance(person, dict) else None
        if person is not None and (isinstance(person, bool) or not isinstance(person, int | str)):
            raise ValueError(f"{where}.{'.'.join(description.person)} is {shown(person)}, not a whole number or a text")
        if person is None and not one.get("iscrowd") and image.problem is None:
            image.problem = _no_person(one, places, image, description.person)
    image.parts.append((one.get("id", where), label, person, field_of(one, "segmentation", where)))


def _no_person(one: dict[str, Any], places: tuple[str, str], image: CocoImage, person: tuple[str, ...]) -> FolderError:
    """Return the error for a part that names no person."""
    id = shown(one["id"]) if "id" in one else places[1]
    remedy = (
        f'Give all parts of a person the same number or text in this field, name another field under "person" in the '
        f'label file, or write "person": null there if each image shows one person. {WITHOUT}'
    )
    found, expected = f"annotation {id} of image {image.name} names no person", f'the field "{".".join(person)}"'
    return FolderError(places[0], found, expected, remedy, fault=("no-masks", image.name))


def _id_at(value: Any, place: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{place} is {shown(value)}, not a whole number or a text")
    return value
