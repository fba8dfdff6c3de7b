"""Resize images exactly as Pillow's ``Image.resize(size, BILINEAR)`` does, which the GluonCV recipe used.

The filter is a triangle, whose width follows the scale when shrinking (antialiasing). It is applied in two passes, rows
first, with rounding to 8 bits in between. The algorithm is that of Pillow's ``src/libImaging/Resample.c``
(``precompute_coeffs``, ``normalize_coeffs_8bpc``): weights in float64, then integers of 22 bits. The weights use only
+ - * / and floor, and the kernels only integers, so the bytes are the same on every machine and with every version of
any library. (Pillow's are not: since 13.0 it processes columns first if the height shrinks much more than the width,
pull request 9549, and then differs by one level in some pixels. Sizes from ``packed_size`` keep the aspect ratio; 60
random sizes that shrink were all equal in 13.0, too.)

In: uint8 (height, width, 3) images. Out: the same at another size, as (height, width). mhpdata.images.nearest_pixel
resizes labels and persons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from mhpdata.errors import OptionError
from mhpdata.images.size import check_out, check_size
from mhpdata.kernels.jit import inlined, kernel
from mhpdata.wording import array_in_words

_BITS = 22  # fraction bits of a weight, as in Pillow: leaves 8 bits for the pixel and 2 spare bits
_HALF = np.int32(1 << (_BITS - 1))
_ALL, _NOTHING, _PIXEL = np.int32(-1), np.int32(0), np.uint64(24)  # typed constants compile faster than calls

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]


class Across(NamedTuple):
    """Tables and scratch of the row pass, from W to w pixels of three bytes.

    Attributes:
        offsets: int32 (pairs, w), offset in bytes of each pair of neighbours.
        weights: int32 (pairs, 2, 3 w), weights of the left and right neighbour, for each byte of the row.
        padded: uint8 (3 W + 8,), scratch for one source row, padded so that eight bytes can be loaded at any pixel.
        pair: uint8 (2, 3 w + 1), scratch for the left and the right neighbour of each output pixel.
    """

    offsets: Integers
    weights: npt.NDArray[np.int32]
    padded: Pixels
    pair: Pixels


class Down(NamedTuple):
    """Tables of the column pass, from H to h rows.

    Attributes:
        first: int64 (h,), first source row of each output row.
        pairs: int64 (h,), number of pairs of source rows.
        weights: int32 (h, 2 * maximum of pairs), weights of the source rows.
    """

    first: Indices
    pairs: Indices
    weights: Integers


def resize_image(image: Pixels, size: tuple[int, int], out: Pixels | None = None) -> Pixels:
    """Resize a colour image, bit-identical to Pillow's BILINEAR with rows first.

    Args:
        image: uint8 (height, width, 3).
        size: New (height, width), each 1..65535.
        out: uint8 (size[0], size[1], 3), C-contiguous, to write into; must not share memory with ``image``.

    Returns:
        uint8 (size[0], size[1], 3), never ``image`` itself; ``out`` if given.

    Raises:
        OptionError: An array has another dtype or shape, or the size is out of range.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        remedy = "Pass the image as RGB uint8: three channels, converted with .astype('uint8')."
        if image.dtype.kind == "f":
            remedy = f"{remedy[:-1]}; if its values run from 0 to 1, with (255 * image).round().astype('uint8')."
        raise OptionError("image", array_in_words(image), "an array of uint8 (height, width, 3)", remedy)
    old_height, old_width = check_size("image", image.shape[:2])
    height, width = check_size("size", size)
    out = check_out(out, (height, width, 3))
    source = np.ascontiguousarray(image).reshape(old_height, 3 * old_width)
    target = out.reshape(height, 3 * width)
    if (height, width) == (old_height, old_width):
        target[...] = source
        return out

    across, down = _across(old_width, width), _down(old_height, height)
    ring = np.empty((down.weights.shape[1], 3 * width), np.uint8)
    _resize(source, across, down, np.empty(3 * width, np.int32), ring, target)
    return out


