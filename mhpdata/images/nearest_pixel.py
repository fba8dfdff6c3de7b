"""Resize label maps by nearest neighbour, so labels are never mixed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mhpdata.errors import OptionError
from mhpdata.images.size import check_out, check_size
from mhpdata.kernels.jit import kernel
from mhpdata.wording import AS_MAP, array_in_words

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint64]


def nearest_index(n_in: int, n_out: int) -> npt.NDArray[np.int32]:
    """Return the source pixel under the centre of each output pixel: int32 (n_out), floor((2 i + 1) n_in / (2 n_out)).

    Pillow's NEAREST has the same definition but sums its positions in float64. Where a centre falls exactly between two
    pixels ((2 i + 1) n_in is divisible by 2 n_out), its sum may be slightly too small and select the previous pixel.
    This concerns some pixels in 2 % of the size pairs 100..4300 -> multiples of 8; all others are equal.
    """
    return ((2 * np.arange(n_out, dtype=np.int64) + 1) * n_in // (2 * n_out)).astype(np.int32)


def resize_labels(labels: Pixels, size: tuple[int, int], out: Pixels | None = None) -> Pixels:
    """Resize a label map or a person map by nearest neighbour, as defined by ``nearest_index``.

    Args:
        labels: uint8 (height, width).
        size: New (height, width), each 1..65535.
        out: uint8 of the new size, C-contiguous, to write into; must not share memory with ``labels``.

    Returns:
        uint8 (size[0], size[1]), never ``labels`` itself; ``out`` if given.

    Raises:
        OptionError: An array has another dtype or shape, or the size is out of range.
    """
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise OptionError("labels", array_in_words(labels), "an array of uint8 (height, width)", AS_MAP)
    old_height, old_width = check_size("labels", labels.shape)
    height, width = check_size("size", size)
    out = check_out(out, (height, width))
    rows, columns = nearest_index(old_height, height), nearest_index(old_width, width)
    _pick(np.ascontiguousarray(labels), rows.astype(np.uint64), columns.astype(np.uint64), out)
    return out


@kernel
def _pick(labels: Pixels, rows: Indices, columns: Indices, out: Pixels) -> None:
    """Write ``labels[rows][:, columns]`` to ``out``, for uint8 (H, W), uint64 (h), uint64 (w).

    Repeated rows are copied, and indices are unsigned: 0.2 ms for 768 x 800 pixels; signed indices took 0.6 ms.
    """
    flat = labels.reshape(-1)
    for y in range(out.shape[0]):
        if y > 0 and rows[y] == rows[y - 1]:
            for x in range(out.shape[1]):
                out[y, x] = out[y - 1, x]
            continue
        begin = rows[y] * np.uint64(labels.shape[1])
        for x in range(out.shape[1]):
            out[y, x] = flat[begin + columns[x]]
