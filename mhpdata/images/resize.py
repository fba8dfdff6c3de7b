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

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from mhpdata.errors import OptionError
from mhpdata.jit import kernel
from mhpdata.wording import AS_MAP, array_in_words

SIZE_OF = ("short", "long")
"""Which side of the image becomes ``size``."""

MAX_SIDE = 65535
"""The longest side that a record can hold."""

_BITS = 22  # of a weight, as in Pillow: 8 bits of pixel, 2 to spare
_HALF = np.int32(1 << (_BITS - 1))

Pixels = npt.NDArray[np.uint8]


def packed_size(height: int, width: int, size: int, size_of: str = "short") -> tuple[int, int]:
    """The size at which an image is packed.

    The old recipe's rounding (GluonCV, ``gluoncv/data/mhp.py``, ``__getitem__``): one side becomes ``size``; the other
    keeps the aspect, rounded half up to a pixel, then half to even to a multiple of 8 (at least 8).

    Args:
        height: of the source.
        width: of the source.
        size: of the chosen side; 0 leaves the image as it is.
        size_of: "short" or "long". Of a square, "short" takes the width and "long" the height.

    Returns:
        (height, width), each 1..65535.

    Raises:
        OptionError: an argument or the result out of range.
    """
    if size_of not in SIZE_OF:
        raise OptionError("size_of", f"{size_of!r}", " or ".join(SIZE_OF), "Pass one of these words.")
    if not 0 <= size <= MAX_SIDE:
        remedy = f"Pass {MAX_SIDE} or less." if size > 0 else "Pass 0 to keep the size, or the pixels of a side."
        raise OptionError("size", f"{size}", f"0 (unchanged) to {MAX_SIDE}", remedy)
    if min(height, width) < 1 or max(height, width) > MAX_SIDE:
        remedy = "Pass the height and the width of the photo, in pixels; crop a photo that is larger."
        raise OptionError("image", f"{height} x {width} pixels", f"sides from 1 to {MAX_SIDE}", remedy)
    if size == 0:
        return height, width
    new_height, new_width = _new_size(height, width, size, size_of)
    if max(new_height, new_width) > MAX_SIDE:
        found = f"{height} x {width} pixels would become {new_height} x {new_width}"
        largest = largest_size(size, lambda new: max(_new_size(height, width, new, size_of)) <= MAX_SIDE)
        ways = [f"size={largest} or less"] if largest else []
        ways += ["size_of='long', which makes size the longer side"] if size_of == "short" else []
        raise OptionError("size", found, f"sides up to {MAX_SIDE}", f"Pass {', or '.join(ways) or 'size=0'}.")
    return new_height, new_width


