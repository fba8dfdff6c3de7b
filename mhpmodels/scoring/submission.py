"""A folder of somebody's predictions, in one of three forms, told from what is in it.

::

    labels      0001.png, 0002.png, ...     the labels of each image: what mhp-predict writes
    official    results.txt, global_seg/0001.png, global_tag/0001.png
                the form of the MHP challenge: labels, and whose each pixel is; results.txt has a line an image,
                ``0001 1 0.98 2 0.75``: the numbers of the persons in global_tag, each with its score
    masks       results.txt, masks/0001_1.png, masks/0001_2.png, ...
                a label map a person, which may overlap; results.txt as above. global_seg/ may be there, too

PNGs are of the forms of ``mhpdata.images.label_png``, each pixel its label, all of an image's own size. As in the
official code (``eval_submission.py``), a person of results.txt without a pixel in global_tag is none; a mask without a
label,
though, is a prediction. Lines of images that are not scored are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.kernels.arrays import Bytes, ShortWords
from mhpdata.kernels.jit import kernel
from mhpdata.source.files import MAX_FILE_BYTES
from mhpdata.wording import to_replace, why
from mhpmodels.files.png import decode_labels
from mhpmodels.scoring.overlap import Layer
from mhpmodels.scoring.person_list import LINE, RESULTS, read_results

SEGMENTS, TAGS, MASKS = "global_seg", "global_tag", "masks"
FORMS = ("labels", "official", "masks")
Labels = NDArray[np.uint8]


class Submission:
    """Predictions of some images, read when they are asked for, by any number of threads.

    Attributes:
        folder: where they lie.
        form: of FORMS.
        has_labels, has_persons: what they say of an image.
        unknown: as asked for.
    """

    def __init__(self, folder: str | Path, names: Sequence[str], classes: int, unknown: str = "error") -> None:
        """Look what is there.

        Args:
            folder: of one of the forms.
            names: the images that are to be scored.
            classes: labels are below this number.
            unknown: of ``mhpmodels.scoring.table.UNKNOWN``: "error", or labels are handed on as they are.

        Raises:
            PredictionError: none of the forms, or not all images are predicted.
        """
        self.folder, self.unknown = Path(folder), unknown
        self._classes, self._taken = classes, 256 if unknown == "official" else classes
        there = {name for name in (RESULTS, SEGMENTS, TAGS, MASKS) if (self.folder / name).exists()}
        if TAGS in there and MASKS in there:
            remedy = f"Keep the one that your program wrote, and move the other out of {folder}."
            found = f"holds {TAGS} and {MASKS}, which are two forms of persons' predictions"
            raise PredictionError(folder, found, "one of the two", remedy)
        self.form = "official" if TAGS in there else "masks" if MASKS in there else "labels"
        self.has_persons = self.form != "labels"
        self.has_labels = self.form != "masks" or SEGMENTS in there
        self._segments = self.folder / SEGMENTS if self.has_persons else self.folder
        self._listed = read_results(self.folder / RESULTS) if self.has_persons else {}
        missing = [name for name in names if self.has_persons and name not in self._listed]
        if missing:
            found = f"{len(missing)} images have no line, {', '.join(missing[:5])} among them"
            remedy = f"Add these lines; where no person was found, the id alone: {missing[0]}."
            raise PredictionError(self.folder / RESULTS, found, f"a line for each image: its {LINE}", remedy)
        for files in self._folders:
            missing = [name for name in names if not (files / f"{name}.png").is_file()]
            if missing:
                found = f"{len(missing)} of {len(names)} images have no PNG, {', '.join(missing[:5])} among them"
                what = "the number of the person" if files.name == TAGS and self.has_persons else "the label"
                remedy = f"Write {files / missing[0]}.png and the others, {what} at each pixel"
                if not self.has_persons:
                    command = f"mhp-predict --keep --checkpoint RUN --data REC --split SPLIT --out {files}"
                    remedy += f", as {command} does; or check the spelling of --pred"
                raise PredictionError(files, found, "one for each image, named by its id", f"{remedy}.")

    @property
    def _folders(self) -> list[Path]:
        """Those that hold a PNG for each image."""
        return [self._segments] * self.has_labels + [self.folder / TAGS] * (self.form == "official")

    def labels(self, name: str, size: tuple[int, int]) -> Labels:
        """The labels of an image: uint8 of ``size``, below the number of classes if no other is to be taken.

        Raises:
            PredictionError: the file is missing, damaged, of another size, or holds a label that does not exist.
        """
        return self._read(self._segments / f"{name}.png", size)

    def persons(
        self, name: str, size: tuple[int, int], labels: Labels | None = None
    ) -> tuple[list[float], list[Layer]]:
        """The persons of an image: their scores, and their pixels in the same order.

        Args:
            name, size: of the image.
            labels: of the image, if they have been read.

        Raises:
            PredictionError: as for ``labels``.
        """
        listed = self._listed[name]
        if self.form == "masks":
            everybody = np.ones(size, np.uint8)
            files = [self.folder / MASKS / f"{name}_{person}.png" for person, _ in listed]
            return [score for _, score in listed], [Layer(self._read(file, size), everybody, 1) for file in files]
        tags = _decode(self.folder / TAGS / f"{name}.png", size, 1 << 16, "number of the person")
        tags = tags.astype(np.uint16, copy=False)  # of both kinds of PNG: a kernel has one signature
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
        """The file that the labels of the persons of an image are in: of the first layer that is ``chosen``."""
        if self.form != "masks":
            return self._segments / f"{name}.png"
        persons = [person for (person, _), one in zip(self._listed[name], chosen, strict=True) if one]
        return self.folder / MASKS / f"{name}_{persons[0] if persons else '*'}.png"

    def _read(self, path: Path, size: tuple[int, int]) -> Labels:
        labels = _decode(path, size, self._classes, "label")
        if int(labels.max()) >= self._taken:
            found = ", ".join(map(str, np.unique(labels[labels >= self._taken])[:5].tolist()))
            remedy = (
                "If this PNG holds colours, write class numbers; if your network has other classes, map them to 0 to "
            )
            remedy += f"{self._classes - 1}"
            if self.unknown == "error":
                remedy += "; or pass --unknown-labels official, which counts such a label as another, as the official "
                remedy += "code does"
            raise PredictionError(path, f"label {found}", f"labels 0 to {self._taken - 1}", f"{remedy}.")
        return np.asarray(labels, np.uint8)


def _decode(path: Path, size: tuple[int, int], labels: int, what: str) -> NDArray[Any]:
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        remedy = "Write this PNG with the program that made the others"
        if path.parent.name == MASKS:
            remedy += f", or take this person out of {RESULTS}"
        if not isinstance(error, FileNotFoundError):
            remedy = to_replace(error, path, f"{remedy}.").removesuffix(".")
        raise PredictionError(path, f"cannot be read ({why(error)})", "a PNG", f"{remedy}.") from error
    return decode_labels(data, str(path), size, labels, what=what)


def _distinct(numbers: Sequence[int]) -> list[list[int]]:
    """The numbers, in order, cut so that none comes twice in a part (a person that was listed again is two)."""
    parts: list[list[int]] = [[]]
    for number in numbers:
        if number in parts[-1]:
            parts.append([])
        parts[-1].append(number)
    return parts


@kernel
def _mark(values: ShortWords, there: Bytes) -> None:
    """Set 1 at each value that occurs. uint16 (n,), uint8 (65536,)."""
    for i in range(values.size):
        there[values[i]] = 1


@kernel
def _look_up(values: ShortWords, table: Bytes, out: Bytes) -> None:
    """Write table[values], uint16 (n,), uint8 (65536,), uint8 (n,); a third of the time of ``table.take(values)``."""
    for i in range(values.size):
        out[i] = table[values[i]]
