"""Convert logits to labels, count labels in a confusion matrix, and compute pixAcc, IoU and mIoU from it.

::

    logits (N, C, H, W) ─most_likely─> predicted (N, H, W) ─Confusion.update, with labels (N, H, W)─> matrix (C, C)

The definitions are those of GluonCV's SegmentationMetric (``gluoncv/utils/metrics/segmentation.py``), so results are
comparable: intersections and unions are summed over the whole set before the division, mIoU is the plain mean over all
C classes, and a class that is in neither the labels nor the predictions counts 0. One difference: GluonCV ignores only
label -1 and silently counts 19, 255 or -2 as misses. Here 255 is ignored, and any other label or prediction outside
0 .. C-1 is an error, unless ``update`` is told to count out-of-range predictions as GluonCV does.
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

_BLOCK = 4096  # pixels that most_likely processes together, so that their best logits stay in the cache


class Confusion:
    """A confusion matrix, accumulated over any number of images.

    Args:
        classes: number of classes C; labels are 0 .. C-1, at most 255 classes.

    Attributes:
        matrix: int64 (C, C) pixel counts; rows are the truth, columns the prediction. Pixels labelled 255 are excluded.
        missed: int64 (C,) pixels per class with an out-of-range prediction, if ``update`` was told to accept those.
    """

    def __init__(self, classes: int) -> None:
        """Create a matrix of zeros for labels 0 .. ``classes`` - 1, at most 255 of them."""
        check_range("classes", classes, 1, IGNORE)
        self.matrix = np.zeros((classes, classes), np.int64)
        self.missed = np.zeros(classes, np.int64)

    def update(self, predicted: np.ndarray, labels: np.ndarray, missing: bool = False) -> None:
        """Add some images to the counts; after an error the counts are unchanged.

        Args:
            predicted: integers of any shape, such as (N, H, W): labels 0 .. C-1, at ignored pixels, too.
            labels: integers of the same shape: labels 0 .. C-1, or 255 for pixels that are not counted.
            missing: count predictions from C to 255 as misses, as GluonCV's metric does, instead of rejecting them.

        Raises:
            OptionError: an argument is not an array, the shapes differ, a dtype is not an integer type, or a label is
                out of range.
        """
        counts, classes = np.zeros((256, 256), np.int64), len(self.matrix)
        flat = _flat("predicted", predicted, classes), _flat("labels", labels, classes)
        if predicted.shape != labels.shape:
            remedy = "Resize the predicted labels to the size of the true ones by nearest neighbour."
            if predicted.ndim != labels.ndim or predicted.shape[:-2] != labels.shape[:-2]:
                remedy = "Pass the predicted labels of the same images, one label per pixel."
            raise OptionError("predicted", f"shape {predicted.shape}", f"{labels.shape}, as the labels", remedy)
        _count(*flat, counts)
        if not missing:
            _refuse("predicted", counts[:, classes:].sum(0), classes)
        _refuse("labels", counts[classes:IGNORE].sum(1), classes)
        self.matrix += counts[:classes, :classes]
        self.missed += counts[:classes, classes:].sum(1)

    def merge(self, other: Confusion) -> None:
        """Add the counts of another confusion matrix.

        Raises:
            OptionError: ``other`` has a different number of classes.
        """
        if other.matrix.shape != self.matrix.shape:
            remedy = "Merge only results for the same classes; use a separate Confusion for others."
            raise OptionError("other", f"{len(other.matrix)} classes", f"{len(self.matrix)}", remedy)
        self.matrix += other.matrix
        self.missed += other.missed

    @property
    def labelled(self) -> int:
        """Number of labelled pixels, that is, with a label other than 255."""
        return int(self.matrix.sum() + self.missed.sum())

    @property
    def pix_acc(self) -> float:
        """Fraction of labelled pixels that are correct, 0..1; 0 if no pixel is labelled."""
        return int(np.trace(self.matrix)) / max(self.labelled, 1)

    @property
    def absent(self) -> npt.NDArray[np.bool_]:
        """bool (C,): the class is in neither the labels nor the predictions, so its IoU of 0 is meaningless."""
        return np.asarray(self._union == 0)

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """float64 (C,): intersection over union per class, 0..1; 0 for an absent class."""
        return np.asarray(np.diagonal(self.matrix) / np.maximum(self._union, 1))

    @property
    def miou(self) -> float:
        """Mean of ``iou`` over all C classes, including absent ones, 0..1."""
        return float(self.iou.mean())

    @property
    def pixels(self) -> npt.NDArray[np.int64]:
        """int64 (3, C): correct, true and predicted pixels of each class, from which all figures follow."""
        counts = self.matrix
        return np.stack([np.diagonal(counts), counts.sum(axis=1) + self.missed, counts.sum(axis=0)])

    @property
    def miou_present(self) -> float:
        """Mean of ``iou`` over the classes in the labels or the predictions, 0..1; 0 if there are none."""
        present = self.iou[~self.absent]
        return float(present.mean()) if present.size else 0.0

    @property
    def _union(self) -> npt.NDArray[np.int64]:
        correct, true, predicted = self.pixels
        return np.asarray(true + predicted - correct)

    def __repr__(self) -> str:
        return f"<pixAcc {self.pix_acc:.4f}, mIoU {self.miou:.4f} over {self.labelled} pixels>"


def most_likely(logits: np.ndarray, place: str = "logits") -> Labels:
    """Return the class with the largest logit at each pixel. Ties go to the lowest class, as in ``np.argmax``.

    Args:
        logits: float32 (N, C, H, W) or (C, H, W) logits; C at most 255.
        place: image and checkpoint, for error messages.

    Returns:
        uint8 (N, H, W) or (H, W) labels.

    Raises:
        EngineError: a logit is NaN; NaN is never converted to a label.
        OptionError: the argument is not an array, or its shape or dtype is invalid.
    """
    _check_array("logits", logits)
    fits = logits.dtype == np.float32 and logits.ndim in (3, 4) and 1 <= logits.shape[-3] <= IGNORE
    if not fits or not min(logits.shape[-2:]):
        raise _no_logits(logits)
    *outer, classes, height, width = logits.shape
    labels = np.empty((*outer, height, width), np.uint8)
    flat = np.ascontiguousarray(logits).reshape(-1, classes, height * width)
    bad = _choose(flat, labels.reshape(-1, height * width), np.empty(_BLOCK, np.float32))
    if bad >= 0:
        found = f"NaN at image {bad // (height * width)}, row {bad % (height * width) // width}, column {bad % width}"
        raise EngineError(place, f"the network returned {found}", "finite numbers", NOT_FINITE)
    return labels


def _no_logits(logits: np.ndarray) -> OptionError:
    """Return the error for an array that ``most_likely`` rejects."""
    found, expected = array_in_words(logits), "float32 (N, C, H, W) or (C, H, W)"
    if logits.ndim not in (3, 4):
        remedy = "Pass the network's output with the axes classes, height, width last."
    elif logits.dtype != np.float32:
        remedy = "Pass logits.astype('float32')."
    elif not 1 <= logits.shape[-3] <= IGNORE:
        found, expected = f"{logits.shape[-3]} classes in {found}", f"1 to {IGNORE} classes C in {expected}"
        remedy = "Move the class axis before height and width, for example with logits.transpose(0, 3, 1, 2)."
    else:
        height, width = logits.shape[-2:]
        found, expected = f"height {height}, width {width}", "at least one pixel"
        remedy = "Remove empty images before the call; the last two axes are height and width."
    return OptionError("logits", found, expected, remedy)


def _check_array(name: str, array: object) -> None:
    """Raise OptionError for a list, or for a tensor of a framework, which may be on a GPU."""
    if not isinstance(getattr(array, "dtype", None), np.dtype):
        convert = f"np.asarray({name})"
        if hasattr(array, "cpu"):
            convert = f"{name}{'.detach()' if getattr(array, 'requires_grad', False) else ''}.cpu().numpy()"
        elif hasattr(array, "asnumpy"):
            convert = f"{name}.asnumpy()"
        raise OptionError(name, f"an object of type {type(array).__name__}", "a NumPy array", f"Pass {convert}.")


def _flat(name: str, array: np.ndarray, classes: int) -> Labels:
    """Return the array as uint8 (n,). Raises OptionError if the conversion would change a value."""
    _check_array(name, array)
    if array.dtype.kind not in "iu":
        remedy = "Convert logits to labels with most_likely(logits), other numbers with .astype('uint8')."
        raise OptionError(name, f"dtype {array.dtype}", "integers", remedy)
    if array.dtype != np.uint8 and array.size and not 0 <= int(array.min()) <= int(array.max()) <= 255:
        low, high = int(array.min()), int(array.max())
        found = f"label {low}" if low == high else f"labels {low} to {high}"
        expected, remedy = _wanted(name, classes)
        raise OptionError(name, found, expected, remedy)
    return np.ascontiguousarray(array, np.uint8).reshape(-1)


def _refuse(name: str, counts: npt.NDArray[np.int64], classes: int) -> None:
    """Raise OptionError if a label of ``classes`` or more was counted; ``counts[i]`` is the count of classes + i."""
    if counts.any():
        values = [classes + int(i) for i in np.flatnonzero(counts)]
        expected, remedy = _wanted(name, classes)
        if max(values) < IGNORE:
            remedy += f" If your data have {max(values) + 1} classes, use Confusion({max(values) + 1})."
        raise OptionError(name, f"label {', '.join(map(str, values[:5]))}", expected, remedy)


def _wanted(name: str, classes: int) -> tuple[str, str]:
    """Return the labels that the argument ``name`` may contain, and the remedy for others."""
    if name == "labels":
        remedy = f"Pass class numbers, not colours; use {IGNORE} for pixels that are not counted."
        return f"labels 0 to {classes - 1}, or {IGNORE}", remedy
    return f"labels 0 to {classes - 1}", "Pass a class number, not a colour, for every pixel."


@kernel
def _count(predicted: Bytes, labels: Bytes, counts: Longs) -> None:
    """Add 1 to counts[truth, prediction] for each pixel, with any values. uint8 (n,) twice, int64 (256, 256)."""
    for i in range(labels.size):
        counts[labels[i], predicted[i]] += 1


@kernel
def _choose(logits: Floats, labels: Bytes, best: Floats) -> int:
    """Write the class of the largest logit; return -1, or the position of a NaN.

    float32 (N, C, n), uint8 (N, n), float32 (block).
    """
    for image in range(logits.shape[0]):
        for start in range(0, logits.shape[2], best.size):
            chosen = labels[image, start : start + best.size]
            for c in range(logits.shape[1]):
                row = logits[image, c, start : start + best.size]
                if c == 0:
                    for i in range(row.size):  # an array copy would also compile NumPy's error messages
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
