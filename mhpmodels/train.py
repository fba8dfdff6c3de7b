"""The training loop, once for all engines.

::

    Loader ─batch─> engine.train_step ─Step─> guard ─> log         at each step
                    engine.predict ─> evaluate ─> log, checkpoint  after each epoch

The rule: a run is a function of its config. Batches, rates and seeds follow from the step's number, a checkpoint holds all
the rest, so a run that was interrupted, killed and resumed writes the same losses as one that was left alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mhpdata.errors import NonFiniteError, OptionError, OutputError
from mhpmodels import checkpoint, engines
from mhpmodels.bundle import Moment
from mhpmodels.checkpoint import Checkpoint, Position
from mhpmodels.config import TrainConfig
from mhpmodels.engines import Engine
from mhpmodels.guard import Guard, Mean
from mhpmodels.interrupt import Interrupt
from mhpmodels.meter import Meter
from mhpmodels.runlog import EpochRow, RunLog, StepRow
from mhpmodels.schedule import learning_rate, step_seed

if TYPE_CHECKING:
    from mhpdata.loader import Batch, Loader


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: of the run.
        last, best: weights of those checkpoints; None where there is none.
        signal: that interrupted it; None where it came to its end.
    """

    folder: Path
    last: Path | None
    best: Path | None
    signal: int | None = None


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    resume: str | Path | None = None,
    weights: str | Path | None = None,
    start_epoch: int = 0,
    log_name: str = "train.log",
    tensorboard: bool = False,
    progress: bool = False,
    open_engine: Callable[[TrainConfig], Engine] = engines.open_engine,
) -> Outcome:
    """Train a network on a packed folder: what mhp-train calls.

    Args:
        config: of the run; of one that is resumed, as the checkpoint has it, but for ``config.FREE``.
        out: the run's folder; new, or that of the checkpoint.
        resume: go on from this checkpoint: its weights, or a run's folder for the last one there.
        weights: begin with these weights instead of new ones.
        start_epoch: of a new run that begins later in the schedule.
        log_name: of the log file in ``out``.
        tensorboard: write ``out/tensorboard``, too.
        progress: draw a bar, where standard error is a terminal.
        open_engine: gives the engine that ``config`` names.

    Returns:
        How it ended: at the end of its last epoch, or at a signal (Ctrl-C, SIGTERM), after which it has saved.

    Raises:
        OptionError: the config does not fit the data or the checkpoint.
        PackedError: the packed folder is missing or damaged.
        EngineError, CheckpointError: the engine or the checkpoint cannot be used.
        OutputError: ``out`` holds another run, or cannot be written.
        NonFiniteError: ``config.max_skips`` steps in a row were not finite; weights from before them are saved.
    """
    out = Path(out)
    if resume is not None and (weights is not None or start_epoch):
        raise OptionError("resume", "with weights or start_epoch", "one of them", "A resumed run knows where it was.")
    begun = None if resume is None else checkpoint.read(resume)
    if begun is not None:
        begun.config.check_continued(config)
    with Interrupt() as interrupt, ExitStack() as stack:
        engine = open_engine(config)
        stack.callback(engine.close)
        data = Data(config, engine)
        stack.callback(data.close)
        if begun is not None:
            checkpoint.restore(begun, engine)
            position = begun.position
            data.loader.load_state_dict(begun.loader)
        else:
            position = Position(epoch=start_epoch, step=start_epoch * data.steps)
            if weights is not None:
                engine.load(weights)
        if engine.rank == 0:
            _prepare(out, begun)
        folder = out if engine.rank == 0 else out / f"rank_{engine.rank}"
        folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(folder, data.classes, position.step, log_name, tensorboard, quiet=engine.rank != 0)
        run = _Run(config, engine, data, position, stack.enter_context(log), folder, interrupt, progress)
        stack.callback(run.meter.end)
        run.go(begun)
        last, best = checkpoint.latest(folder), checkpoint.best(folder)
    return Outcome(out, last and last.weights, best and best.weights, interrupt.signal)


def _prepare(out: Path, begun: Checkpoint | None) -> None:
    """Make the run's folder, and refuse one that holds what would be overwritten."""
    there = checkpoint.listing(out) if out.is_dir() else ()
    later = [c.weights.name for c in there if begun is None or c.position.step > begun.position.step]
    used = begun is None and (out / STEPS).exists()
    if later or used:
        found = f"holds {'later checkpoints, as ' * bool(begun) + later[-1] if later else 'a run'}"
        remedy = "Pass another --save-dir" + ("." if begun else f", or go on with --resume {out}.")
        raise OutputError(out, found, "a new folder" if begun is None else "none later than the one to resume", remedy)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out, f"cannot be made ({error.strerror})", "", "Check the path and permissions.") from error


class _Run:
    """The loop itself, and where it stands."""

    def __init__(
        self,
        config: TrainConfig,
        engine: Engine,
        data: Data,
        position: Position,
        log: RunLog,
        folder: Path,
        interrupt: Interrupt,
        progress: bool,
    ) -> None:
        self.config, self.engine, self.data, self.at, self.log = config, engine, data, position, log
        self.folder, self.interrupt = folder, interrupt
        self.guard = Guard(folder / "bundles", config.max_skips, log.line, position.skipped, position.in_a_row)
        self.meter = Meter(data.steps, config.epochs, progress)

    @property
    def stopping(self) -> bool:
        """The first rank decides when all stop: the others wait for it within a step, and must not leave before it."""
        return self.interrupt.signal is not None and self.engine.rank == 0

    def go(self, begun: Checkpoint | None) -> None:
        """Train to the end, or until a signal comes."""
        self.log.line(f"Config: {json.dumps(asdict(self.config))}")
        self.log.line(f"Engine: {json.dumps(self.engine.describe())}")
        if begun is not None:
            self.log.line(f"Resumed from {begun.weights}, {self._place()}")
        try:
            while self.at.epoch < self.config.epochs and not self.stopping:
                self._train()
                if not self.stopping:
                    self._finish()
        except NonFiniteError:
            self._save(None)
            raise
        if self.stopping:
            path = self._save(None)
            self.log.line(f"Stopped by a signal, {self._place()}. Go on with: mhp-train --resume {path}")

    def _place(self) -> str:
        return f"epoch {self.at.epoch} after iteration {self.at.iteration}/{self.data.steps}"

    def _train(self) -> None:
        """The rest of the epoch, or as much of it as comes before a signal."""
        at, config = self.at, self.config
        if at.iteration >= self.data.steps:
            return
        if at.iteration == 0:
            self.data.loader.set_epoch(at.epoch)
        self.meter.begin(at.epoch, at.iteration)
        watch = Stopwatch()
        for batch in self.data.loader:
            waited = watch.lap()
            rate, seed = self.data.rate(at.step), step_seed(config.seed, at.step)
            step = self.engine.train_step(batch.images, batch.labels, rate, seed)
            at.iteration += 1
            names = self.data.names_of(batch.indices)
            moment = Moment(
                at.epoch, at.iteration, rate, seed, batch.images, batch.labels, batch.indices, names
            )
            ...
