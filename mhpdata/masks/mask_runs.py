"""Run-length encoding of one person's mask by row, and its zlib stream in a record.

``docs/format.md`` specifies the stream byte by byte. Masks are stored for evaluation and for other overlap rules, and
merged in this form (mhpdata.masks.merge). Counts, lengths and labels are separate arrays, which compress better than
joint runs but must be decoded first.

In and out: uint8 (height, width); sides 1..65535. A stream from a record is untrusted: ``inflate_runs`` checks every
number before a kernel uses it, and never inflates more than the stream's own counts allow.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from mhpdata.errors import FIND_AGAIN, OptionError, RecordError
from mhpdata.images.size import MAX_SIDE
from mhpdata.kernels.jit import kernel
from mhpdata.labels import IGNORE
from mhpdata.masks.joint_runs import Marks, as_plane, end_marks
from mhpdata.wording import array_in_words

LEVEL = 1
"""zlib level for masks: higher levels would save at most 0.4 % of a record. Bytes and ms per mask for the four masks of
sample 1528 (0.71 Mpixel), encoding included: level 1: 2737, 0.13; 3: 2683, 0.14; 4: 2503, 0.15; 6: 2478, 0.18; 9: 2470,
0.19. Their PNGs take 4422 bytes."""

_ZERO, _ONE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(3)  # _EIGHT is a shift
_ROOM = 16
"""Initial capacity in runs per row: masks of people have about ten."""

Plane = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint16]
Number = TypeVar("Number", np.uint8, np.uint16)


class MaskRuns(NamedTuple):
    """The runs of a mask, row by row, as few as possible.

    Attributes:
        counts: uint16 (height,), number of runs in each row, from 1.
        lengths: uint16 (total,), pixels in each run; the lengths of a row sum to the width.
        labels: uint8 (total,), label of each run; 0 = nothing, 255 = ignored.
    """

    counts: Counts
    lengths: Counts
    labels: Plane

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the mask."""
        return len(self.counts), int(self.lengths[: self.counts[0]].sum(dtype=np.int64))

    @property
    def area(self) -> int:
        """The number of pixels with a label; 255 does not count."""
        return int(self.lengths[(self.labels != 0) & (self.labels != IGNORE)].sum(dtype=np.int64))


def mask_runs(mask: Plane) -> MaskRuns:
    """Encode a mask as runs.

    Args:
        mask: uint8 (height, width).

    Raises:
        OptionError: The mask is not uint8 (height, width) with sides 1..65535.
    """
    mask = as_plane("mask", mask)
    height, width = mask.shape
    counts, room = np.empty(height, np.uint16), _ROOM * height
    while True:
        runs = MaskRuns(counts, np.empty(room, np.uint16), np.empty(room, np.uint8))
        total = _fill(mask, end_marks(width), runs)
        if total <= room:
            return MaskRuns(counts, runs.lengths[:total].copy(), runs.labels[:total].copy())
        room = total


def draw_mask(runs: MaskRuns, size: tuple[int, int], out: Plane | None = None) -> Plane:
    """Draw runs from ``mask_runs`` or ``inflate_runs`` as a mask.

    Args:
        runs: Runs of a mask of this size.
        size: (height, width) of the mask.
        out: uint8 (height, width), C-contiguous, to write into; None for a new array.

    Returns:
        The mask, uint8 (height, width); ``out`` if given.

    Raises:
        OptionError: ``out`` has another dtype or shape, or is not writeable and contiguous.
    """
    if out is None:
        out = np.empty(size, np.uint8)
    elif out.dtype != np.uint8 or out.shape != tuple(size) or not out.flags.c_contiguous or not out.flags.writeable:
        expected = f"an array of uint8 {tuple(size)} that is writeable and contiguous"
        remedy = f"Pass out=np.empty({tuple(size)}, np.uint8), or omit out."
        raise OptionError("out", array_in_words(out), expected, remedy)
    _draw(runs, out)
    return out


def deflate_runs(runs: MaskRuns) -> bytes:
    """Compress a mask's runs into a zlib stream: counts, lengths, labels."""
    return zlib.compress(b"".join(array.data for array in runs), LEVEL)


def deflate_mask(mask: Plane) -> bytes:
    """Encode a mask and compress its runs; see ``mask_runs`` and ``deflate_runs``."""
    return deflate_runs(mask_runs(mask))


def inflate_mask(data: bytes | memoryview, size: tuple[int, int], out: Plane | None = None) -> Plane:
    """Decompress a mask's runs and draw them; see ``inflate_runs`` and ``draw_mask``."""
    return draw_mask(inflate_runs(data, size), size, out)


