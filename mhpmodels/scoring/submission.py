"""Read a folder of predictions in one of five forms, detected from its contents.

::

    labels      0001.png, 0002.png, ...     one label map per image, as mhp predict writes
    official    results.txt, global_seg/0001.png, global_tag/0001.png
                the form of the MHP challenge: labels, and the person of each pixel; results.txt has one line per
                image, ``0001 1 0.98 2 0.75``: the numbers of the persons in global_tag, each with its score
    masks       results.txt, masks/0001_1.png, masks/0001_2.png, ...
                one label map per person, which may overlap; results.txt as above; global_seg/ is optional
    coco        persons.json, parts.json    either or both: regions of persons and parts (mhpmodels.scoring.coco_files)
    panoptic    the same, with PNGs in persons/ and parts/

PNGs have the forms of ``mhpdata.images.label_png``: one label per pixel, at the size of the image. As in the official
code (``eval_submission.py``), a person in results.txt without a pixel in global_tag is ignored, but a mask without a
label is a prediction. Lines for images that are not scored are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import OptionError, PredictionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.kernels.arrays import Bytes, ShortWords
from mhpdata.kernels.jit import kernel
from mhpdata.label_sets.meanings import Conversion
from mhpdata.label_sets.naming import lookup
from mhpdata.labels import IGNORE
from mhpdata.options import check_path
from mhpdata.source.files import MAX_FILE_BYTES
from mhpdata.storage.split import Split
from mhpdata.wording import has, to_replace, unread
from mhpmodels.files.png import decode_labels
from mhpmodels.persons.overlap import Layer
from mhpmodels.persons.person_list import LINE, RESULTS, SEGMENTS, TAGS, read_results
from mhpmodels.scoring.absent import check_complete, command, to_split
from mhpmodels.scoring.regions import coco_paths, label_map, linked, person_layers, read_files

MASKS = "masks"
FORMS = ("labels", "official", "masks", "coco", "panoptic")
Labels = NDArray[np.uint8]


class Submission:
    """Predictions of some images, read on demand by any number of threads.

    Attributes:
        folder: folder of the predictions.
        form: one of FORMS.
        has_labels: whether the predictions contain label maps.
        has_persons: whether the predictions contain persons with labels.
        files: the files of the coco and panoptic forms, by kind ("persons", "parts").
        unknown: one of ``mhpmodels.scoring.table.UNKNOWN``.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Sequence[str],
        classes: int,
        unknown: str = "error",
        split: Split | None = None,
        to: Conversion | None = None,
    ) -> None:
        """Detect the form and check that all images have predictions.

        Args:
            folder: folder of the predictions.
            names: names of the images to score.
            classes: number of classes; labels are below it.
            unknown: one of ``mhpmodels.scoring.table.UNKNOWN``: "error" rejects out-of-range labels, "official" keeps
                them.
            split: the packed split, which the coco and panoptic forms need.
            to: table from the classes of the predictions to those of the data; None if they are the same.

        Raises:
            PredictionError: the folder is missing or has none of the forms, or predictions of some images are missing.
            OptionError: COCO's forms are to be converted; their categories name the classes of the data.
        """
        self.folder, self.unknown = check_path("pred", folder), unknown
        if not self.folder.is_dir():
            found, remedy = "is not a folder", "Pass the folder that contains the predictions."
            if not self.folder.exists():
                found = "missing"
                remedy = f"Check the spelling, or write predictions there first: {command('', self.folder)}."
            raise PredictionError(folder, found, "a folder of predictions", remedy)
        self._becomes = None if to is None else lookup(to)
        classes = classes if to is None else len(to.source.labels)
        self._classes, self._taken = classes, 256 if unknown == "official" else classes
        there = {name for name in (RESULTS, SEGMENTS, TAGS, MASKS) if (self.folder / name).exists()}
        paths = {} if split is None else coco_paths(self.folder, split.name)
        several = [name for name in (TAGS, MASKS) if name in there] + [path.name for path in paths.values()][:1]
        if len(several) > 1:
            remedy = f"Move the one that you do not want to score out of {folder}."
            found = f"both {several[0]} and {several[1]}, two forms of person predictions"
            raise PredictionError(folder, found, "one of the two", remedy)
        plain = [name for name in names if TAGS in there and (self.folder / f"{name}.png").exists()]
        if plain:
            remedy = f"Move {TAGS}, {SEGMENTS} and {RESULTS}, or these PNGs, out of {folder}."
            found = f"both {TAGS} and {plain[0]}.png: predictions with persons, and label maps without"
            raise PredictionError(folder, found, "one of the two", remedy)
        self.files = {} if split is None else read_files(paths, split, names)
        if self.files and to is not None:
            remedy = "Omit --labels, and write the names of the data's classes as the names of the categories."
            raise OptionError("labels", f"given for COCO files in {folder}", "label maps", remedy)
        if self.files:
            self.form = "panoptic" if any(file.panoptic for file in self.files.values()) else "coco"
            self.has_labels = "parts" in self.files and self.files["parts"].panoptic
            self.has_persons = len(self.files) == 2 and linked(self.files["persons"], self.files["parts"])
            return
        self.form = "official" if TAGS in there else "masks" if MASKS in there else "labels"
        self.has_persons = self.form != "labels"
        self.has_labels = self.form != "masks" or SEGMENTS in there
        self._segments = self.folder / SEGMENTS if self.has_persons else self.folder
        self._listed = read_results(self.folder / RESULTS) if self.has_persons else {}
        missing = [name for name in names if self.has_persons and name not in self._listed]
        if missing:
            found = (
                f"{len(missing)} of {len(names)} images {has(len(missing))} no line, including {', '.join(missing[:5])}"
            )
            remedy = to_split(split, set(self._listed).difference(names)) if len(missing) == len(names) else ""
            remedy = remedy or f"Add a line for each; if no person was found, it is just the id: {missing[0]}."
            raise PredictionError(self.folder / RESULTS, found, f"one line per image: its {LINE}", remedy)
        for files in self._folders:
            what = "person number" if files.name == TAGS and self.has_persons else "label"
            check_complete(files, names, what, split, keep=not self.has_persons)

    @property
    def _folders(self) -> list[Path]:
        """The folders that must contain one PNG per image."""
        return [self._segments] * self.has_labels + [self.folder / TAGS] * (self.form == "official")

    def labels(self, name: str, size: tuple[int, int]) -> Labels:
        """Return the labels of an image: uint8 of ``size``, below the number of classes if ``unknown`` is "error".

        Raises:
            PredictionError: the file is missing, damaged, of the wrong size, or has an out-of-range label.
        """
        if self.files:
            return label_map(self.files["parts"], name, size)
        return self._read(self._segments / f"{name}.png", size)

    def persons(
        self, name: str, size: tuple[int, int], labels: Labels | None = None
    ) -> tuple[list[float], list[Layer]]:
        """Return the scores of an image's persons, and their pixels in the same order.

        Args:
            name: name of the image.
            size: (height, width) of the image in pixels.
            labels: uint8 labels of the image, if already read.

        Raises:
            PredictionError: a file is missing, damaged, of the wrong size, or has an out-of-range label.
        """
        if self.files:
            return person_layers(self.files["persons"], self.files["parts"], name, size)
        listed = self._listed[name]
        if self.form == "masks":
            everybody = np.ones(size, np.uint8)
            files = [self.folder / MASKS / f"{name}_{person}.png" for person, _ in listed]
            return [score for _, score in listed], [Layer(self._read(file, size), everybody, 1) for file in files]
        tags = _decode(self.folder / TAGS / f"{name}.png", size, 1 << 16, "number of the person")
        tags = tags.astype(np.uint16, copy=False)  # 8-bit and 16-bit PNGs: the kernel has one signature
        there = np.zeros(1 << 16, np.uint8)
        _mark(tags.reshape(-1), there)
        kept = [(person, score) for person, score in listed if person < there.size and there[person]]
        if not kept:
            return [], []
        labels = self.labels(name, size) if labels is None else labels
        layers = []
        for numbers in _distinct([person for person, _ in kept]):
            number_of = np.zeros_like(there)
            number_of[numbers] = np.arange(1, len(numbers) + 1)
            owners = np.empty(size, np.uint8)
            _look_up(tags.reshape(-1), number_of, owners.reshape(-1))
            layers.append(Layer(labels, owners, len(numbers)))
        return [score for _, score in kept], layers

    def file_of_persons(self, name: str, chosen: Sequence[bool]) -> Path:
        """Return the file with the labels of the first of an image's layers that is ``chosen``."""
        if self.form != "masks":
            return self._segments / f"{name}.png"
        persons = [person for (person, _), one in zip(self._listed[name], chosen, strict=True) if one]
        return self.folder / MASKS / f"{name}_{persons[0] if persons else '*'}.png"

    def _read(self, path: Path, size: tuple[int, int]) -> Labels:
        labels = _decode(path, size, self._classes, "label")
        if int(labels.max()) >= self._taken:
            wrong = np.unique(labels[labels >= self._taken]).tolist()
            found = ", ".join(map(str, wrong[:5]))
            remedy = "Write class numbers, not colours; if your network has other classes, map them to "
            remedy += f"0 to {self._classes - 1}"
            if wrong == [IGNORE]:
                remedy = 'Write a class at every pixel: 255 means "not counted" in true labels only'
            if self.unknown == "error":
                remedy += "; or pass --unknown-labels official to count such a label as another class, as the official "
                remedy += "code does"
            raise PredictionError(path, f"label {found}", f"labels 0 to {self._taken - 1}", f"{remedy}.")
        labels = np.asarray(labels, np.uint8)
        return labels if self._becomes is None else np.asarray(self._becomes[labels], np.uint8)


