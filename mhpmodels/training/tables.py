"""The tables of a run: a row per step and a row per epoch, as CSV files that other programs read, too.

::

    steps.csv     a row per step: StepRow
    epochs.csv    a row per epoch: EpochRow, and the IoU of each class

Floats are written with all their digits. A last row without a line end is one that a kill cut short, and is left out.
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
from mhpdata.wording import counted, error_in_words, to_replace, why

STEPS, EPOCHS = "steps.csv", "epochs.csv"
_COPY = "If the folder is a copy of a run, copy {} again from the original"
_RUN = "name the folder of a run, such as runs/mhp/icnet/resnet50"
MAX_BYTES = 1 << 30
"""Of a table: some ten million steps."""


@dataclass(frozen=True)
class StepRow:
    """A step of training.

    Attributes:
        step: of the run, from 0.
        epoch, iteration: from 0 and from 1.
        loss, gradient: as of ``Step``; may be not finite.
        rate: the learning rate.
        applied: 0 for a skipped step.
        images: of the step, in all processes.
        seconds: of the step, the wait for its batch included.
        waited: seconds of them in which the loop waited for the loader.
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
    """An epoch of training and its validation.

    Attributes:
        epoch: from 0.
        step: steps of the run that are done.
        loss: mean over the epoch's steps that were not skipped.
        pix_acc, miou: of the validation, 0..1; NaN without one.
        skipped: steps of the run that were skipped so far.
        seconds: of the validation.
        iou: of each class; empty without validation.
    """

    epoch: int
    step: int
    loss: float
    pix_acc: float
    miou: float
    skipped: int
    seconds: float
    iou: tuple[float, ...] = ()


def read_steps(folder: Path) -> list[StepRow]:
    """Read the steps of a run, in order.

    Raises:
        CheckpointError: the table is missing, cannot be read, or is damaged.
    """
    path = folder / STEPS
    rows = _rows(path, columns(StepRow))
    return [StepRow(*_numbers(row, path, line)) for line, row in enumerate(rows[1:], 2)]


def read_epochs(folder: Path) -> list[EpochRow]:
    """Read the epochs of a run, in order. Raises CheckpointError, as ``read_steps``."""
    path, names = folder / EPOCHS, columns(EpochRow)
    numbers = [_numbers(row, path, line) for line, row in enumerate(_rows(path, names)[1:], 2)]
    found = [EpochRow(**dict(zip(names, row, strict=False)), iou=row[len(names) :]) for row in numbers]
    return [replace(row, iou=()) if math.isnan(row.miou) else row for row in found]


def columns(kind: type[StepRow] | type[EpochRow]) -> list[str]:
    """Return the names of a table's columns, without those of the classes."""
    return [field.name for field in fields(kind) if field.name != "iou"]


def line_of(row: Sequence[object]) -> str:
    """Return a row as its line of the file, with the line end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def _numbers(row: Sequence[str], path: Path, line: int) -> tuple[Any, ...]:
    """Whole ones as int. Raises CheckpointError."""
    numbers: list[int | float] = []
    for text in row:
        try:
            numbers.append(int(text) if text.lstrip("-").isdecimal() else float(text))
        except ValueError as error:
            found = f"the text {text[:40]!r} in place of a number"
            raise CheckpointError(f"{path}, line {line}", found, "a table of mhp-train", _mend_line(path)) from error
    return tuple(numbers)


def _rows(path: Path, header: Sequence[str]) -> list[list[str]]:
    """A table's rows, the header first; a last one that a kill cut short is left out."""
    try:
        text = read_regular(path, MAX_BYTES).decode()
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    except OSError as error:
        remedy = f"N{_RUN[1:]}." if isinstance(error, FileNotFoundError) else to_replace(error, path, _mend(path))
        raise CheckpointError(path, f"cannot be read ({why(error)})", "a table of mhp-train", remedy) from error
    except (UnicodeDecodeError, csv.Error) as error:
        found = f"is damaged ({error_in_words(error)})"
        raise CheckpointError(path, found, "a table of mhp-train", _mend(path)) from error
    if not rows or rows[0][: len(header)] != list(header):
        raise CheckpointError(path, "is another table", f"columns {', '.join(header)}", _mend(path))
    for line, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            found, expected = f"{counted(len(row), 'value')}", f"{len(rows[0])}, one for each column"
            raise CheckpointError(f"{path}, line {line}", found, expected, _mend_line(path))
    return rows


def _mend(path: Path) -> str:
    """What to do about a file that is no table of a run."""
    away = f"move {path.name} out of its folder, and mhp-train begins a new one"
    return f"{_COPY.format(path.name)}; in the run itself, {away}; otherwise {_RUN}."


def _mend_line(path: Path) -> str:
    """What to do about one line of a table."""
    return f"{_COPY.format(path.name)}; otherwise delete this line. If the file is not mhp-train's, {_RUN}."


def drop_rows(path: Path, header: Sequence[str], bound: int) -> None:
    """Remove the rows of step ``bound`` and later; start the table if it is missing.

    Raises:
        CheckpointError: the file is another table, or damaged.
        OSError: it cannot be written.
    """
    rows = _rows(path, header) if path.exists() else [list(header)]
    at = list(header).index("step")
    kept = [rows[0], *(row for line, row in enumerate(rows[1:], 2) if _numbers(row, path, line)[at] < bound)]
    write_atomically(path, "".join(map(line_of, kept)))
