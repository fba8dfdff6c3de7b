"""Read predictions in COCO's formats: persons.json and parts.json, each with regions or as a panoptic file.

::

    persons.json or persons_SPLIT.json    regions of whole persons, category 1 or the one named "person"
    parts.json or parts_SPLIT.json        regions of parts of persons; the category is the label of the class
    persons/0001.png, parts/0001.png      panoptic files only: segment id of each pixel, R + 256 G + 65536 B

A file is a list of results, as detectors write it, or an object with "annotations" and optionally "images" and
"categories", as mhp export writes it. A result has image_id, category_id, segmentation (run lengths as text or numbers,
or polygons) and score. Classes are found by the name of the category if the file has categories, otherwise the category
is the label. An image is found by its file name if the file has images; otherwise the id is its name, or, as in mhp
export, its name as a number or its position in the split.

A part may name its person: ``person_id`` is the ``id`` of an entry of persons.json (``person``, the id of a segment, in
panoptic files). If all parts do, persons have labels, which AP^p and PCP need.

Files are not trusted: sizes are checked before memory is allocated, and names lead to files of the folder only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.exporting.coco_ids import image_ids
from mhpdata.fields import field_of, list_at, object_at, parse_json, text_at
from mhpdata.filesystem.regular import read_regular
from mhpdata.masks.coco_regions import draw_region
from mhpdata.masks.merge import MAX_PERSONS
from mhpdata.wording import error_in_words, unread
from mhpmodels.files.png import decode_segments

MAX_JSON_BYTES = 1 << 31
MAX_PNG_BYTES = 1 << 28
MOST = {"persons": MAX_PERSONS, "parts": 1 << 12}
"""Maximum number of regions per image, by the kind of file."""

Id = int | str | None


class Region(NamedTuple):
    """A predicted person or part.

    Attributes:
        place: its place in the file, for error messages.
        id: its id; None if it has none.
        category: label of its class; 1 for a person.
        score: confidence score.
        person: id of its person; None for a person, and for a part without one.
        segment: its segmentation, or the id of its segment in a panoptic file.
    """

    place: str
    id: Id
    category: int
    score: float
    person: Id
    segment: Any


class CocoFile:
    """The predicted persons or parts of the images of a split.

    Attributes:
        path: path of the file.
        kind: "persons" or "parts".
        panoptic: whether pixels are in PNGs.
        regions: regions of each image that has any, in the order of the file.
    """

    def __init__(self, path: Path, names: Sequence[str], classes: Sequence[str] | None) -> None:
        """Read a file.

        Args:
            path: path of the file.
            names: names of all images of the split.
            classes: names of the classes for parts; None for persons.

        Raises:
            PredictionError: the file cannot be read, or is not in one of the formats.
        """
        self.path, self._classes = path, classes
        self.kind = "persons" if classes is None else "parts"
        self.regions: dict[str, list[Region]] = {}
        self._pngs: dict[str, str] = {}
        content = self._parse()
        self._whole = isinstance(content, dict)
        try:
            entries = list_at(content["annotations"] if self._whole else content, "annotations")
            self._categories = self._category_table(content) if self._whole else None
            self._images = self._image_table(content, names)
            self.panoptic = bool(entries) and isinstance(entries[0], dict) and "segments_info" in entries[0]
        except (KeyError, ValueError) as error:
            raise self._fault("", "annotations is missing" if isinstance(error, KeyError) else str(error)) from error
        known = 0
        for k, entry in enumerate(entries):
            place = f"annotations[{k}]"
            try:
                name = self._images.get(_id_of(field_of(object_at(entry, place), "image_id", place), place))
                known += name is not None
                if name is not None:
                    self._add(name, entry, place)
            except ValueError as error:
                raise self._fault(place, str(error)) from error
        if entries and not known:
            raise self._fault("", "no image_id is that of an image of the split")
        if known and not self.regions and not self.panoptic:
            raise self._fault("", f"no annotation has the category of a {'class' if classes else 'person'}")

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the images that the file should have an entry for, but has not."""
        there = set(self._pngs if self.panoptic else self._images.values())
        return [name for name in names if name not in there]

    def _parse(self) -> Any:
        try:
            content = parse_json(read_regular(self.path, MAX_JSON_BYTES).decode("utf-8"))
        except OSError as error:
            raise self._fault("", unread(error)) from error
        except (ValueError, RecursionError) as error:
            raise self._fault("", f"cannot be read ({error_in_words(error)})") from error
        if not isinstance(content, (list, dict)):
            raise self._fault("", "is neither a list nor an object")
        return content

    def _fault(self, place: str, found: str) -> PredictionError:
        expected = "a list of results, or an object with annotations, in COCO's format"
        remedy = "Correct the program that writes the file; docs/scores.md describes its content."
        return PredictionError(f"{self.path} {place}".rstrip(), found, expected, remedy)

    def _category_table(self, content: dict[str, Any]) -> dict[Id, int] | None:
        """Return the label of each category id that counts; None if the file has no categories."""
        if "categories" not in content:
            return None
        table: dict[Id, int] = {}
        for k, one in enumerate(list_at(content["categories"], "categories")):
            place = f"categories[{k}]"
            id, name = _id_of(field_of(one, "id", place), place), text_at(field_of(one, "name", place), f"{place}.name")
            if self._classes is None:
                table |= {id: 1} if name == "person" else {}
            elif name in self._classes:
                table[id] = list(self._classes).index(name)
            elif one.get("isthing") != 0:
                raise ValueError(f"{place}.name is {name[:40]!r}, which is no class of the dataset")
        return table

    def _image_table(self, content: Any, names: Sequence[str]) -> dict[Id, str]:
        """Return the name of the image of each id."""
        if self._whole and "images" in content:
            table: dict[Id, str] = {}
            for k, one in enumerate(list_at(content["images"], "images")):
                place = f"images[{k}]"
                file = text_at(field_of(one, "file_name", place), f"{place}.file_name")
                table[_id_of(field_of(one, "id", place), place)] = PurePosixPath(file).stem
            there = set(names)
            return {id: name for id, name in table.items() if name in there}
        return {**dict(zip(image_ids(names), names, strict=True)), **{name: name for name in names}}

    def _add(self, name: str, entry: dict[str, Any], place: str) -> None:
        """Add the regions of an entry to those of its image."""
        here = self.regions.get(name, [])
        if not self.panoptic:
            here += self._region(entry, place, field_of(entry, "segmentation", place), "person_id")
        elif name in self._pngs:
            raise ValueError(f"{place} is a second entry of image {name}")
        else:
            file = text_at(field_of(entry, "file_name", place), f"{place}.file_name")
            if PurePosixPath(file).name != file or "\\" in file or file in ("", ".", ".."):
                raise ValueError(f"{place}.file_name is {file[:80]!r}, not the name of a file")
            self._pngs[name] = file
            for k, one in enumerate(list_at(field_of(entry, "segments_info", place), f"{place}.segments_info")):
                its_place = f"{place}.segments_info[{k}]"
                segment = field_of(object_at(one, its_place), "id", its_place)
                if type(segment) is not int or not 0 <= segment < 1 << 24:
                    raise ValueError(f"{its_place}.id is not a number below 16777216")
                here += self._region(one, its_place, segment, "person")
        if len(here) > MOST[self.kind]:
            raise ValueError(f"{place} is one of more than {MOST[self.kind]} {self.kind} of image {name}")
        if here:
            self.regions[name] = here

    def _region(self, entry: dict[str, Any], place: str, segment: Any, link: str) -> list[Region]:
        """Return the region of an entry; nothing for a category that does not count."""
        id = field_of(entry, "category_id", place)
        if type(id) is not int:
            raise ValueError(f"{place}.category_id is not a whole number")
        category = id if self._categories is None else self._categories.get(id, 0)
        if category == 0 or (self._classes is None and category != 1):
            return []
        if self._classes is not None and not 0 < category < len(self._classes):
            raise ValueError(f"{place}.category_id is {id}; labels are 1 to {len(self._classes) - 1}")
        if entry.get("iscrowd", 0) != 0:
            raise ValueError(f"{place}.iscrowd is set; a prediction is one person or part")
        score = entry.get("score", 1.0) if self._whole else field_of(entry, "score", place)
        if type(score) not in (int, float) or not abs(score) < 1e300:
            raise ValueError(f"{place}.score is not a finite number")
        person = _id_of(entry.get(link), place)
        return [Region(place, _id_of(entry.get("id"), place), category, float(score), person, segment)]

    def drawer(self, name: str, size: tuple[int, int]) -> Callable[[Region], NDArray[np.bool_]]:
        """Return a function that draws a region of an image: bool of ``size``.

        Raises:
            PredictionError: a PNG is damaged or has another size; the function raises it for a region.
        """
        if self.panoptic and self.regions.get(name):
            segments = self._segments(name, size)
            return lambda region: np.asarray(segments == region.segment)
        return lambda region: self._draw(region, size)

    def _draw(self, region: Region, size: tuple[int, int]) -> NDArray[np.bool_]:
        try:
            return draw_region(region.segment, size)
        except ValueError as error:
            raise self._fault(region.place, str(error)) from error

    def _segments(self, name: str, size: tuple[int, int]) -> NDArray[np.int32]:
        path = self.path.with_suffix("") / self._pngs[name]
        try:
            data = read_regular(path, MAX_PNG_BYTES)
        except OSError as error:
            remedy = f"Write the PNGs of {self.path.name} to the folder {path.parent.name} beside it."
            raise PredictionError(path, unread(error), "a PNG", remedy) from error
        return decode_segments(data, str(path), size)


def _id_of(value: Any, place: str) -> Id:
    if value is not None and type(value) not in (int, str):
        raise ValueError(f"{place} has an id that is neither a number nor a text")
    return value  # type: ignore[no-any-return]
