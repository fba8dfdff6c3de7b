"""Limits of image sizes, the size at which an image is packed, and checks of sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mhpdata.errors import OptionError
from mhpdata.options import SIZES_OF, check_choice
from mhpdata.wording import array_in_words

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 1 << 26
"""Maximum number of pixels in an image: 67 million; the largest of MHP v1 has 15.9 million."""
MAX_SIDE, MAX_JPEG_SIDE = 65535, 65500
"""Maximum length of a side in pixels: of records and runs, and of JPEGs that libjpeg encodes and decodes."""


def packed_size(height: int, width: int, size: int, size_of: str = "short") -> tuple[int, int]:
    """Return the size at which an image is packed.

    Rounding is that of the GluonCV recipe (``gluoncv/data/mhp.py``, ``__getitem__``): one side becomes ``size``; the
    other keeps the aspect ratio, rounded half up to a pixel, then half to even to a multiple of 8 (at least 8).

    Args:
        height: Height of the source in pixels.
        width: Width of the source in pixels.
        size: New length of the chosen side in pixels; 0 keeps the size.
        size_of: "short" or "long" side. For a square, "short" means the width and "long" the height.

    Returns:
        (height, width), each 1..65535.

    Raises:
        OptionError: An argument or the result is out of range.
    """
    check_choice("size_of", size_of, SIZES_OF)
    if not 0 <= size <= MAX_SIDE:
        remedy = "" if size > 0 else "Pass 0 to keep the size, or the length of a side in pixels."
        raise OptionError("size", f"{size}", f"0 (unchanged) to {MAX_SIDE}", remedy)
    if min(height, width) < 1 or max(height, width) > MAX_SIDE:
        remedy = "Pass the height and width of the image in pixels; crop a larger image."
        raise OptionError("image", f"{height} x {width} pixels (height x width)", f"sides from 1 to {MAX_SIDE}", remedy)
    if size == 0:
        return height, width
    new_height, new_width = _new_size(height, width, size, size_of)
    if max(new_height, new_width) > MAX_SIDE:
        found = f"{height} x {width} pixels would become {new_height} x {new_width} (height x width)"
        largest = largest_size(size, lambda new: max(_new_size(height, width, new, size_of)) <= MAX_SIDE)
        ways = [f"size={largest} or less"] if largest else []
        ways += ["size_of='long', which makes size the longer side"] if size_of == "short" else []
        raise OptionError("size", found, f"sides up to {MAX_SIDE}", f"Pass {', or '.join(ways) or 'size=0'}.")
    return new_height, new_width


def largest_size(limit: int, fits: Callable[[int], bool]) -> int:
    """Return the largest size below ``limit`` that fits, or 0; all sizes below one that fits must fit, too."""
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _new_size(height: int, width: int, size: int, size_of: str) -> tuple[int, int]:
    if (height < width) == (size_of == "short"):
        return size, _along(width, height, size)
    return _along(height, width, size), size


def _along(side: int, other: int, size: int) -> int:
    """Return the new length of ``side`` if ``other`` becomes ``size``."""
    length = int(1.0 * side * size / other + 0.5)
    if length % 8:
        length = max(round(length / 8) * 8, 8)
    return max(length, 8)


def check_size(name: str, size: tuple[int, ...]) -> tuple[int, int]:
    """Return (height, width) as int. Raises OptionError, with the argument's name, unless both are in 1..MAX_SIDE."""
    if len(size) != 2 or min(size) < 1 or max(size) > MAX_SIDE:
        remedy = "Pass two whole numbers, such as (480, 640)." if name == "size" else "Pass an image that has pixels."
        raise OptionError(name, f"{tuple(size)}", f"(height, width), each from 1 to {MAX_SIDE}", remedy)
    return int(size[0]), int(size[1])


def check_out(out: Pixels | None, shape: tuple[int, ...]) -> Pixels:
    """Return ``out``, or a new uint8 array of this shape if it is None. Raises OptionError if ``out`` does not fit."""
    if out is None:
        return np.empty(shape, np.uint8)
    if out.dtype != np.uint8 or out.shape != shape or not out.flags.c_contiguous or not out.flags.writeable:
        expected = f"a writeable, contiguous array of uint8 {shape}"
        remedy = f"Pass np.empty({shape}, np.uint8), or omit out to get a new array."
        raise OptionError("out", array_in_words(out), expected, remedy)
    return out
