"""The training loop, once for all engines.

::

    Loader ─batch─> engine.train_step ─Step─> guard ─> log         at each step
                    engine.predict ─> evaluate ─> log, checkpoint  after each epoch

The rule: a run is a function of its config. Batches, rates and seeds follow from the step's number, a checkpoint holds
all the rest, so a run that was interrupted, killed and resumed writes the same losses as one that was left alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import EngineError, NonFiniteError, OptionError, OutputError
from mhpmodels.config import TrainConfig
from mhpmodels.engines import engine as engines
from mhpmodels.engines.engine import Engine
from mhpmodels.files import checkpoint, checkpoint_writer
from mhpmodels.files.checkpoint import Checkpoint, Position
from mhpmodels.files.output import unmade
from mhpmodels.mean import Mean
from mhpmodels.training.bundle import Moment
from mhpmodels.training.feed import Feed
from mhpmodels.training.guard import Guard
from mhpmodels.training.interrupt import Interrupt
from mhpmodels.training.meter import Meter, Stopwatch, clock
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.schedule import step_seed
from mhpmodels.training.tables import STEPS, EpochRow, StepRow, read_steps

if TYPE_CHECKING:
    from mhpdata.loading.batch import Batch
    from mhpmodels.evaluation.metrics import Confusion


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
        remedy = "Leave out weights and start_epoch to go on with the run, or resume to begin a new one."
        raise OptionError("resume", "given with weights or start_epoch", "resume alone", remedy)
    begun = None if resume is None else checkpoint.read(resume)
    if begun is not None:
        begun.config.check_continued(config)
    with Interrupt() as interrupt, ExitStack() as stack:
        engine = open_engine(config)
        stack.callback(engine.close)
        feed = Feed(config, engine.rank, engine.world_size)
        stack.callback(feed.close)
        feed.loader = engine.prefetch(feed.loader)
        if begun is not None:
            checkpoint.restore(begun, engine)
            position = begun.position
            feed.loader.load_state_dict(begun.loader)
        else:
            position = Position(epoch=start_epoch, step=start_epoch * feed.steps)
            if weights is not None:
                engine.load(weights)
        if engine.rank == 0:
            _prepare(out, begun)
        folder = out if engine.rank == 0 else out / f"rank_{engine.rank}"
        _make(folder)
        log = RunLog(folder, feed.classes, position.step, log_name, tensorboard, quiet=engine.rank != 0)
        stack.enter_context(log)
        log.line(f"Config: {json.dumps(asdict(config))}")
        log.line(f"Engine: {json.dumps(engine.describe())}")
        run = _Run(config, engine, feed, position, log, folder, interrupt, progress, begun)
        if begun is not None:
            log.line(f"Resumed from {begun.weights} {run.place}")
        run.go()
        best, there = checkpoint.best(folder), checkpoint.listing(folder)
    return Outcome(out, there[-1].weights if there else None, best.weights if best else None, interrupt.signal)


def _prepare(out: Path, begun: Checkpoint | None) -> None:
    """Make the run's folder, and refuse one that holds what would be overwritten."""
    there = checkpoint.listing(out) if out.is_dir() else ()
    if begun is None and there:
        remedy = f"Go on with mhp-train --resume {out}, or pass another --save-dir."
        raise OutputError(out, "holds a run", "", remedy)
    if begun is None and (out / STEPS).exists() and read_steps(out):
        remedy = f"Pass another --save-dir; if nobody needs this one, delete the folder {out} instead."
        raise OutputError(out, "holds a run without a checkpoint", "", remedy)
    if begun is not None and there and there[-1].position.step > begun.position.step:
        found = f"holds a later checkpoint, {there[-1].weights.name}"
        remedy = (
            f"To go on from that one pass --resume {there[-1].weights}; from the earlier one, another --save-dir, too."
        )
        raise OutputError(out, found, "", remedy)


