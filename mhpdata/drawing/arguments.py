"""What the kernels of this room take: type aliases, and bundles of arguments as named tuples.

Numba takes a named tuple apart for nothing where a kernel unpacks it once per image. Handing a tuple that holds arrays
to a function per row costs 1.5 to 1.8 times the row, since each handing-on counts references; a tuple of integers alone
(:class:`Canvas`, :class:`Lanes`) costs nothing anywhere.

The code of a function under ``@kernel`` depends on the fields of these classes and on their order, which the name of a
signature does not tell; the words above make :mod:`mhpdata.kernels.cache` count this file among the sources of kernels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mhpdata.kernels.arrays import Bytes, Doubles, Floats, Ints, Longs, Shorts, ShortWords, Words

Address = int
"""Where something begins in memory."""
Level = int
"""1 (AVX2) or 2 (AVX-512), see :data:`mhpdata.drawing.vectors.instructions.LEVEL`."""


class Norm(NamedTuple):
    """What each value of each channel becomes: float32(factor * value + offset).

    ``factors``: float32 (3, 2), factor and offset per channel. ``floats``: float32 (3, 256), the same as a table.
    ``halves``: uint16 (3, 256), the bits of the table as float16. ``black``: int64 (2, 3), the 4 bytes that black is,
    over and over, as float32 and as float16.
    """

    factors: Floats
    floats: Floats
    halves: ShortWords
    black: Longs


class Work(NamedTuple):
    """The working memory of one thread, see :class:`mhpdata.drawing.scratch.DrawScratch`.

    ``first``, ``taps``: int32 (4, n), ``weight``: int16 (4, n, most taps): the tables of :mod:`mhpdata.drawing.taps`:
    rows 0 and 1 down the planes 0 and 1, rows 2 and 3 along them. ``base``, ``picks``, ``packed``: the same along the
    rows, laid out for vectors. ``sums``, ``pixels``: int16 (3, row), ``rgb``: uint8 (3 rows): a row between steps.
    ``spare``: uint8, one row of the output. ``sharp``: uint8, a whole crop as planes, before it is blurred. The rest is
    here since Numba compiles for half a second to make small arrays: ``shares``, float64 (most taps,), of one pixel;
    ``low``, ``span``, ``most``, int64 (2,), of :class:`Axes`; ``at``, ``stride``, int64 (3,), of such a crop.
    """

    first: Ints
    taps: Ints
    weight: Shorts
    base: Ints
    picks: Bytes
    packed: Shorts
    sums: Shorts
    pixels: Shorts
    rgb: Bytes
    spare: Bytes
    sharp: Bytes
    shares: Doubles
    low: Longs
    span: Longs
    most: Longs
    at: Longs
    stride: Longs


class Axes(NamedTuple):
    """What a crop touches. Per kind of plane (0: the first, 1: the others), int64 (2,): ``low``, the first sample of a
    row, ``span``, samples of a row, ``most``, taps of a pixel along the row. ``rows`` and ``columns`` of the crop show
    the image; the rest is black."""

    low: Longs
    span: Longs
    most: Longs
    rows: int
    columns: int


class Target(NamedTuple):
    """Where a crop of ``height`` x ``width`` pixels goes: ``out``, uint8, flat; as what kind; in gray or in colour."""

    out: Bytes
    kind: int
    gray: bool | np.bool_
    height: int
    width: int


class Canvas(NamedTuple):
    """The output in bytes: ``size`` of a pixel of a plane, ``plane`` from channel to channel, ``row`` from row to row,
    and the 4-byte word that black is in each channel."""

    kind: int
    width: int
    size: int
    plane: int
    row: int
    red: int
    green: int
    blue: int


class Lanes(NamedTuple):
    """Addresses and distances in bytes of what the fused steps read along a row, and the bytes of an output's plane.

    ``sums``: three rows of :func:`mhpdata.drawing.vectors.steps.vertical`. ``base``, ``picks``, ``packed``: the tables
    of ``pack_taps``; those of the chroma stand one distance further (0 where all planes share theirs). ``pairs``: pairs
    of taps of a pixel. ``wide``: 1 where a window has 16 words. ``norm``: factor and offset per channel.
    """

    sums: Address
    sums_stride: int
    base: Address
    base_stride: int
    picks: Address
    picks_stride: int
    packed: Address
    packed_stride: int
    pairs: int
    chroma_pairs: int
    wide: int
    chroma_wide: int
    norm: Address
    plane: int


class Runs(NamedTuple):
    """The row runs of a record, as docs/format.md says.

    ``offsets``: uint32 (rows + 1,), the first run of each row. ``words``: uint32, one per run: the column after its
    last in bits 0 to 15, its label in bits 16 to 23, its person in bits 24 to 31.
    """

    offsets: Words
    words: Words


class MapRules(NamedTuple):
    """``swap``: uint8 (256,), the label that each label becomes. ``pad_label``: the label of the padding. ``classes``
    and ``persons``: how many there are; a label is less than ``classes`` or 255, a person at most ``persons``."""

    swap: Bytes
    pad_label: int
    classes: int
    persons: int
