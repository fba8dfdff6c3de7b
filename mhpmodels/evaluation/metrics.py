"""Logits to labels, labels to a confusion matrix, the matrix to pixAcc, IoU and mIoU.

::

    logits (N, C, H, W) ─most_likely─> predicted (N, H, W) ─Confusion.update, with labels (N, H, W)─> matrix (C, C)

The rule is that of GluonCV's SegmentationMetric (``gluoncv/utils/metrics/segmentation.py``), so that figures can be
compared: intersections and unions are summed over the whole set before they are divided, mIoU is the plain mean over
all C classes, and a class that neither the labels nor the predictions have counts 0. It differs where GluonCV is silent
about a mistake: there only the label -1 is ignored and 19, 255 or -2 are counted as misses; here 255 is ignored, and
any other label or prediction outside 0 .. C-1 is an error, unless ``update`` is told to count predictions as GluonCV.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mhpdata.errors import EngineError, OptionError
from mhpdata.kernels.arrays import Bytes, Floats, Longs
from mhpdata.kernels.jit import kernel
from mhpdata.labels import IGNORE
from mhpdata.options import check_range
from mhpdata.wording import array_in_words
from mhpmodels.inference.rescale import NOT_FINITE

Labels = npt.NDArray[np.uint8]

_BLOCK = 4096  # pixels that most_likely looks at together, so that their best logits stay in the cache


class Confusion:
    """How often each label was predicted as each label, over any number of images.

    Attributes:
        matrix: int64 (C, C), pixels; rows are the truth, columns the prediction. Pixels of label 255 are in none.
        missed: int64 (C,), pixels of each class whose prediction is no label, where ``update`` was told to take those.
    """

    def __init__(self, classes: int) -> None:
        """A matrix of zeros for labels 0 .. ``classes`` - 1, at most 255 of them."""
        check_range("classes", classes, 1, IGNORE)
        self.matrix = np.zeros((classes, classes), np.int64)
        self.missed = np.zeros(classes, np.int64)

    def update(self, predicted: np.ndarray, labels: np.ndarray, missing: bool = False) -> None:
        """Count some images; nothing is counted if anything is wrong.

        Args:
            predicted: integers of any shape, as (N, H, W): labels 0 .. C-1, at ignored pixels, too.
            labels: integers of the same shape: labels 0 .. C-1, or 255 where nothing is to be counted.
            missing: a prediction from C to 255 is a miss, as in GluonCV's metric, and no error.

        Raises:
            OptionError: shapes that differ, no integers, or a value that is no label.
        """
        if predicted.shape != labels.shape:
            remedy = "Scale the predicted labels to the size of the true ones, by nearest neighbour."
            raise OptionError("predicted", f"shape {predicted.shape}", f"{labels.shape}, as the labels", remedy)
        counts = np.zeros((256, 256), np.int64)
        classes = len(self.matrix)
        _count(_flat("predicted", predicted, classes), _flat("labels", labels, classes), counts)
        if not missing:
            _refuse("predicted", counts[:, classes:].sum(0), classes)
        _refuse("labels", counts[classes:IGNORE].sum(1), classes)
        self.matrix += counts[:classes, :classes]
        self.missed += counts[:classes, classes:].sum(1)

    def merge(self, other: Confusion) -> None:
        """Count what ``other`` has counted, too.

        Raises:
            OptionError: it is of another number of classes.
        """
        if other.matrix.shape != self.matrix.shape:
            remedy = "Count results of other classes in a Confusion of their own, and do not merge the two."
            raise OptionError("other", f"{len(other.matrix)} classes", f"{len(self.matrix)}", remedy)
        self.matrix += other.matrix
        self.missed += other.missed

    @property
    def labelled(self) -> int:
        """Pixels that have a label other than 255."""
        return int(self.matrix.sum() + self.missed.sum())

    @property
    def pix_acc(self) -> float:
        """Correct pixels of all labelled ones, 0..1; 0 where nothing is labelled."""
        return int(np.trace(self.matrix)) / max(self.labelled, 1)

    @property
    def absent(self) -> npt.NDArray[np.bool_]:
        """bool (C,): neither the labels nor the predictions have the class, so its IoU of 0 means nothing."""
        return np.asarray(self._union == 0)

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """float64 (C,): intersection over union of each class, 0..1; 0 for an absent one."""
        return np.asarray(np.diagonal(self.matrix) / np.maximum(self._union, 1))

    @property
    def miou(self) -> float:
        """The mean of ``iou`` over all C classes, absent ones included, 0..1."""
        return float(self.iou.mean())

    @property
    def _union(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.matrix.sum(0) + self.matrix.sum(1) + self.missed - np.diagonal(self.matrix))

    def __repr__(self) -> str:
        return f"<pixAcc {self.pix_acc:.4f}, mIoU {self.miou:.4f} over {self.labelled} pixels>"


def most_likely(logits: np.ndarray, place: str = "logits") -> Labels:
    """The class with the largest logit at each pixel; of equals the first, as ``np.argmax``.

    Args:
        logits: float32 (N, C, H, W), or (C, H, W); C at most 255.
        place: names the photo and the checkpoint in an error.

    Returns:
        uint8 (N, H, W), or (H, W).

    Raises:
        EngineError: a NaN among the logits; it is never turned into a label.
        OptionError: another shape or dtype.
    """
    fits = logits.dtype == np.float32 and logits.ndim in (3, 4) and 1 <= logits.shape[-3] <= IGNORE
    if not fits or not min(logits.shape[-2:]):
        raise _no_logits(logits)
    *outer, classes, height, width = logits.shape
    labels = np.empty((*outer, height, width), np.uint8)
    flat = np.ascontiguousarray(logits).reshape(-1, classes, height * width)
    bad = _choose(flat, labels.reshape(-1, height * width), np.empty(_BLOCK, np.float32))
    if bad >= 0:
        found = f"NaN at image {bad // (height * width)}, row {bad % (height * width) // width}, column {bad % width}"
        raise EngineError(place, f"the network gives {found}", "numbers", NOT_FINITE)
    return labels


def _no_logits(logits: np.ndarray) -> OptionError:
    """What is wrong with an array that ``most_likely`` does not take."""
    found, expected = array_in_words(logits), "float32 (N, C, H, W) or (C, H, W)"
    if logits.ndim not in (3, 4):
        remedy = "Pass the network's output with an axis for the classes, then height and width."
    elif logits.dtype != np.float32:
        remedy = "Pass logits.astype('float32')."
    elif not 1 <= logits.shape[-3] <= IGNORE:
        found, expected = f"{logits.shape[-3]} classes, of {found}", f"1 to {IGNORE} classes C in {expected}"
        remedy = "Put the axis of the classes before height and width, such as with logits.transpose(0, 3, 1, 2)."
    else:
        height, width = logits.shape[-2:]
        found, expected = f"height {height}, width {width}", "at least one pixel"
        remedy = "Leave empty images out before the call; the last two axes are height and width, each 1 or more."
    return OptionError("logits", found, expected, remedy)


def _flat(name: str, array: np.ndarray, classes: int) -> Labels:
    """The array as uint8 (n,), refused where that would change a value."""
    if array.dtype.kind not in "iu":
        remedy = "Pass labels as integers: most_likely(logits) makes them of logits, .astype('uint8') of other numbers."
        raise OptionError(name, f"dtype {array.dtype}", "integers", remedy)
    if array.dtype != np.uint8 and array.size and not 0 <= int(array.min()) <= int(array.max()) <= 255:
        low, high = int(array.min()), int(array.max())
        found = f"label {low}" if low == high else f"labels {low} to {high}"
        expected, remedy = _wanted(name, classes)
        raise OptionError(name, found, expected, remedy)
    return np.ascontiguousarray(array, np.uint8).reshape(-1)


def _refuse(name: str, counts: npt.NDArray[np.int64], classes: int) -> None:
    """Raises OptionError where a label from ``classes`` on was counted; ``counts[i]`` is that of classes + i."""
    if counts.any():
        values = [classes + int(i) for i in np.flatnonzero(counts)]
        expected, remedy = _wanted(name, classes)
        if max(values) < IGNORE:
            remedy += f" If your data have {max(values) + 1} classes, make Confusion({max(values) + 1})."
        raise OptionError(name, f"label {', '.join(map(str, values[:5]))}", expected, remedy)


def _wanted(name: str, classes: int) -> tuple[str, str]:
    """Which labels ``name`` may hold, and what to do about others."""
    if name == "labels":
        remedy = f"Pass class numbers, not colours; write {IGNORE} only where a pixel is not to be counted."
        return f"labels 0 to {classes - 1}, or {IGNORE}", remedy
    remedy = f"Correct the predicted labels: at each pixel a class number from 0 to {classes - 1}."
    return f"labels 0 to {classes - 1}", remedy


@kernel
def _count(predicted: Bytes, labels: Bytes, counts: Longs) -> None:
    """Add to counts[truth, prediction] of all pixels, whatever they hold. uint8 (n,) twice, int64 (256, 256)."""
    for i in range(labels.size):
        counts[labels[i], predicted[i]] += 1


@kernel
def _choose(logits: Floats, labels: Bytes, best: Floats) -> int:
    """Write the class of the largest logit; return -1, or the place of a NaN.

    float32 (N, C, n), uint8 (N, n), float32 (block).
    """
    for image in range(logits.shape[0]):
        for start in range(0, logits.shape[2], best.size):
            chosen = labels[image, start : start + best.size]
            for c in range(logits.shape[1]):
                row = logits[image, c, start : start + best.size]
                if c == 0:
                    for i in range(row.size):  # copied as an array, it would compile the words of NumPy's errors
                        best[i] = row[i]
                        chosen[i] = 0
                strange = False
                for i in range(row.size):
                    value, before = row[i], best[i]
                    strange |= value != value
                    best[i] = value if value > before else before
                    chosen[i] = np.uint8(c) if value > before else chosen[i]
                if strange:
                    for i in range(row.size):
                        if row[i] != row[i]:
                            return int(image * logits.shape[2] + start + i)
    return -1
