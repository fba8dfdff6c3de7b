"""Define the arguments of the kernels in this package: type aliases, and named tuples that bundle arguments.

Unpacking a named tuple once per image costs nothing in Numba. Passing a tuple of arrays to a function per row costs 1.5
to 1.8 times the row itself, since every pass counts references; a tuple of integers only (:class:`Canvas`,
:class:`Lanes`) is free everywhere.

The compiled code of a ``@kernel`` function depends on the fields of these classes and on their order, which the
signature does not record. :mod:`mhpdata.kernels.cache` finds the decorator's name above and treats this file as a
source of kernels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mhpdata.kernels.arrays import Bytes, Doubles, Floats, Ints, Longs, Shorts, ShortWords, Words

Address = int
"""A memory address, in bytes."""
Level = int
"""1 (AVX2) or 2 (AVX-512), see :data:`mhpdata.drawing.vectors.instructions.LEVEL`."""


class Norm(NamedTuple):
    """Normalisation of pixel values: float32(factor * value + offset).

    ``factors``: float32 (3, 2), factor and offset per channel. ``floats``: float32 (3, 256), the results as a table.
    ``halves``: uint16 (3, 256), the bits of the table as float16. ``black``: int64 (2, 3), the 4-byte word that a black
    plane repeats, per channel, for float32 and for float16.
    """

    factors: Floats
    floats: Floats
    halves: ShortWords
    black: Longs


class Work(NamedTuple):
    """Buffers of one thread, see :class:`mhpdata.drawing.scratch.DrawScratch`.

    ``first``, ``taps``: int32 (4, n), ``weight``: int16 (4, n, most taps), the tables of :mod:`mhpdata.drawing.taps`:
    rows 0 and 1 for the vertical axis of planes 0 and 1, rows 2 and 3 for the horizontal one. ``base``, ``picks``,
    ``packed``: the horizontal tables, laid out for vectors. ``sums``, ``pixels``: int16 (3, row), and ``rgb``: uint8
    (3 rows), one row between two stages. ``spare``: uint8, one row of the output. ``sharp``: uint8, a whole crop as
    planes, before it is blurred. The other arrays are preallocated, since creating small arrays in a kernel adds half a
    second of compilation: ``shares``, float64 (most taps,), the weights of one pixel; ``low``, ``span``, ``most``,
    int64 (2,), of :class:`Axes`; ``at``, ``stride``, int64 (3,), of the crop in ``sharp``.
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
    """Samples that a crop needs, int64 (2,) each: index 0 for the first plane, 1 for the other two.

    ``low``: first sample of a row. ``span``: number of samples in a row. ``most``: largest number of horizontal taps
    per pixel. ``rows``, ``columns``: how many rows and columns of the crop show the image; the rest is black.
    """

    low: Longs
    span: Longs
    most: Longs
    rows: int
    columns: int


class Target(NamedTuple):
    """Output of a crop of ``height`` x ``width`` pixels: ``out``, uint8, flat, in the format ``kind``, gray or not."""

    out: Bytes
    kind: int
    gray: bool | np.bool_
    height: int
    width: int


class Canvas(NamedTuple):
    """Layout of the output, in bytes.

    ``size``: bytes per pixel of a plane. ``plane``: distance from one channel to the next. ``row``: distance from one
    row to the next. ``red``, ``green``, ``blue``: the 4-byte word of black in each channel.
    """

    kind: int
    width: int
    size: int
    plane: int
    row: int
    red: int
    green: int
    blue: int


class Lanes(NamedTuple):
    """Addresses and distances in bytes of the rows and tables that the fused steps read; ``plane``: bytes of a plane.

    ``sums``: three rows of :func:`mhpdata.drawing.vectors.steps.vertical`. ``base``, ``picks``, ``packed``: the tables
    of ``pack_taps``; add the stride for the tables of the chroma (0 where all planes share one table). ``pairs``:
    number of pairs of taps per pixel. ``wide``: 1 where a window has 16 words. ``norm``: factor and offset per channel.
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
    """Row runs of a record, as specified in docs/format.md.

    ``offsets``: uint32 (rows + 1,), the first run of each row. ``words``: uint32, one per run: the column after its
    last in bits 0 to 15, its label in bits 16 to 23, its person in bits 24 to 31.
    """

    offsets: Words
    words: Words


class MapRules(NamedTuple):
    """Rules for drawing and checking label maps.

    ``swap``: uint8 (256,), the output label of each label. ``pad_label``: label of the padding. ``classes``,
    ``persons``: number of each; a valid label is less than ``classes`` or 255, a valid person is at most ``persons``.
    """

    swap: Bytes
    pad_label: int
    classes: int
    persons: int
