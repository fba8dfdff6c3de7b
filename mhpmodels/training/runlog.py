"""Write a run's log, its tables of steps and epochs, and TensorBoard's events.

::

    train.log     Epoch 10 iteration 0113/0188: training loss 1.059
                  Epoch 10 validation pixAcc: 0.861, mIoU: 0.346
    steps.csv, epochs.csv     mhpmodels.training.tables

Each row is written when its step is done. Resuming from a checkpoint drops the rows after it, so the tables show one
continuous run however often it was killed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple
from pathlib import Path
from types import TracebackType

from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.ours import in_the_way
from mhpdata.wording import printable, writing
from mhpmodels.persons.masks import FIGURES
from mhpmodels.training.board import Board
from mhpmodels.training.tables import EPOCHS, IOU, STEPS, EpochRow, StepRow, columns, drop_rows, line_of

_log = logging.getLogger(__name__)
"""Every line of the run's log, at level INFO."""
_ON = "resume with mhp train --resume and the run's folder, or start the run again if it has no checkpoint yet"


class RunLog:
    """Write a run's log and tables. Use it as a context manager.

    Args:
        folder: folder of the run.
        classes: class names, for the columns of epochs.csv.
        step: number of steps already done; rows after them are dropped.
        name: name of the log file.
        tensorboard: also write an event file.
        quiet: send nothing to the logger ``mhpmodels.training.runlog``.
        persons: the rows of epochs have figures of persons.

    Raises:
        OutputError: a file cannot be written, for example because the disk is full; also raised by every method.
        CheckpointError: a table of an earlier run is unreadable or not a table of mhp train.
        MissingError: ``tensorboard`` is set and TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        step: int = 0,
        name: str = "train.log",
        tensorboard: bool = False,
        quiet: bool = False,
        persons: bool = False,
    ) -> None:
        self._folder, self._quiet = folder, quiet
        scores = [*(f"{IOU}{name}" for name in classes), *(FIGURES if persons else ())]
        self._no_scores = (math.nan,) * len(scores)
        self._board: Board | None = None
        headers = {STEPS: columns(StepRow), EPOCHS: [*columns(EpochRow), *scores]}
        with writing(folder, _ON), ExitStack() as opened:
            for path in (folder / name, folder / STEPS, folder / EPOCHS, folder / "tensorboard"):
                if path.is_symlink():
                    raise in_the_way(path, "or pass another --save-dir")
            for file, header in headers.items():
                drop_rows(folder / file, header, step + (file == EPOCHS))
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
        with writing(self._folder, _ON) if error is None else suppress(OSError):  # report the first error only
            self._opened.close()

    def record(self, text: str) -> None:
        """Write a line for programs, to the log file only."""
        with writing(self._folder, _ON):
            self._log.write(printable(text) + "\n")

    def line(self, text: str) -> None:
        """Write a line to the log file and to the logger."""
        text = printable(text)
        with writing(self._folder, _ON):
            self._log.write(text + "\n")
        if not self._quiet:
            _log.info("%s", text)

    def step(self, row: StepRow) -> None:
        """Write the row of a finished step."""
        with writing(self._folder, _ON):
            self._steps.write(line_of(astuple(row)))
            if self._board is not None:
                self._board.add(row.step, loss=row.loss, gradient=row.gradient, rate=row.rate)

    def epoch(self, row: EpochRow) -> None:
        """Write the row of a finished epoch."""
        *values, iou, persons = astuple(row)
        scores = {"pixAcc": row.pix_acc, "mIoU": row.miou} if iou else {}
        scores |= zip(FIGURES, persons, strict=False)
        with writing(self._folder, _ON):
            self._epochs.write(line_of((*values, *((*iou, *persons) or self._no_scores))))
            if self._board is not None:
                self._board.add(row.step, epoch_loss=row.loss, skipped=row.skipped, **scores)