def _make(folder: Path) -> None:
    """A folder of the run. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unmade(folder, error, "--save-dir") from error


class _Run:
    """The loop itself, and where it stands."""

    def __init__(
        self,
        config: TrainConfig,
        engine: Engine,
        feed: Feed,
        position: Position,
        log: RunLog,
        folder: Path,
        interrupt: Interrupt,
        progress: bool,
        begun: Checkpoint | None,
    ) -> None:
        self.config, self.engine, self.feed, self.at, self.log = config, engine, feed, position, log
        self.folder, self.interrupt = folder, interrupt
        self.guard = Guard(folder / "bundles", config.max_skips, log.line, position.skipped, position.in_a_row)
        self.meter = Meter(feed.steps, config.epochs, engine.world_size, progress)
        self.saved = begun.weights if begun is not None else None

    def go(self) -> None:
        """Train to the end, or until a signal comes."""
        try:
            while self.at.epoch < self.config.epochs and not self._stopping:
                self._train()
                if not self._stopping:
                    self._finish()
        except NonFiniteError:
            self._save(None)
            raise
        except EngineError:
            if not self.engine.rank or self.interrupt.signal is None:
                raise
            # rank 0 has stopped at the signal, and left this one alone in the middle of its next step
        finally:
            self.meter.end()
        if self._stopping:
            if self.at.iteration:
                self._save(None)
            onward = (
                f"Go on with: mhp-train --resume {self.saved}" if self.saved else "Nothing is lost: no step was done."
            )
            self.log.line(f"Stopped by a signal {self.place}. {onward}")

    @property
    def place(self) -> str:
        """Where the run stands, in words."""
        return f"in epoch {self.at.epoch} after iteration {self.at.iteration:04d}/{self.feed.steps:04d}"

    @property
    def _stopping(self) -> bool:
        """Rank 0 decides when all stop: were another to leave first, rank 0 would wait for it within its next step."""
        return self.interrupt.signal is not None and self.engine.rank == 0

    def _train(self) -> None:
        """The rest of the epoch, or as much of it as comes before a signal."""
        at, loader = self.at, self.feed.loader
        if at.iteration == self.feed.steps:  # all but validated when the run was interrupted
            return
        if at.iteration == 0:
            loader.set_epoch(at.epoch)
        self.meter.begin(at.epoch, at.iteration)
        batches, watch = iter(loader), Stopwatch()
        while not self._stopping and (batch := next(batches, None)) is not None:
            waited = watch.lap()
            row = self._step(batch, waited, watch)
            del batch  # so that its memory is free for the loader
            self.log.step(row)
            self.meter.step(row, at.loss.value)
            if row.iteration % self.config.log_interval == 0 and at.loss.count:
                of = f"{row.iteration:04d}/{self.feed.steps:04d}"
                self.log.line(f"Epoch {row.epoch} iteration {of}: training loss {at.loss.value:.3f}")

    def _step(self, batch: Batch, waited: float, watch: Stopwatch) -> StepRow:
        """One step, judged and counted."""
        at, indices = self.at, batch.indices
        assert batch.labels is not None, "Feed refuses splits without labels"
        rate, seed = self.feed.rate(at.step), step_seed(self.config.seed, at.step)
        step = self.engine.train_step(batch.images, batch.labels, rate, seed)
        at.iteration += 1
        at.step += 1
        names = self.feed.names(indices)
        moment = Moment(at.epoch, at.iteration, rate, seed, batch.images, batch.labels, indices, names)
        try:
            if self.guard.judge(step, moment, self.engine):
                at.loss.add(step.loss)
        finally:
            at.skipped, at.in_a_row = self.guard.skipped, self.guard.in_a_row
        return StepRow(
            step=at.step - 1,
            epoch=at.epoch,
            iteration=at.iteration,
            loss=step.loss,
            gradient=step.gradient,
            rate=rate,
            applied=int(step.applied),
            images=self.meter.images(len(indices)),
            seconds=waited + watch.lap(),
            waited=waited,
        )

    def _finish(self) -> None:
        """Validate, log and save; nothing of it if a signal comes before the validation is done."""
        at = self.at
        self.meter.end()
        watch = Stopwatch()
        try:
            found = self._validate()
        except _StopError:
            return
        seconds = watch.lap()
        self.meter.validated(seconds)
        score = None if found is None else {"pixAcc": found.pix_acc, "mIoU": found.miou}
        pix_acc, miou = (math.nan, math.nan) if found is None else (found.pix_acc, found.miou)
        iou = () if found is None else tuple(found.iou.tolist())
        self.log.epoch(EpochRow(at.epoch, at.step, at.loss.value, pix_acc, miou, at.skipped, seconds, iou))
        if found is not None:
            self.log.line(f"Epoch {at.epoch} validation pixAcc: {pix_acc:.3f}, mIoU: {miou:.3f}")
        left = self.meter.left(self.feed.steps * (self.config.epochs - at.epoch - 1))
        skipped = f", {at.skipped} steps skipped so far" if at.skipped else ""
        self.log.line(f"Epoch {at.epoch} done: {self.meter.text()}{skipped}, {clock(left)} left")
        at.epoch, at.iteration, at.loss = at.epoch + 1, 0, Mean()
        self._save(score)

    def _validate(self) -> Confusion | None:
        """The val split, by rank 0; the others are at their next step already, and wait there."""
        from mhpmodels.evaluation.evaluate import validate

        if self.feed.val is None or self.engine.rank:
            return None
        place = f"{self.folder}, validation of epoch {self.at.epoch}"
        return validate(self._predict, self.feed.val, self.config.classes, place=place)

    def _predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if self._stopping:
            raise _StopError
        return self.engine.predict(images)

    def _save(self, score: dict[str, float] | None) -> None:
        if not self.engine.rank:
            self.saved = checkpoint_writer.save(self.folder, self.engine, self.at, self.feed.loader.state_dict(), score)
            checkpoint_writer.prune(self.folder, self.config.save_every)


class _StopError(Exception):
    """A signal came in the middle of a validation."""
