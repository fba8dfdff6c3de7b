"""Check that the loader's decoder (mhpdata.drawing.jpeg.planes) and libjpeg decode a JPEG to the same pixels.

libjpeg accepts some damaged codes without a warning: it reads a zero, or overflows the 16 bits of its vectors. The
loader would refuse such an image or draw other pixels. Therefore a source's JPEG is stored unchanged only if both
decoders agree, and ``mhp verify --deep`` repeats the check.

The decoders agree if the loader's planes, with Cb and Cr upsampled and converted to RGB by libjpeg's arithmetic
("fancy" upsampling), equal libjpeg's RGB in every pixel. The loader's own upsampling is not compared.

Source: libjpeg-turbo 3.1, jdsample.c (method of upsampling per sampling factor) and jdcolor.c. The first call compiles
the decoder's kernels (a few seconds, then cached on disk), so call this only for JPEGs.
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
    """Return how the loader's decoder differs from libjpeg, in words; an empty string if they agree.

    Args:
        data: JPEG of three components.
        pixels: uint8 (height, width, 3) RGB, C-contiguous: the pixels that libjpeg decodes.
    """
    scan = read_scan(data)
    if scan is None:
        return ""  # libjpeg decodes it in the loader, too
    if scan.size != pixels.shape[:2]:
        return f"the loader's decoder reads a size of {scan.size[0]} x {scan.size[1]} pixels (height x width)"
    (height, width), layout = scan.size, grid(scan.size, scan.factors)
    planes = _scratch.empty("planes", (layout.size,))
    codes = np.frombuffer(data, np.uint8).copy()  # writable, as in the loader, so that the decoder is compiled once
    if not decode_planes(codes, scan, (0, height), (0, width), planes, _memory.workplace):
        return "the loader's decoder finds invalid or truncated data"
    differ = _count_differences(planes, layout, pixels)
    return f"the loader's decoder differs from libjpeg in {differ} of {height * width} pixels" if differ else ""


@kernel
def _count_differences(planes: Bytes, grid: Grid, pixels: Bytes) -> int:
    """Count the pixels, uint8 (height, width, 3), whose colour differs from that of the planes, uint8 (n,)."""
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
            _upsample_row(sums, y % 2, tall, wide, across, lines[c])
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
def _upsample_row(sums: Ints, odd: int, tall: bool, wide: bool, across: int, out: Ints) -> None:
    """Upsample a row of samples to a row of pixels.

    Args:
        sums: int32 (n,): samples; with ``tall``, weighted sums of two rows, 4 times as large.
        odd: 1 for the lower of two rows of pixels, else 0.
        tall, wide: Whether to interpolate vertically and horizontally.
        across: Number of pixels per sample.
        out: int32, at least n * across, out.
    """
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