def weights(n_in: int, n_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Compute Pillow's triangle filter for ``n_in`` to ``n_out`` pixels.

    Returns:
        first int64 (n_out), the first source pixel of each output pixel; taps int64 (n_out), the number of its source
        pixels; weights int32 (n_out, maximum of taps), 2**22 = 1, zero past the taps. Sums are in Pillow's order, so
        the weights are bit-identical to Pillow's (``precompute_coeffs``, ``normalize_coeffs_8bpc``).
    """
    scale = n_in / n_out
    support = max(scale, 1.0)
    inverse = 1.0 / support
    center = (np.arange(n_out) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    taps = np.minimum((center + support + 0.5).astype(np.int64), n_in) - first
    table = np.zeros((int(taps.max()), n_out))
    total = np.zeros(n_out)
    for t in range(len(table)):
        distance = np.abs((t + first - center + 0.5) * inverse)
        table[t] = np.where((distance < 1.0) & (t < taps), 1.0 - distance, 0.0)
        total += table[t]
    table /= total
    return first, taps, np.ascontiguousarray((0.5 + table * (1 << _BITS)).astype(np.int32).T)


def _down(n_in: int, n_out: int) -> Down:
    """Return the tables of the column pass, in pairs of rows; a row past the last tap has weight 0."""
    first, taps, table = weights(n_in, n_out)
    even = np.zeros((n_out, (table.shape[1] + 1) // 2 * 2), np.int32)
    even[:, : table.shape[1]] = table
    return Down(first, (taps + 1) // 2, even)


def _across(n_in: int, n_out: int) -> Across:
    """Return the tables of the row pass over interleaved RGB, in pairs of neighbours, and scratch for one row."""
    first, _, table = weights(n_in, n_out)
    pairs = (table.shape[1] + 1) // 2
    even = np.zeros((n_out, 2 * pairs), np.int32)
    even[:, : table.shape[1]] = table
    # A pair past the row's end has weight 0; its offset only has to stay within the padded row.
    offsets = (3 * np.minimum(first + 2 * np.arange(pairs)[:, None], n_in - 1)).astype(np.int32)
    return Across(
        offsets,
        np.repeat(np.ascontiguousarray(even.T), 3, axis=1).reshape(pairs, 2, 3 * n_out),
        np.zeros(3 * n_in + 8, np.uint8),
        np.zeros((2, 3 * n_out + 1), np.uint8),
    )


# Numba cannot express these two operations: load eight bytes and store four bytes at any offset (little-endian).


@intrinsic
def _load_8(typing_context: Any, array: Any, offset: Any) -> Any:
    """Return the uint64 at byte ``offset`` of a contiguous uint8 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(types.uint64).as_pointer())
        value = builder.load(pointer)
        value.align = 1
        return value

    return types.uint64(array, types.intp), generate


@intrinsic
def _store_4(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write a uint32 at byte ``offset`` of a contiguous uint8 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(types.uint32).as_pointer())
        store = builder.store(arguments[2], pointer)
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint32), generate


# In the functions below, a row is 3 W bytes of interleaved RGB; `sums` int32 (3 w) is scratch.
#
# 634 x 626 -> 784 x 768, one thread of a Zen 4 EPYC, minimum of 30: Pillow 5.1 ms, OpenCV (which never antialiases)
# 0.75 ms, this 0.75 ms: 0.30 gather, 0.17 row weights, 0.17 column weights, 0.08 tables. Slower variants: the row pass
# as one scalar loop over pixels and channels, without the gather into `pair`: 2.35 ms in total; the last pair fused
# with the final shift: 0.74 instead of 0.47 ms for the row pass, and no gain when shrinking.


@inlined
def _widen(source: Pixels, y: int, across: Across, sums: Integers, ring: Pixels) -> None:
    """Resample row ``y`` of ``source`` uint8 (H, 3 W) into row y mod R of ``ring`` uint8 (R, 3 w).

    For each pair, the left neighbours of all output pixels are gathered side by side, and so are the right neighbours;
    each store writes one byte too many, which the next store overwrites.
    """
    offsets, weights, padded, pair = across
    left, right, row = pair[0], pair[1], y % ring.shape[0]
    for i in range(source.shape[1]):
        padded[i] = source[y, i]
    kept, half = _NOTHING, _HALF
    for k in range(offsets.shape[0]):
        for j in range(offsets.shape[1]):
            eight: Any = _load_8(padded, np.intp(offsets[k, j]))
            _store_4(left, 3 * j, np.uint32(eight))
            _store_4(right, 3 * j, np.uint32(eight >> _PIXEL))
        for i in range(sums.size):
            a, b = np.int32(left[i]) * weights[k, 0, i], np.int32(right[i]) * weights[k, 1, i]
            sums[i] = (sums[i] & kept) + half + np.int32(np.int32(a) + np.int32(b))
        kept, half = _ALL, _NOTHING
    for i in range(sums.size):
        value = sums[i] >> _BITS
        ring[row, i] = value if value < 255 else 255


@inlined
def _blend(ring: Pixels, y: int, down: Down, sums: Integers, out: Pixels) -> None:
    """Blend row ``y`` of ``out`` uint8 (h, 3 w) from resampled source rows; row n is row n mod R of ``ring``."""
    first, pairs, weights = down
    for t in range(0, 2 * pairs[y], 2):
        row, below = (first[y] + t) % ring.shape[0], (first[y] + t + 1) % ring.shape[0]
        upper, lower = weights[y, t], weights[y, t + 1]
        if pairs[y] == 1:  # nearly always when upsampling
            for i in range(out.shape[1]):
                a, b = np.int32(ring[row, i]), np.int32(ring[below, i])
                out[y, i] = np.int32(np.int32(a * upper) + np.int32(b * lower) + _HALF) >> _BITS
            return
        kept, half = (_ALL, _NOTHING) if t else (_NOTHING, _HALF)
        for i in range(sums.size):
            a, b = np.int32(ring[row, i]), np.int32(ring[below, i])
            sums[i] = np.int32(sums[i] & kept) + np.int32(half + np.int32(np.int32(a * upper) + np.int32(b * lower)))
    for i in range(sums.size):
        value = sums[i] >> _BITS
        out[y, i] = value if value < 255 else 255


@kernel
def _resize(source: Pixels, across: Across, down: Down, sums: Integers, ring: Pixels, out: Pixels) -> None:
    """Resample each source row once into ``ring``, which holds the rows that the next output row blends."""
    ready = 0
    for y in range(out.shape[0]):
        while ready < source.shape[0] and ready < down.first[y] + ring.shape[0]:
            _widen(source, ready, across, sums, ring)
            ready += 1
        _blend(ring, y, down, sums, out)
