"""Write an image, its labels and its prediction as three JPEG files, each at the image's source size.

::

    DIR/pictures/0040-image.jpg  0040-labels.jpg  0040-prediction.jpg

In: a packed folder and label maps of its images (mhpmodels.scoring.submission). Out: JPEG files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.images.resize import resize_image
from mhpdata.labels import IGNORE
from mhpdata.storage.codec import encode_image
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.split import Split, open_split
from mhpmodels.evaluation.truth import labels_of_size
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.overlay import lay_over
from mhpmodels.files.output import make_inner_folder, write_file
from mhpmodels.scoring.submission import Submission
from mhpmodels.showing.selection import Selection, default_split

Pixels = NDArray[np.uint8]
FOLDER = "pictures"
KINDS = ("image", "labels", "prediction")
"""The files per image; an image without labels has no "labels" file."""


@dataclass(frozen=True)
class Compared:
    """Files that ``write_compared`` wrote for one image.

    Attributes:
        name: name of the image.
        split: name of its split.
        size: (height, width) of each file, in pixels.
        files: {kind: path relative to the page's folder}, with the kinds of KINDS.
    """

    name: str
    split: str
    size: tuple[int, int]
    files: dict[str, str]


def write_compared(
    folder: str | Path, predictions: str | Path, out: Path, count: int, overwrite: bool
) -> list[Compared]:
    """Write the files of ``count`` predicted images, spread evenly over those that have a label map.

    Args:
        folder: packed folder.
        predictions: folder of label maps named after images of one of its splits, as mhp predict writes them.
        out: folder of the page; it exists.
        count: number of images, at least 1.
        overwrite: replace existing files.

    Raises:
        PredictionError: no label map belongs to an image of the packed folder.
        PackedError: the packed folder is damaged.
        OutputError: a file exists, or cannot be written.
    """
    predicted = [path.stem for path in sorted(Path(predictions).glob("*.png"))]
    split = open_split(folder, default_split(read_manifest(folder), predicted))
    try:
        names = [name for name in predicted if name in split.names]
        if not names:
            found, expected = "no label map of the packed folder", f"PNG files named after images of {folder}"
            remedy = "Pass the --out folder of mhp predict --data, run on this packed folder."
            raise PredictionError(predictions, found, expected, remedy)
        make_inner_folder(out / FOLDER)
        submission = Submission(predictions, names, len(split.classes))
        chosen = [names[i] for i in Selection(count).choose(names)]
        return [_write(split, submission, name, out, overwrite) for name in chosen]
    finally:
        split.close()


def _write(split: Split, submission: Submission, name: str, out: Path, overwrite: bool) -> Compared:
    index = split.names.index(name)
    sample, palette = split[index], picture_palette(split.manifest.labels)
    size = sample.record.source_size
    image = sample.image if sample.image.shape[:2] == size else resize_image(sample.image, size)
    truth = labels_of_size(sample, size, str(split.manifest.options["overlap"]), split.place(index), split.file(index))
    shown: dict[str, Pixels | None] = {
        "image": image,
        "labels": None if truth is None else lay_over(image, np.where(truth == IGNORE, 0, truth), palette),
        "prediction": lay_over(image, submission.labels(name, size), palette),
    }
    files = {}
    for kind, pixels in shown.items():
        if pixels is not None:
            files[kind] = f"{FOLDER}/{name}-{kind}.jpg"
            write_file(out / files[kind], encode_image(pixels, "jpeg", 90), overwrite)
    return Compared(name, split.name, size, files)
