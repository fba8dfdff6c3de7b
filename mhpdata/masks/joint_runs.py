"""Run-length encoding of label maps by row, labels and owners together, as records store them.

``docs/format.md`` specifies the encoding byte by byte. A *joint run* is a stretch of one row with one label and one
owner, as ``end | label << 16 | person << 24``, where ``end`` is the column after the run's last one: a reader that
needs only a crop finds its first run by bisection. ``row_offsets`` holds the index of each row's first run. The masks
of single persons have another encoding (mhpdata.masks.mask_runs).

In and out: uint8 (height, width); sides 1..65535. Bytes from a record are untrusted: ``check_runs`` must pass before
``decode_runs`` or any other kernel reads the runs. A label map of 768 x 800 takes 0.15 ms to encode and 0.04 ms to
decode.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from mhpdata.errors import FIND_AGAIN, OptionError, RecordError
from mhpdata.images.size import MAX_SIDE
from mhpdata.kernels.jit import kernel
from mhpdata.labels import IGNORE
from mhpdata.wording import array_in_words, as_map

Plane = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]


def encode_runs(labels: Plane, persons: Plane) -> tuple[Words, Words]:
    """Encode a merged map as joint runs.

    Args:
        labels: uint8 (height, width), label of each pixel.
        persons: uint8 (height, width), number of each pixel's owner; 0 = nobody.

    Returns:
        row_offsets uint32 (height + 1) and runs uint32 (run_count), as few as possible.

    Raises:
        OptionError: The maps differ in size, are not uint8, or have a side outside 1..65535.
    """
    labels, persons = as_plane("labels", labels), as_plane("persons", persons)
    if labels.shape != persons.shape:
        (height, width), (rows, columns) = labels.shape, persons.shape
        found, expected = f"{rows} x {columns} pixels", f"{height} x {width} (height x width), the size of the labels"
        raise OptionError("persons", found, expected, "Pass the labels and the persons of the same image.")
    row_offsets = np.empty(labels.shape[0] + 1, np.uint32)
    runs = np.empty(_count_runs(labels, persons, row_offsets), np.uint32)
    _fill_runs(labels, persons, end_marks(labels.shape[1]), runs)
    return row_offsets, runs


def decode_runs(row_offsets: Words, runs: Words, size: tuple[int, int]) -> tuple[Plane, Plane]:
    """Decode joint runs that passed ``check_runs`` into labels and persons, each uint8 (height, width)."""
    labels, persons = np.empty(size, np.uint8), np.empty(size, np.uint8)
    _draw_runs(_words(row_offsets), _words(runs), labels, persons)
    return labels, persons


def check_runs(row_offsets: Words, runs: Words, size: tuple[int, int], classes: int, persons: int = 255) -> None:
    """Reject runs that ``encode_runs`` cannot have written; takes 0.01 ms per image.

    Args:
        row_offsets: uint32, from a record.
        runs: uint32, from a record.
        size: (height, width) of the map.
        classes: Number of classes; labels must be below it, or 255.
        persons: Highest valid number of an owner.

    Raises:
        RecordError: The runs are damaged; the message names the fault and its row.
    """
    height, width = size
    if row_offsets.shape != (height + 1,):
        raise _damaged(f"{row_offsets.size} row offsets", f"{height + 1}, one more than rows")
    if runs.ndim != 1:
        raise _damaged(f"runs in {runs.ndim} dimensions", "one dimension")
    if int(row_offsets[0]) != 0:
        raise _damaged(f"row offsets start at {row_offsets[0]}", "0")
    if int(row_offsets[-1]) != runs.size:
        raise _damaged(f"row offsets end at {row_offsets[-1]}", f"{runs.size}, the number of runs")
    fault, row, at = _find_fault(_words(row_offsets), _words(runs), width, classes, persons)
    if fault:
        _report(fault, row, at, row_offsets, runs, (width, classes, persons))


def _report(fault: int, row: int, at: int, row_offsets: Words, runs: Words, limits: tuple[int, int, int]) -> NoReturn:
    """Raise RecordError for a fault that ``_find_fault`` returned."""
    width, classes, persons = limits
    if fault == _FALLS:
        found, expected = (
            f"row offset {row + 1} is {row_offsets[row + 1]}",
            f"{row_offsets[row]} or more, at most {runs.size}",
        )
        raise _damaged(found, expected)
    run = int(runs[at]) if at < runs.size else 0
    end, label, person = run & 0xFFFF, run >> 16 & 0xFF, run >> 24
    found, expected = {
        _NOT_RISING: (f"run {at} of row {row} ends at {end}, not after the run before", f"1 to {width}, ascending"),
        _NOT_WIDTH: (f"row {row} does not end at column {width}", "a last run that ends at the width of the map"),
        _LABEL: (f"label {label} in row {row}", f"below {classes}, or {IGNORE}"),
        _OWNER: (f"label {label} with person {person} in row {row}", f"person 0 exactly for labels 0 and {IGNORE}"),
        _PERSON: (f"person {person} in row {row}", f"at most {persons}"),
    }[fault]
    raise _damaged(found, expected)


def _damaged(found: str, expected: str) -> RecordError:
    return RecordError("labels", f"are damaged ({found})", expected, FIND_AGAIN)


def as_plane(name: str, array: Plane) -> Plane:
    """Return a map as a C-contiguous array. Raises OptionError with its name unless runs can encode it."""
    if array.dtype != np.uint8 or array.ndim != 2 or min(array.shape) < 1 or max(array.shape) > MAX_SIDE:
        expected = f"an array of uint8 (height, width), each from 1 to {MAX_SIDE}"
        raise OptionError(name, array_in_words(array), expected, as_map(array, MAX_SIDE, name))
    return np.ascontiguousarray(array)


class Marks(NamedTuple):
    """Scratch for an encoder: where runs end in one row.

    Attributes:
        columns: uint8 (width, rounded up to 8), 1 where a run ends; the last run ends at the width.
        eights: uint64, a view of the same memory, eight columns per element.
    """

    columns: Plane
    eights: npt.NDArray[np.uint64]


def end_marks(width: int) -> Marks:
    """Return scratch for rows of this width."""
    columns = np.zeros((width + 7) // 8 * 8, np.uint8)
    columns[width - 1] = 1
    return Marks(columns, columns.view(np.uint64))


def _words(array: Words) -> Words:
    """Return an array made contiguous and aligned, as kernels require; a view into a record may be neither."""
    return np.require(array, np.uint32, ["C", "A"])


@kernel
def _count_runs(labels: Plane, persons: Plane, row_offsets: Words) -> int:
    """Fill ``row_offsets`` uint32 (H + 1) from uint8 (H, W) maps; return the number of runs."""
    height, width = labels.shape
    total = np.int64(0)
    row_offsets[0] = 0
    for y in range(height):
        changes = np.int32(1)
        for x in range(width - 1):
            change = (labels[y, x] != labels[y, x + 1]) | (persons[y, x] != persons[y, x + 1])
            changes += np.int32(1) if change else np.int32(0)
        total += changes
        row_offsets[y + 1] = total
    return int(total)


@kernel
def _fill_runs(labels: Plane, persons: Plane, marks: Marks, runs: Words) -> None:
    """Write the joint runs of uint8 (H, W) maps into ``runs`` uint32; ``marks`` is scratch.

    The ends of a row are marked without a branch, then searched eight columns at a time: 0.07 ms for 768 x 800. A
    simple loop took 0.93 ms; skipping blocks of 64 columns without a change took 1.5 ms.
    """
    height, width = labels.shape
    columns, eights = marks
    n = 0
    for y in range(height):
        for x in range(width - 1):
            columns[x] = np.uint8((labels[y, x] != labels[y, x + 1]) | (persons[y, x] != persons[y, x + 1]))
        for eight in range(eights.size):
            if eights[eight] == 0:
                continue
            for x in range(8 * eight, 8 * eight + 8):
                if columns[x] != 0:
                    runs[n] = np.uint32(x + 1) | np.uint32(labels[y, x]) << 16 | np.uint32(persons[y, x]) << 24
                    n += 1


_FALLS, _NOT_RISING, _NOT_WIDTH, _LABEL, _OWNER, _PERSON = 1, 2, 3, 4, 5, 6  # faults of `_find_fault`


@kernel
def _find_fault(row_offsets: Words, runs: Words, width: int, classes: int, persons: int) -> tuple[int, int, int]:
    """Return (fault or 0, row, run) of untrusted arrays, uint32 (H + 1) and uint32 (n); never read past their ends."""
    for y in range(row_offsets.size - 1):
        first, stop = np.int64(row_offsets[y]), np.int64(row_offsets[y + 1])
        if stop < first or stop > runs.size:
            return _FALLS, y, 0
        before = np.int64(0)
        for i in range(first, stop):
            run = np.int64(runs[i])
            end, label, person = run & 0xFFFF, run >> 16 & 0xFF, run >> 24
            if end <= before or end > width:
                return _NOT_RISING, y, i
            if label >= classes and label != IGNORE:
                return _LABEL, y, i
            if (person == 0) != (label == 0 or label == IGNORE):
                return _OWNER, y, i
            if person > persons:
                return _PERSON, y, i
            before = end
        if before != width:
            return _NOT_WIDTH, y, stop
    return 0, 0, 0


@kernel
def _draw_runs(row_offsets: Words, runs: Words, labels: Plane, persons: Plane) -> None:
    """Draw checked joint runs into uint8 (H, W) maps."""
    for y in range(labels.shape[0]):
        x = np.int64(0)
        for i in range(np.int64(row_offsets[y]), np.int64(row_offsets[y + 1])):
            run = np.int64(runs[i])
            end, label, person = run & 0xFFFF, np.uint8(run >> 16), np.uint8(run >> 24)
            for at in range(x, end):
                labels[y, at] = label
            for at in range(x, end):
                persons[y, at] = person
            x = end


def count_labels(row_offsets: Words, runs: Words) -> npt.NDArray[np.int64]:
    """Count the pixels of each label in runs that come from ``encode_runs`` or passed ``check_runs``.

    Returns:
        int64 (256,), indexed by label.
    """
    ends = (runs & np.uint32(0xFFFF)).astype(np.int64)
    lengths = np.diff(ends, prepend=0)
    lengths[row_offsets[:-1]] = ends[row_offsets[:-1]]  # a row begins at column 0
    return np.bincount(runs >> np.uint32(16) & np.uint32(0xFF), lengths, 256).astype(np.int64)  # exact below 2**53