def largest_size(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest size below ``limit`` that fits, where smaller ones fit, too; 0 where none does."""
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
    """The new length of ``side`` when ``other`` becomes ``size``."""
    length = int(1.0 * side * size / other + 0.5)
    if length % 8:
        length = max(round(length / 8) * 8, 8)
    return max(length, 8)


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
        remedy = "Pass the photo as RGB: three channels, turned into bytes with .astype('uint8')."
        if image.dtype.kind == "f":
            remedy = f"{remedy[:-1]}; if its numbers run from 0 to 1, (255 * image).round().astype('uint8')."
        raise OptionError("image", array_in_words(image), "an array of uint8 (height, width, 3)", remedy)
    old_height, old_width = _checked("image", image.shape[:2])
    height, width = _checked("size", size)
    out = _target(out, (height, width, 3))
    source = np.ascontiguousarray(image).reshape(old_height, 3 * old_width)
    target = out.reshape(height, 3 * width)
    if (height, width) == (old_height, old_width):
        target[...] = source
        return out

    places, across = _row_weights(old_width, width)
    padded = np.zeros(3 * old_width + 8, np.uint8)
    pair = np.zeros((2, 3 * width + 1), np.uint8)
    sums = np.empty(3 * width, np.int32)
    if height == old_height:
        _widen_all(source, places, across, padded, pair, sums, target)
        return out
    first, taps, down = weights(old_height, height)
    if width == old_width:
        _blend_all(source, first, taps, down, sums, target)
        return out
    ring = np.empty((down.shape[1], 3 * width), np.uint8)
    _resize_all(source, places, across, padded, pair, sums, first, taps, down, ring, target)
    return out


def resize_labels(labels: Pixels, size: tuple[int, int], out: Pixels | None = None) -> Pixels:
    """Resize a label map or a person map: the nearest pixel, as ``nearest_index`` has it.

    Args:
        labels: uint8 (height, width).
        size: (height, width) wanted, each 1..65535.
        out: uint8 of that size, C-contiguous, to write into; must not share memory with ``labels``.

    Returns:
        uint8 (size[0], size[1]), never ``labels`` itself; ``out`` where given.

    Raises:
        OptionError: an array or size of another kind.
    """
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise OptionError("labels", array_in_words(labels), "an array of uint8 (height, width)", AS_MAP)
    old_height, old_width = _checked("labels", labels.shape)
    height, width = _checked("size", size)
    out = _target(out, (height, width))
    rows, columns = nearest_index(old_height, height), nearest_index(old_width, width)
    _pick(np.ascontiguousarray(labels), rows.astype(np.uint64), columns.astype(np.uint64), out)
    return out


def nearest_index(n_in: int, n_out: int) -> npt.NDArray[np.int32]:
    """The source pixel under the centre of each output pixel: int32 (n_out), floor((2 i + 1) n_in / (2 n_out)).

    Pillow's NEAREST means the same but adds its positions up in float64. Where a centre falls exactly between two
    pixels, which takes (2 i + 1) n_in divisible by 2 n_out, its sum may stay just below and give the pixel before; that
    is so in 2 % of the size pairs 100..4300 -> multiples of 8, for some of their pixels. They differ nowhere else.
    """
    return ((2 * np.arange(n_out, dtype=np.int64) + 1) * n_in // (2 * n_out)).astype(np.int32)


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


def _row_weights(n_in: int, n_out: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The weights of a row of interleaved RGB, taken two neighbours at a time.

    Returns:
        places int32 (pairs, n_out), the byte where each pair begins; weights int32 (pairs, 2, 3 n_out), one a byte.
    """
    first, _, table = weights(n_in, n_out)
    pairs = (table.shape[1] + 1) // 2
    even = np.zeros((n_out, 2 * pairs), np.int32)
    even[:, : table.shape[1]] = table
    steps = 2 * np.arange(pairs)[:, None]
    # A pair past the row's end has weight 0 throughout; it must only stay inside the padded row.
    places = (3 * np.minimum(first + steps, n_in - 1)).astype(np.int32)
    return places, np.repeat(np.ascontiguousarray(even.T), 3, axis=1).reshape(pairs, 2, 3 * n_out)


def _checked(name: str, size: tuple[int, ...]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1 or max(size) > MAX_SIDE:
        remedy = "Pass two whole numbers, such as (480, 640)." if name == "size" else "Pass an image that has pixels."
        raise OptionError(name, f"{tuple(size)}", f"(height, width), each from 1 to {MAX_SIDE}", remedy)
    return int(size[0]), int(size[1])


def _target(out: Pixels | None, shape: tuple[int, ...]) -> Pixels:
    if out is None:
        return np.empty(shape, np.uint8)
    if out.dtype != np.uint8 or out.shape != shape or not out.flags.c_contiguous or not out.flags.writeable:
        expected = f"a writeable, contiguous array of uint8 {shape}"
        remedy = f"Pass np.empty({shape}, np.uint8), or leave out= out to have a new array made."
        raise OptionError("out", array_in_words(out), expected, remedy)
    return out


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


# Below: a row is 3 W bytes of interleaved RGB. `padded` uint8 (3 W + 8) holds one source row, so that eight bytes can
# be loaded from any pixel; `pair` uint8 (2, 3 w + 1) the left and the right neighbour of each output pixel; `sums`
# int32 (3 w).
#
# 634 x 626 -> 784 x 768, one thread of a Zen 4 EPYC, minimum of 30: Pillow 5.1 ms, OpenCV (which never antialiases)
# 0.75 ms, this 0.75 ms: 0.30 gather, 0.17 row weights, 0.17 column weights, 0.08 tables. Tried and lost: the row pass
# as one scalar loop over pixels and channels, without the gather into `pair`: 2.35 ms in all; the last pair fused with
# the final shift: the row pass 0.74 instead of 0.47 ms, and no faster when shrinking.


@kernel
def _gather(padded: Any, places: Any, k: Any, left: Any, right: Any) -> None:
    """Lay the pixels at ``places[k]`` side by side, and their right neighbours.

    Each store spills one byte, which the next one mends.
    """
    for j in range(places.shape[1]):
        eight: Any = _load_8(padded, np.intp(places[k, j]))
        _store_4(left, 3 * j, np.uint32(eight))
        _store_4(right, 3 * j, np.uint32(eight >> np.uint64(24)))


@kernel
def _widen(
    source: Any, y: Any, places: Any, across: Any, padded: Any, pair: Any, sums: Any, out: Any, row: Any
) -> None:
    """The row pass: row ``y`` of ``source`` uint8 (H, 3 W) to ``row`` of ``out`` uint8 (any, 3 w)."""
    left, right = pair[0], pair[1]
    for i in range(source.shape[1]):
        padded[i] = source[y, i]
    _gather(padded, places, 0, left, right)
    if places.shape[0] == 1:  # always so when enlarging
        for i in range(out.shape[1]):
            a, b = np.int32(left[i]), np.int32(right[i])
            out[row, i] = np.int32(np.int32(a * across[0, 0, i]) + np.int32(b * across[0, 1, i]) + _HALF) >> _BITS
        return
    for i in range(sums.size):
        a, b = np.int32(left[i]), np.int32(right[i])
        sums[i] = np.int32(np.int32(a * across[0, 0, i]) + np.int32(b * across[0, 1, i]) + _HALF)
    for k in range(1, places.shape[0]):
        _gather(padded, places, k, left, right)
        for i in range(sums.size):
            a, b = np.int32(left[i]), np.int32(right[i])
            sums[i] += np.int32(np.int32(a * across[k, 0, i]) + np.int32(b * across[k, 1, i]))
    for i in range(sums.size):
        out[row, i] = min(sums[i] >> _BITS, 255)


@kernel
def _blend(rows: Any, first: Any, taps: Any, down: Any, y: Any, sums: Any, out: Any) -> None:
    """The column pass: row ``y`` of ``out`` from ``taps`` source rows; ``rows`` uint8 (R, 3 w) has row n at n mod R."""
    count = rows.shape[0]
    top = first % count
    weight = np.int32(down[y, 0])
    if taps == 2:  # nearly always so when enlarging
        low, other = (first + 1) % count, np.int32(down[y, 1])
        for i in range(out.shape[1]):
            a, b = np.int32(rows[top, i]), np.int32(rows[low, i])
            out[y, i] = np.int32(np.int32(a * weight) + np.int32(b * other) + _HALF) >> _BITS
        return
    for i in range(sums.size):
        sums[i] = np.int32(np.int32(np.int32(rows[top, i]) * weight) + _HALF)
    for t in range(1, taps):
        row, weight = (first + t) % count, np.int32(down[y, t])
        for i in range(sums.size):
            sums[i] += np.int32(np.int32(rows[row, i]) * weight)
    for i in range(sums.size):
        out[y, i] = min(sums[i] >> _BITS, 255)


@kernel
def _widen_all(source: Any, places: Any, across: Any, padded: Any, pair: Any, sums: Any, out: Any) -> None:
    """Rows only."""
    for y in range(out.shape[0]):
        _widen(source, y, places, across, padded, pair, sums, out, y)


@kernel
def _blend_all(source: Any, first: Any, taps: Any, down: Any, sums: Any, out: Any) -> None:
    """Columns only."""
    for y in range(out.shape[0]):
        _blend(source, first[y], taps[y], down, y, sums, out)


@kernel
def _resize_all(
    source: Any,
    places: Any,
    across: Any,
    padded: Any,
    pair: Any,
    sums: Any,
    first: Any,
    taps: Any,
    down: Any,
    ring: Any,
    out: Any,
) -> None:
    """Both: each source row is widened once, into the ``ring`` that holds the rows which the next output row blends."""
    ready = 0
    for y in range(out.shape[0]):
        while ready < first[y] + taps[y]:
            _widen(source, ready, places, across, padded, pair, sums, ring, ready % ring.shape[0])
            ready += 1
        _blend(ring, first[y], taps[y], down, y, sums, out)


@kernel
def _pick(labels: Any, rows: Any, columns: Any, out: Any) -> None:
    """``labels[rows][:, columns]`` for uint8 (H, W), uint64 (h), uint64 (w).

    A row that repeats is copied, and indices are unsigned: 0.2 ms to 768 x 800; signed ones took 0.6 ms.
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