def _decode(path: Path, size: tuple[int, int], labels: int, what: str) -> NDArray[Any]:
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        remedy = "Write this PNG with the program that wrote the others"
        if path.parent.name == MASKS:
            remedy += f", or remove this person from {RESULTS}"
        if not isinstance(error, FileNotFoundError):
            remedy = to_replace(error, path, f"{remedy}.").removesuffix(".")
        raise PredictionError(path, unread(error), "a PNG", f"{remedy}.") from error
    return decode_labels(data, str(path), size, labels, what=what)


def _distinct(numbers: Sequence[int]) -> list[list[int]]:
    """Split the numbers, in order, into groups without repetition (a person listed twice counts as two)."""
    groups: list[list[int]] = [[]]
    for number in numbers:
        if number in groups[-1]:
            groups.append([])
        groups[-1].append(number)
    return groups


@kernel
def _mark(values: ShortWords, there: Bytes) -> None:
    """Set ``there`` to 1 at each value that occurs. uint16 (n,), uint8 (65536,)."""
    for i in range(values.size):
        there[values[i]] = 1


@kernel
def _look_up(values: ShortWords, table: Bytes, out: Bytes) -> None:
    """Write table[values] to ``out``. uint16 (n,), uint8 (65536,), uint8 (n,).

    Takes a third of the time of ``table.take(values)``.
    """
    for i in range(values.size):
        out[i] = table[values[i]]
