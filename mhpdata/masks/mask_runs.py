"""One person's mask as row runs, and the zlib stream of them that a record keeps.

``docs/format.md`` specifies the stream, byte by byte. A mask is kept for evaluation, for other overlap rules, and to be
merged (mhpdata.masks.merge): counts, lengths and labels lie apart, which packs better than joint runs and needs a
decoder.

In and out: uint8 (height, width); sides 1..65535. A stream from a record is never trusted: ``inflate_runs`` checks
every number before a kernel follows it, and never inflates more than the stream's own counts allow.
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
"""zlib's level for a mask: more of it would save at most 0.4 % of a record. The four masks of sample 1528 (0.71
Mpixel), bytes and ms a mask, runs included: level 1: 2737, 0.13; 3: 2683, 0.14; 4: 2503, 0.15; 6: 2478, 0.18; 9: 2470,
0.19. Their PNGs take 4422 bytes."""

_ZERO, _ONE, _EIGHT = np.uint64(0), np.uint64(1), np.uint64(3)  # the last as a shift
_ROOM = 16
"""Runs per row for which there is room at first: people take some ten."""

Plane = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint16]
Number = TypeVar("Number", np.uint8, np.uint16)


class MaskRuns(NamedTuple):
    """The runs of a mask, row by row, as few as possible.

    Attributes:
        counts: uint16 (height,), how many runs each row has, from 1.
        lengths: uint16 (total,), pixels of each run; those of a row sum to the width.
        labels: uint8 (total,), the label of each run; 0 nothing, 255 not counted.
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
        """How many pixels have a label; 255 is none."""
        return int(self.lengths[(self.labels != 0) & (self.labels != IGNORE)].sum(dtype=np.int64))


def mask_runs(mask: Plane) -> MaskRuns:
    """The runs of a mask.

    Args:
        mask: uint8 (height, width).

    Raises:
        OptionError: the mask is not uint8 (height, width) with sides 1..65535.
    """
    mask = as_plane("mask", mask)
    height, width = mask.shape
    counts, room = np.empty(height, np.uint16), _ROOM * height
    while True:
        runs = MaskRuns(counts, np.empty(room, np.uint16), np.empty(room, np.uint8))
        found = _fill(mask, end_marks(width), runs)
        if found <= room:
            return MaskRuns(counts, runs.lengths[:found].copy(), runs.labels[:found].copy())
        room = found


def draw_mask(runs: MaskRuns, size: tuple[int, int], out: Plane | None = None) -> Plane:
    """The mask of runs from ``mask_runs`` or ``inflate_runs``.

    Args:
        runs: of a mask of this size.
        size: (height, width).
        out: uint8 (height, width), C-contiguous, to write into.

    Returns:
        uint8 (height, width); ``out`` where given.

    Raises:
        OptionError: ``out`` is of another kind.
    """
    if out is None:
        out = np.empty(size, np.uint8)
    elif out.dtype != np.uint8 or out.shape != tuple(size) or not out.flags.c_contiguous or not out.flags.writeable:
        expected = f"an array of uint8 {tuple(size)} that is writeable and contiguous"
        remedy = f"Pass out=np.empty({tuple(size)}, np.uint8), or no out."
        raise OptionError("out", array_in_words(out), expected, remedy)
    _draw(runs, out)
    return out


def deflate_runs(runs: MaskRuns) -> bytes:
    """The zlib stream of a mask's runs: counts, lengths, labels."""
    return zlib.compress(b"".join(part.data for part in runs), LEVEL)


def deflate_mask(mask: Plane) -> bytes:
    """``deflate_runs`` of ``mask_runs``."""
    return deflate_runs(mask_runs(mask))


def inflate_mask(data: bytes | memoryview, size: tuple[int, int], out: Plane | None = None) -> Plane:
    """``draw_mask`` of ``inflate_runs``."""
    return draw_mask(inflate_runs(data, size), size, out)


def inflate_runs(data: bytes | memoryview, size: tuple[int, int]) -> MaskRuns:
    """The runs in a stream.

    Args:
        data: one zlib stream, from a record; never inflated beyond what its own counts allow.
        size: (height, width) of the mask.

    Raises:
        RecordError: the stream is damaged, too short or too long, or its runs do not fill the rows.
        OptionError: ``size`` out of range.
    """
    height, width = size
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        remedy = "Pass the mask's own size, such as (480, 640)."
        raise OptionError("size", f"{size}", f"(height, width), each from 1 to {MAX_SIDE}", remedy)
    inflater = zlib.decompressobj()
    try:
        counts = _take(inflater, data, np.uint16, height, "counts")
        if int(counts.min()) < 1 or int(counts.max()) > width:
            raise _damaged(f"{counts.min()} to {counts.max()} runs a row", f"1 to {width}, as it has columns")
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
        raise _damaged(f"the runs of row {row} do not fill it", f"lengths from 1 that sum to {width}")
    return MaskRuns(counts, lengths, labels)


def _take(inflater: Any, data: bytes | memoryview, kind: type[Number], count: int, what: str) -> npt.NDArray[Number]:
    """The next ``count`` little-endian numbers of a stream.

    A copy, which may be written: kernels are compiled once for all runs, and not again for what is read-only.
    """
    wanted = count * np.dtype(kind).itemsize
    piece: bytes = inflater.decompress(data, wanted)
    if len(piece) != wanted:
        raise _damaged(f"{len(piece)} bytes of {what}", f"{wanted}")
    return np.frombuffer(piece, np.dtype(kind).newbyteorder("<")).astype(kind)


def _damaged(found: str, expected: str = "") -> RecordError:
    return RecordError("mask", f"is damaged ({found})", expected, FIND_AGAIN)


@kernel
def _fill(mask: Plane, marks: Marks, runs: MaskRuns) -> int:
    """Write the runs of a uint8 (H, W) mask, as far as there is room for them; returns how many there are.

    As ``joint_runs._fill_runs``, but that a pass which only counts would have to be compiled as well.
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
    """The first row that runs, right in number, do not fill exactly; -1 if there is none."""
    n = 0
    for y in range(counts.size):
        filled = np.int64(0)
        for i in range(n, n + counts[y]):
            if lengths[i] == 0:
                return y
            filled += np.int64(lengths[i])
        if filled != width:
            return y
        n += counts[y]
    return -1


@kernel
def _draw(runs: MaskRuns, out: Plane) -> None:
    """Draw checked runs into uint8 (H, W)."""
    counts, lengths, labels = runs
    n = 0
    for y in range(out.shape[0]):
        x = np.int64(0)
        for i in range(n, n + counts[y]):
            # the mask tells LLVM that the end is positive: 0.04 ms for 0.6 Mpixel, else 0.25
            label, end = labels[i], (x + lengths[i]) & 0xFFFF
            for at in range(x, end):
                out[y, at] = label
            x = end
        n += counts[y]