def inflate_runs(data: bytes | memoryview, size: tuple[int, int]) -> MaskRuns:
    """Decompress and check the runs in a zlib stream.

    Args:
        data: One zlib stream from a record; never inflated further than its own counts allow.
        size: (height, width) of the mask.

    Raises:
        RecordError: The stream is damaged, too short or too long, or its runs do not fill the rows.
        OptionError: ``size`` is out of range.
    """
    height, width = size
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        remedy = "Pass the mask's own size, such as (480, 640)."
        raise OptionError("size", f"{size}", f"(height, width), each from 1 to {MAX_SIDE}", remedy)
    inflater = zlib.decompressobj()
    try:
        counts = _take(inflater, data, np.uint16, height, "counts")
        if int(counts.min()) < 1 or int(counts.max()) > width:
            raise _damaged(f"{counts.min()} to {counts.max()} runs per row", f"1 to {width}, the number of columns")
        total = int(counts.sum(dtype=np.int64))
        lengths = _take(inflater, inflater.unconsumed_tail, np.uint16, total, "lengths")
        labels = _take(inflater, inflater.unconsumed_tail, np.uint8, total, "labels")
        extra = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise _damaged(f"zlib: {error}") from error
    if extra or inflater.unused_data or not inflater.eof:
        what = "no end" if not (extra or inflater.eof) else "more bytes"
        raise _damaged(f"{what} after the labels", "the end of its zlib stream")
    row = _find_unfilled(counts, lengths, width)
    if row >= 0:
        raise _damaged(f"the runs of row {row} do not fill it", f"lengths of 1 or more that sum to {width}")
    return MaskRuns(counts, lengths, labels)


def _take(inflater: Any, data: bytes | memoryview, dtype: type[Number], count: int, what: str) -> npt.NDArray[Number]:
    """Return the next ``count`` little-endian numbers of a stream.

    They are a writable copy: kernels would be compiled a second time for read-only arrays.
    """
    wanted = count * np.dtype(dtype).itemsize
    piece: bytes = inflater.decompress(data, wanted)
    if len(piece) != wanted:
        raise _damaged(f"{len(piece)} bytes of {what}", f"{wanted}")
    return np.frombuffer(piece, np.dtype(dtype).newbyteorder("<")).astype(dtype)


def _damaged(found: str, expected: str = "") -> RecordError:
    return RecordError("mask", f"is damaged ({found})", expected, FIND_AGAIN)


@kernel
def _fill(mask: Plane, marks: Marks, runs: MaskRuns) -> int:
    """Write the runs of a uint8 (H, W) mask as far as they fit; return their total number.

    Unlike with ``joint_runs._fill_runs``, there is no separate counting pass, which would have to be compiled as well.
    """
    height, width = mask.shape
    columns, eights = marks
    counts, lengths, labels = runs
    n, last, room = _ZERO, np.uint64(width - 1), np.uint64(lengths.size)
    for y in range(height):
        for x in range(last):
            columns[x] = np.uint8(mask[y, x] != mask[y, x + _ONE])
        begin, first = _ZERO, n
        for eight in range(np.uint64(eights.size)):
            if eights[eight] == 0:
                continue
            for x in range(eight << _EIGHT, (eight + _ONE) << _EIGHT):
                if columns[x] != 0:
                    if n < room:
                        lengths[n], labels[n] = x + _ONE - begin, mask[y, x]
                    begin = x + _ONE
                    n += _ONE
        counts[y] = n - first
    return int(n)


@kernel
def _find_unfilled(counts: Counts, lengths: Counts, width: int) -> int:
    """Return the first row that its runs do not fill exactly, or -1; ``counts`` must sum to ``lengths.size``."""
    n = 0
    for y in range(counts.size):
        filled = np.int64(0)
        for i in range(n, n + np.int64(counts[y])):
            if lengths[i] == 0:
                return y
            filled += np.int64(lengths[i])
        if filled != width:
            return y
        n += np.int64(counts[y])
    return -1


@kernel
def _draw(runs: MaskRuns, out: Plane) -> None:
    """Draw checked runs into uint8 (H, W)."""
    counts, lengths, labels = runs
    n = 0
    for y in range(out.shape[0]):
        x = np.int64(0)
        for i in range(n, n + np.int64(counts[y])):
            # the bit mask tells LLVM that the end is positive: 0.04 ms for 0.6 Mpixel instead of 0.25
            label, end = labels[i], (x + lengths[i]) & 0xFFFF
            for at in range(x, end):
                out[y, at] = label
            x = end
        n += np.int64(counts[y])
