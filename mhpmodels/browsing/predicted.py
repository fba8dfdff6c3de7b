"""Predictions of a packed folder's images: which images have one, their labels, and their scores.

In: a folder of label maps in one of the forms of ``mhpmodels.scoring.submission``, at source size, for some or all
images of any splits. Out: labels, and pixAcc and mean IoU of single images, as mhp score computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import PredictionError
from mhpdata.options import check_path
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.protocol import split_names
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.persons.person_list import SEGMENTS
from mhpmodels.scoring.submission import Submission
from mhpmodels.scoring.table import Row

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Score:
    """Scores of one image, 0..1; None for an image without labelled pixels.

    Attributes:
        mean_iou: mean IoU over the classes in the labels or the prediction.
        pix_acc: fraction of labelled pixels that are correct.
    """

    mean_iou: float | None
    pix_acc: float | None


class Predictions:
    """Predictions of some images.

    A label map belongs to the image of its name. If several splits have the name, it belongs to the split with the most
    predicted images.

    Args:
        folder: folder of the predictions.
        manifest: manifest of the packed folder.
        splits: splits to look for images in.

    Raises:
        PredictionError: the folder has no label map of an image of these splits, or an incomplete form.
    """

    def __init__(self, folder: str | Path, manifest: Manifest, splits: tuple[str, ...]) -> None:
        self.folder = check_path("pred", folder)
        inner = self.folder / SEGMENTS
        found = {path.stem for path in (inner if inner.is_dir() else self.folder).glob("*.png")}
        mine = {split: found.intersection(split_names(manifest, split)) for split in splits}
        self.names: dict[str, set[str]] = {}
        for split in sorted(splits, key=lambda name: -len(mine[name])):  # stable: ties keep the manifest's order
            self.names[split] = mine[split].difference(*self.names.values())
        names = sorted(set().union(*self.names.values()))
        if not names:
            expected = f"PNG files named after images of the splits {', '.join(splits)}"
            remedy = "Pass the --out folder of mhp predict --data, run on this packed folder."
            raise PredictionError(folder, "no label map of the packed folder", expected, remedy)
        self._submission = Submission(self.folder, names, len(manifest.classes))

    def has(self, split: str, name: str) -> bool:
        """Return whether an image has a prediction."""
        return name in self.names[split]

    def labels(self, name: str, size: tuple[int, int]) -> Labels:
        """Return the predicted labels of an image: uint8 of ``size``, its source size.

        Raises:
            PredictionError: the file is missing, damaged, of the wrong size, or has an out-of-range label.
        """
        return self._submission.labels(name, size)


def score_labels(predicted: Labels, truth: Labels, classes: int) -> Score:
    """Return the scores of one image, as mhp score computes them."""
    confusion = Confusion(classes)
    confusion.update(predicted, truth)
    row = Row("", *truth.shape).with_labels(confusion)
    return Score(row.mean_iou, row.pix_acc)
