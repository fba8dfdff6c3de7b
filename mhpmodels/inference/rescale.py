"""Resize logits bilinearly, row by row, without an array of all resized logits.

Pixel i of n_out lies at (i + 1/2) n_in / n_out - 1/2 of n_in, as for ``mhpdata.images.nearest_pixel.nearest_index``;
positions outside the first and last pixel take their values.

In: float32 (C, H, W). Sizes are (height, width).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpdata.kernels.arrays import Bytes, Floats, Longs
from mhpdata.kernels.jit import callee, kernel
from mhpdata.labels import IGNORE
from mhpdata.opencv import cv2

Logits = NDArray[np.float32]

NOT_FINITE = (
    "Pass --dtype float32; if it is float32 already, pass an earlier checkpoint, or in training start a new run with "
    "a tenth of the --lr. For weights of another program, check --preprocessing, or export them again as float32."
)
"""Remedy for a network that returns NaN."""


def add_probabilities(logits: Logits, total: Logits) -> None:
    """Resize logits bilinearly to the size of ``total`` and add their softmax to it.

    Args:
        logits: float32 (C, H, W).
        total: float32 (C, h, w), changed in place.
    """
    row = np.empty((total.shape[0], total.shape[2]), np.float32)
    peak = np.empty(total.shape[2], np.float32)
    rows, columns = _blend(logits.shape[1], total.shape[1]), _blend(logits.shape[2], total.shape[2])
    line = np.empty(logits.shape[2], np.float32)
    _add_probabilities(np.ascontiguousarray(logits), rows, columns, _Rows(line, row, peak), total)


def add_person_maps(maps: Logits, total: Logits) -> None:
    """Resize the maps of the heads of persons bilinearly to the size of ``total`` and add them to it.

    Args:
        maps: float32 (3, H, W): centre heatmap, offset down and to the right in pixels of the maps.
        total: float32 (3, h, w), changed in place; its offsets are in its own pixels.
    """
    (height, width), (h, w) = maps.shape[1:], total.shape[1:]
    for plane, into, unit in zip(maps, total, (1, h / height, w / width), strict=True):
        into += cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR) * np.float32(unit)


def labels_at(logits: Logits, size: tuple[int, int], place: str = "logits") -> NDArray[np.uint8]:
    """Return the most likely class per pixel at another size, resizing the logits bilinearly one row at a time.

    The labels of an image of 16 Mpixel take 16 MB, while its 19 resized logits would take 1.2 GB.

    Args:
        logits: float32 (C, H, W).
        size: (height, width) of the result.
        place: name of the checkpoint and the image, for error messages.

    Returns:
        uint8 (height, width); ties go to the lowest class.

    Raises:
        EngineError: a resized logit is NaN.
    """
    assert 1 <= len(logits) <= IGNORE
    labels = np.empty(size, np.uint8)
    row, best = np.empty((len(logits), size[1]), np.float32), np.empty(size[1], np.float32)
    rows, columns = _blend(logits.shape[1], size[0]), _blend(logits.shape[2], size[1])
    line = np.empty(logits.shape[2], np.float32)
    if not _labels_at(np.ascontiguousarray(logits), rows, columns, _Rows(line, row, best), labels):
        raise EngineError(place, "the network returned NaN", "finite numbers", NOT_FINITE)
    return labels


class _Blend(NamedTuple):
    """Bilinear weights along an axis: per output pixel two neighbours, int64 (n,), and the second's share, float32."""

    first: Longs
    second: Longs
    share: Floats


class _Rows(NamedTuple):
    """Float32 scratch rows: blended vertically (W,), resized for all classes (C, w), for one class (w,)."""

    line: Floats
    row: Floats
    best: Floats


def _blend(n_in: int, n_out: int) -> _Blend:
    """Return the neighbours and shares of ``n_out`` pixels along an axis of ``n_in`` pixels."""
    at = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    first = np.clip(np.floor(at), 0, n_in - 1).astype(np.int64)
    second = np.minimum(first + 1, n_in - 1)
    return _Blend(first, second, np.clip(at - first, 0, 1).astype(np.float32))


@callee
def _scale_row(
    logits: Floats, above: int, below: int, down: np.float32, columns: _Blend, line: Floats, row: Floats
) -> None:
    """Resize one row of logits: ``row`` float32 (C, w), from two rows of ``logits`` float32 (C, H, W)."""
    first, second, share = columns.first, columns.second, columns.share
    for c in range(logits.shape[0]):
        for x in range(line.size):
            top = logits[c, above, x]
            line[x] = top + (logits[c, below, x] - top) * down
        for x in range(first.size):
            left = line[first[x]]
            row[c, x] = left + (line[second[x]] - left) * share[x]


@kernel
def _add_probabilities(logits: Floats, rows: _Blend, columns: _Blend, scratch: _Rows, total: Floats) -> None:
    """Add the softmax of the resized logits to ``total`` float32 (C, h, w), one row at a time."""
    line, row, peak = scratch.line, scratch.row, scratch.best
    for y in range(total.shape[1]):
        _scale_row(logits, rows.first[y], rows.second[y], rows.share[y], columns, line, row)
        for x in range(peak.size):  # an array copy would also compile NumPy's error messages
            peak[x] = row[0, x]
        for c in range(1, row.shape[0]):
            for x in range(peak.size):
                peak[x] = max(peak[x], row[c, x])
        for c in range(row.shape[0]):
            for x in range(peak.size):
                row[c, x] = np.exp(row[c, x] - peak[x])
        for x in range(peak.size):
            peak[x] = row[0, x]
        for c in range(1, row.shape[0]):
            for x in range(peak.size):
                peak[x] += row[c, x]
        for c in range(row.shape[0]):
            for x in range(peak.size):
                total[c, y, x] += row[c, x] / peak[x]


@kernel
def _labels_at(logits: Floats, rows: _Blend, columns: _Blend, scratch: _Rows, labels: Bytes) -> bool:
    """Write the class of the largest resized logit, uint8 (h, w); return False if any is NaN."""
    line, row, best = scratch.line, scratch.row, scratch.best
    strange = False
    for y in range(labels.shape[0]):
        _scale_row(logits, rows.first[y], rows.second[y], rows.share[y], columns, line, row)
        chosen = labels[y]
        for x in range(best.size):
            best[x] = row[0, x]
            chosen[x] = 0
        for c in range(row.shape[0]):
            for x in range(best.size):
                value, before = row[c, x], best[x]
                strange |= value != value
                best[x] = value if value > before else before
                chosen[x] = np.uint8(c) if value > before else chosen[x]
    return not strange
