"""What a run leaves to read: lines of the old form, and a table of every step and every epoch.

::

    train.log     Epoch 10 iteration 0113/0188: training loss 1.059
                  Epoch 10 validation pixAcc: 0.861, mIoU: 0.346
    steps.csv     a row a step: StepRow
    epochs.csv    a row an epoch: EpochRow, and the IoU of each class

Rows are on the disk when the step is done, floats with all their digits. A run that goes on from a checkpoint drops the
rows after it, so the tables show one run however often it was killed.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mhpdata.errors import CheckpointError
from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.ours import in_the_way
from mhpdata.filesystem.regular import read_regular
from mhpdata.storage.manifest import write_atomically
from mhpdata.wording import counted, error_in_words, printable, to_replace, why, writing
from mhpmodels.training.board import Board

STEPS, EPOCHS = "steps.csv", "epochs.csv"
_ON = "go on with mhp-train --resume and the folder of the run, or where it has no checkpoint yet begin the run anew"
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


class RunLog:
    """Writes a run's log and tables; enter it.

    Args:
        folder: of the run.
        classes: their names, for the columns of epochs.csv.
        step: steps that are done; rows after them are dropped.
        name: of the log file.
        tensorboard: write an event file, too.
        quiet: nothing on standard output.

    Every method raises OutputError where a file cannot be written, as on a full disk.

    Raises:
        OutputError: the same.
        CheckpointError: a table of an earlier run cannot be read, or is none.
        MissingError: TensorBoard is asked for and not installed.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        step: int = 0,
        name: str = "train.log",
        tensorboard: bool = False,
        quiet: bool = False,
    ) -> None:
        self._folder, self._quiet, self._no_iou = folder, quiet, (math.nan,) * len(classes)
        self._board: Board | None = None
        columns = {STEPS: _columns(StepRow), EPOCHS: [*_columns(EpochRow), *(f"IoU {name}" for name in classes)]}
        with writing(folder, _ON), ExitStack() as opened:
            for path in (folder / name, folder / STEPS, folder / EPOCHS, folder / "tensorboard"):
                if path.is_symlink():
                    raise in_the_way(path, "or pass another --save-dir")
            for file, header in columns.items():
                _cut(folder / file, header, step + (file == EPOCHS))
            self._log, self._steps, self._epochs = (
                opened.enter_context(open_file(folder / file, "a", encoding="utf-8", buffering=1, newline=""))
                for file in (name, STEPS, EPOCHS)
            )
            if tensorboard:
                self._board = Board(folder / "tensorboard", step)
                opened.callback(self._board.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self._folder, _ON) if error is None else suppress(OSError):  # the first error is the one to tell
            self._opened.close()

    def line(self, text: str) -> None:
        """A line for people."""
        text = printable(text)
        with writing(self._folder, _ON):
            self._log.write(text + "\n")
        if not self._quiet:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def step(self, row: StepRow) -> None:
        """A step is done."""
        with writing(self._folder, _ON):
            self._steps.write(_text(astuple(row)))
            if self._board is not None:
                self._board.add(row.step, loss=row.loss, gradient=row.gradient, rate=row.rate)

    def epoch(self, row: EpochRow) -> None:
        """An epoch is done."""
        *values, iou = astuple(row)
        scores = {"pixAcc": row.pix_acc, "mIoU": row.miou} if iou else {}
        with writing(self._folder, _ON):
            self._epochs.write(_text((*values, *(iou or self._no_iou))))
            if self._board is not None:
                self._board.add(row.step, epoch_loss=row.loss, skipped=row.skipped, **scores)


def read_steps(folder: Path) -> list[StepRow]:
    """The steps of a run's folder, in order.

    Raises:
        CheckpointError: no such table there, or a row that is none.
    """
    path = folder / STEPS
    rows = _rows(path, _columns(StepRow))
    return [StepRow(*_numbers(row, path, line)) for line, row in enumerate(rows[1:], 2)]


def read_epochs(folder: Path) -> list[EpochRow]:
    """The epochs of a run's folder, in order. Raises as ``read_steps``."""
    path, columns = folder / EPOCHS, _columns(EpochRow)
    numbers = [_numbers(row, path, line) for line, row in enumerate(_rows(path, columns)[1:], 2)]
    found = [EpochRow(**dict(zip(columns, row, strict=False)), iou=row[len(columns) :]) for row in numbers]
    return [replace(row, iou=()) if math.isnan(row.miou) else row for row in found]


def _columns(kind: type[StepRow] | type[EpochRow]) -> list[str]:
    return [field.name for field in fields(kind) if field.name != "iou"]


def _text(row: Sequence[object]) -> str:
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


def _cut(path: Path, header: Sequence[str], bound: int) -> None:
    """Drop the rows of steps from ``bound`` on; begin the table where there is none."""
    rows = _rows(path, header) if path.exists() else [list(header)]
    at = list(header).index("step")
    kept = [rows[0], *(row for line, row in enumerate(rows[1:], 2) if _numbers(row, path, line)[at] < bound)]
    write_atomically(path, "".join(map(_text, kept)))
