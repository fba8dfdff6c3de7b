"""The tables of a run as CSV files: one row per step, one row per epoch.

::

    steps.csv     a row per step: StepRow
    epochs.csv    a row per epoch: EpochRow, the IoU per class, and the figures of persons with heads of persons

Floats are written with all their digits. A last row without a line end was cut short by a kill and is ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError
from mhpdata.filesystem.atomic import write_atomically
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import counted, error_in_words, to_replace, unread

STEPS, EPOCHS = "steps.csv", "epochs.csv"
IOU = "IoU "
"""Begins the names of the columns of a class's IoU."""
_COPY = "Copy {} again if the folder is a copy of a run"
_RUN = "pass the folder of a run, such as runs/mhp/icnet/resnet50"
MAX_BYTES = 1 << 30
"""Maximum size of a table, in bytes: about ten million steps."""


@dataclass(frozen=True)
class StepRow:
    """A training step.

    Attributes:
        step: step of the run, from 0.
        epoch: epoch, from 0.
        iteration: iteration within the epoch, from 1.
        loss: loss as in ``Step``; may be non-finite.
        gradient: gradient norm as in ``Step``; may be non-finite.
        rate: learning rate.
        applied: 1 if the step was applied, 0 if it was skipped.
        images: number of images over all processes.
        seconds: duration, including the wait for the batch.
        waited: seconds spent waiting for the loader.
    """

    step: int
    epoch: int
    iteration: int
    loss: float
    gradient: float
    rate: float
    applied: int
    images: int
    seconds: float
    waited: float


@dataclass(frozen=True)
class EpochRow:
    """A training epoch and its validation.

    Attributes:
        epoch: epoch, from 0.
        step: number of steps of the run done so far.
        loss: mean loss over the epoch's applied steps.
        pix_acc: pixel accuracy of the validation, 0..1; NaN without validation.
        miou: mean IoU of the validation, 0..1; NaN without validation.
        skipped: number of steps of the run skipped so far.
        seconds: duration of the validation.
        iou: IoU per class, 0..1; empty without validation.
        persons: the figures of ``mhpmodels.persons.masks.FIGURES``, 0..1, NaN without a true person; empty for a
            network without heads of persons, and without validation.
    """

    epoch: int
    step: int
    loss: float
    pix_acc: float
    miou: float
    skipped: int
    seconds: float
    iou: tuple[float, ...] = ()
    persons: tuple[float, ...] = ()


def read_steps(folder: Path) -> list[StepRow]:
    """Read the steps of a run, in order.

    Raises:
        CheckpointError: the table is missing, cannot be read, or is damaged.
    """
    path = folder / STEPS
    rows = _rows(path, columns(StepRow))
    return [StepRow(*_numbers(row, path, line)) for line, row in enumerate(rows[1:], 2)]


def read_epochs(folder: Path) -> list[EpochRow]:
    """Read the epochs of a run, in order.

    Raises:
        CheckpointError: the table is missing, cannot be read, or is damaged.
    """
    path, names = folder / EPOCHS, columns(EpochRow)
    header, *rows = _rows(path, names)
    numbers = [_numbers(row, path, line) for line, row in enumerate(rows, 2)]
    first, last = len(names), len(names) + sum(name.startswith(IOU) for name in header)
    found = [
        EpochRow(**dict(zip(names, row, strict=False)), iou=row[first:last], persons=row[last:]) for row in numbers
    ]
    return [replace(row, iou=(), persons=()) if math.isnan(row.miou) else row for row in found]


def columns(kind: type[StepRow] | type[EpochRow]) -> list[str]:
    """Return the column names of a table, without the IoU per class and the figures of persons."""
    return [field.name for field in fields(kind) if field.name not in ("iou", "persons")]


def line_of(row: Sequence[object]) -> str:
    """Return a row as a line of the CSV file, including the line end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def _numbers(row: Sequence[str], path: Path, line: int) -> tuple[Any, ...]:
    """Parse a row's numbers, integers as int. Raises CheckpointError."""
    numbers: list[int | float] = []
    for text in row:
        try:
            numbers.append(int(text) if text.lstrip("-").isdecimal() else float(text))
        except ValueError as error:
            found = f"the text {text[:40]!r}"
            raise CheckpointError(f"{path}, line {line}", found, "a number", _to_repair_line(path)) from error
    return tuple(numbers)


def _rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """Return a table's rows, header first, without a last row that a kill cut short."""
    try:
        text = read_regular(path, MAX_BYTES).decode()
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    except OSError as error:
        remedy = f"P{_RUN[1:]}." if isinstance(error, FileNotFoundError) else to_replace(error, path, _to_repair(path))
        raise CheckpointError(path, unread(error), "a table of mhp train", remedy) from error
    except (UnicodeDecodeError, csv.Error) as error:
        found = f"is damaged ({error_in_words(error)})"
        raise CheckpointError(path, found, "a table of mhp train", _to_repair(path)) from error
    if not rows or rows[0][: len(header)] != list(header):
        raise CheckpointError(path, "not a table of mhp train", f"columns {', '.join(header)}", _to_repair(path))
    for line, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            found, expected = f"{counted(len(row), 'value')}", f"{len(rows[0])}, one per column"
            raise CheckpointError(f"{path}, line {line}", found, expected, _to_repair_line(path))
    return rows


def _to_repair(path: Path) -> str:
    """Return the remedy for a file that is not a table of a run."""
    away = f"move {path.name} away, and mhp train starts a new one"
    return f"{_COPY.format(path.name)}; in the original run, {away}; otherwise {_RUN}."


def _to_repair_line(path: Path) -> str:
    """Return the remedy for a damaged line of a table."""
    return f"{_COPY.format(path.name)}; otherwise delete this line. If mhp train did not write the file, {_RUN}."


def drop_rows(path: Path, header: Sequence[str], bound: int) -> None:
    """Remove the rows of step ``bound`` and later; create the table if it is missing.

    Raises:
        CheckpointError: the file is damaged or not a table of mhp train.
        OSError: the file cannot be written.
    """
    rows = _rows(path, header) if path.exists() else [list(header)]
    at = list(header).index("step")
    kept = [rows[0], *(row for line, row in enumerate(rows[1:], 2) if _numbers(row, path, line)[at] < bound)]
    write_atomically(path, "".join(map(line_of, kept)))
