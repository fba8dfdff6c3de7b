"""Does the loader's own decoder (mhpdata.drawing.jpeg.planes) make of a JPEG what libjpeg makes of it?

libjpeg takes some damaged codes without a warning: as a zero, or with sums that leave the 16 bits of its vectors. The
loader would refuse such an image or draw other pixels. So a source's JPEG is stored as it is only where both decoders
agree, and ``mhp-verify --deep`` asks again.

They agree where the loader's planes, with Cb and Cr enlarged and all converted to RGB by libjpeg's own arithmetic
("fancy" upsampling), are libjpeg's RGB in every pixel. That the loader enlarges Cb and Cr in another way is left out of
it.

Source: libjpeg-turbo 3.1, jdsample.c (which way of enlarging is for which sampling) and jdcolor.c. The first call
compiles the decoder's kernels (some seconds, then kept on disk), so call only where there is a JPEG to ask about.
"""

from __future__ import annotations

import threading

import numpy as np

from mhpdata.drawing.jpeg.grid import Grid, grid
from mhpdata.drawing.jpeg.planes import Workplace, decode_planes
from mhpdata.drawing.jpeg.scan import read_scan
from mhpdata.kernels.arrays import Bytes, Ints
from mhpdata.kernels.jit import callee, kernel
from mhpdata.packing.scratch import Scratch


class _Memory(threading.local):
    """Per-thread buffers of the decoder."""

    def __init__(self) -> None:
        self.workplace = Workplace()


_memory, _scratch = _Memory(), Scratch()


def find_difference(data: bytes | memoryview, pixels: np.ndarray) -> str:
    """Return how the loader's decoder differs from libjpeg, in words; an empty text where they agree.

    Args:
        data: a JPEG of three components.
        pixels: uint8 (height, width, 3) RGB, C-contiguous: what libjpeg makes of it.
    """
    scan = read_scan(data)
    if scan is None:
        return ""  # libjpeg decodes it in the loader, too
    if scan.size != pixels.shape[:2]:
        return f"the loader's decoder takes it for {scan.size[0]} x {scan.size[1]} pixels"
    (height, width), place = scan.size, grid(scan.size, scan.factors)
    planes = _scratch.empty("planes", (place.size,))
    codes = np.frombuffer(data, np.uint8).copy()  # writable, as in the loader: one compiled decoder
    if not decode_planes(codes, scan, (0, height), (0, width), planes, _memory.workplace):
        return "the loader's decoder finds its codes wrong, or ending too early"
    differ = _count_differences(planes, place, pixels)
    return f"the loader's decoder gives {differ} of {height * width} pixels another colour" if differ else ""


@kernel
def _count_differences(planes: Bytes, grid: Grid, pixels: Bytes) -> int:
    """Count the pixels, uint8 (height, width, 3), whose colour is not that of the planes, uint8 (n,)."""
    height, width, _ = pixels.shape
    at, stride, chroma = grid.at, grid.stride, grid.sizes[1]
    down, across = grid.factors
    smooth = across != 2 or chroma[1] > 2  # libjpeg repeats the samples of a narrow image
    tall, wide = down == 2 and across < 4 and smooth, across == 2 and down < 4 and smooth
    sums, lines = np.zeros(chroma[1], np.int32), np.zeros((2, chroma[1] * across), np.int32)
    differ = 0
    for y in range(height):
        near = y // down
        far = min(max(near - 1 + 2 * (y % down), 0), chroma[0] - 1)
        for c in range(2):
            row, other = at[1 + c] + near * stride[1 + c], at[1 + c] + far * stride[1 + c]
            for i in range(chroma[1]):
                sums[i] = 3 * np.int32(planes[row + i]) + planes[other + i] if tall else np.int32(planes[row + i])
            _enlarge_row(sums, y % 2, tall, wide, across, lines[c])
        for x in range(width):
            light = np.int32(planes[at[0] + y * stride[0] + x])
            cb, cr = lines[0, x] - 128, lines[1, x] - 128
            red = light + (91881 * cr + 32768 >> 16)
            green = light + (-22554 * cb - 46802 * cr + 32768 >> 16)
            blue = light + (116130 * cb + 32768 >> 16)
            same = min(max(red, 0), 255) == pixels[y, x, 0]
            same &= min(max(green, 0), 255) == pixels[y, x, 1]
            same &= min(max(blue, 0), 255) == pixels[y, x, 2]
            differ += not same
    return differ


@callee
def _enlarge_row(sums: Ints, odd: int, tall: bool, wide: bool, across: int, out: Ints) -> None:
    """Enlarge a row of samples, each the sum of ``tall`` ones, to a row of pixels; ``odd``: the lower of two rows."""
    last = sums.size - 1
    if wide:
        shift, first, second = (4, 8, 7) if tall else (2, 1, 2)
        for i in range(last + 1):
            out[2 * i] = (3 * sums[i] + sums[max(i - 1, 0)] + first) >> shift
            out[2 * i + 1] = (3 * sums[i] + sums[min(i + 1, last)] + second) >> shift
        return
    shift, bias = (2, 1 + odd) if tall else (0, 0)
    for i in range(last + 1):
        for k in range(across):
            out[across * i + k] = (sums[i] + bias) >> shift
