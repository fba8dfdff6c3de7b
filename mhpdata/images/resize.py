"""Image, labels and persons to the packed size, all in one place, so that they can never disagree on it.

The image is resized exactly as by Pillow's ``Image.resize(size, BILINEAR)``, which the old recipe used: a triangle
filter, as wide as the step when it shrinks (so it antialiases), in two passes, rows first, rounded to 8 bits between.
The algorithm is that of Pillow's ``src/libImaging/Resample.c`` (``precompute_coeffs``, ``normalize_coeffs_8bpc``):
weights in float64, then integers of 22 bits. The weights use nothing but + - * / and floor, and the kernels only
integers, so every machine gives the same bytes, whatever the version of any library. (Pillow itself does not: since
13.0 it takes the columns first where the height shrinks much more than the width, pull request 9549, and is then one
level off here and there. Sizes from ``packed_size`` keep the aspect; of 60 drawn at random that shrink, all were equal
in 13.0 too.) Labels and persons are taken from the nearest pixel.

In: uint8 (height, width, 3) images, uint8 (height, width) maps. Out: the same at another size, as (height, width).
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

_BITS = 22  # of a weight, as in Pillow: 8 bits of pixel, 2 to spare
_HALF = np.int32(1 << (_BITS - 1))
_ALL, _NOTHING, _PIXEL = np.int32(-1), np.int32(0), np.uint64(24)  # typed constants compile faster than calls

Pixels = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]


class Across(NamedTuple):
    """The row pass, from W to w pixels of three bytes.

    Attributes:
        places: int32 (pairs, w), the byte where each pair of neighbours begins.
        weights: int32 (pairs, 2, 3 w), of the left and of the right neighbour, for each byte of the row.
        padded: uint8 (3 W + 8,), scratch for one source row, so that eight bytes can be loaded from any pixel.
        pair: uint8 (2, 3 w + 1), scratch for the left and the right neighbour of each output pixel.
    """

    places: Integers
    weights: npt.NDArray[np.int32]
    padded: Pixels
    pair: Pixels


class Down(NamedTuple):
    """The column pass, from H to h rows: ``weights`` of these heights.

    Attributes:
        first: int64 (h,), the first source row of each.
        pairs: int64 (h,), how many pairs of source rows.
        weights: int32 (h, 2 most pairs), of the rows.
    """

    first: Indices
    pairs: Indices
    weights: Integers


def resize_image(image: Pixels, size: tuple[int, int], out: Pixels | None = None) -> Pixels:
    """Resize a colour image as Pillow's BILINEAR does, rows first, to the last bit.

    Args:
        image: uint8 (height, width, 3).
        size: (height, width) wanted, each 1..65535.
        out: uint8 (size[0], size[1], 3), C-contiguous, to write into; must not share memory with ``image``.

    Returns:
        uint8 (size[0], size[1], 3), never ``image`` itself; ``out`` where given.

    Raises:
        OptionError: an array or size of another kind.
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
    """Pillow's triangle filter from ``n_in`` to ``n_out`` pixels (``precompute_coeffs``, ``normalize_coeffs_8bpc``).

    Returns:
        first int64 (n_out), the first source pixel of each output pixel; taps int64 (n_out), how many there are;
        weights int32 (n_out, most taps), 2**22 = 1, zero beyond the taps. Sums are in Pillow's order, so all are equal
        bit by bit.
    """
    step = n_in / n_out
    support = max(step, 1.0)
    inverse = 1.0 / support
    center = (np.arange(n_out) + 0.5) * step
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
    """The weights of a column, taken two rows at a time; a row past the last tap has weight 0."""
    first, taps, table = weights(n_in, n_out)
    even = np.zeros((n_out, (table.shape[1] + 1) // 2 * 2), np.int32)
    even[:, : table.shape[1]] = table
    return Down(first, (taps + 1) // 2, even)


def _across(n_in: int, n_out: int) -> Across:
    """The weights of a row of interleaved RGB, taken two neighbours at a time, and room for one row."""
    first, _, table = weights(n_in, n_out)
    pairs = (table.shape[1] + 1) // 2
    even = np.zeros((n_out, 2 * pairs), np.int32)
    even[:, : table.shape[1]] = table
    steps = 2 * np.arange(pairs)[:, None]
    # A pair past the row's end has weight 0 throughout; it must only stay inside the padded row.
    places = (3 * np.minimum(first + steps, n_in - 1)).astype(np.int32)
    return Across(
        places,
        np.repeat(np.ascontiguousarray(even.T), 3, axis=1).reshape(pairs, 2, 3 * n_out),
        np.zeros(3 * n_in + 8, np.uint8),
        np.zeros((2, 3 * n_out + 1), np.uint8),
    )


# Two things that Numba has no words for: eight bytes from any place, and four bytes to any place (little-endian).


@intrinsic
def _load_8(typing_context: Any, array: Any, place: Any) -> Any:
    """The uint64 at byte ``place`` of a contiguous uint8 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(types.uint64).as_pointer())
        value = builder.load(pointer)
        value.align = 1
        return value

    return types.uint64(array, types.intp), generate


@intrinsic
def _store_4(typing_context: Any, array: Any, place: Any, value: Any) -> Any:
    """Write a uint32 to byte ``place`` of a contiguous uint8 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(types.uint32).as_pointer())
        store = builder.store(arguments[2], pointer)
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint32), generate


# Below: a row is 3 W bytes of interleaved RGB; `sums` int32 (3 w) is scratch.
#
# 634 x 626 -> 784 x 768, one thread of a Zen 4 EPYC, minimum of 30: Pillow 5.1 ms, OpenCV (which never antialiases)
# 0.75 ms, this 0.75 ms: 0.30 gather, 0.17 row weights, 0.17 column weights, 0.08 tables. Tried and lost: the row pass
# as one scalar loop over pixels and channels, without the gather into `pair`: 2.35 ms in all; the last pair fused with
# the final shift: the row pass 0.74 instead of 0.47 ms, and no faster when shrinking.


@inlined
def _widen(source: Pixels, y: int, across: Across, sums: Integers, ring: Pixels) -> None:
    """The row pass: row ``y`` of ``source`` uint8 (H, 3 W) to row y mod R of ``ring`` uint8 (R, 3 w).

    For each pair, the pixels are laid side by side, and their right neighbours; each store spills one byte, which the
    next one mends.
    """
    places, weights, padded, pair = across
    left, right, row = pair[0], pair[1], y % ring.shape[0]
    for i in range(source.shape[1]):
        padded[i] = source[y, i]
    kept, half = _NOTHING, _HALF
    for k in range(places.shape[0]):
        for j in range(places.shape[1]):
            eight: Any = _load_8(padded, np.intp(places[k, j]))
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
    """The column pass: row ``y`` of ``out`` uint8 (h, 3 w) from source rows, of which ``ring`` has row n at n mod R."""
    first, pairs, weights = down
    for t in range(0, 2 * pairs[y], 2):
        row, below = (first[y] + t) % ring.shape[0], (first[y] + t + 1) % ring.shape[0]
        upper, lower = weights[y, t], weights[y, t + 1]
        if pairs[y] == 1:  # nearly always so when enlarging
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
    """Each source row is widened once, into the ``ring`` that holds the rows which the next output row blends."""
    ready = 0
    for y in range(out.shape[0]):
        while ready < source.shape[0] and ready < down.first[y] + ring.shape[0]:
            _widen(source, ready, across, sums, ring)
            ready += 1
        _blend(ring, y, down, sums, out)
