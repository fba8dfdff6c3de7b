"""The training loop: one implementation for all engines.

::

    Loader ─batch─> engine.train_step ─Step─> guard ─> log         at each step
                    engine.predict ─> evaluate ─> log, checkpoint  after each epoch

The rule: batches, rates and seeds follow from the config and the step's number, and a checkpoint holds everything else.
So a run that was interrupted, killed and resumed writes the same losses as an uninterrupted one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import EngineError, NonFiniteError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Engine
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.checkpoint import Position
from mhpmodels.mean import Mean
from mhpmodels.training.bundle import Moment
from mhpmodels.training.feed import Feed
from mhpmodels.training.guard import Guard
from mhpmodels.training.interrupt import Interrupt
from mhpmodels.training.meter import Meter, Stopwatch, clock
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.schedule import step_seed
from mhpmodels.training.tables import EpochRow, StepRow

if TYPE_CHECKING:
    from mhpdata.loading.batch import Batch
    from mhpmodels.evaluation.metrics import Confusion


class Loop:
    """The loop of one process, and where it stands.

    Args:
        config, engine, feed: the run, with weights and loader at ``position``.
        position: where the run stands; moved with every step.
        log: takes lines and rows.
        folder: for bundles and checkpoints.
        interrupt: what a signal sets.
        progress: draw a bar, if standard error is a terminal.
        saved: weights of the checkpoint that the run resumes from.
    """

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
        saved: Path | None = None,
    ) -> None:
        self.config, self.engine, self.feed, self.at, self.log = config, engine, feed, position, log
        self.folder, self.interrupt = folder, interrupt
        self.guard = Guard(folder / "bundles", config.run.max_skips, log.line, position.skipped, position.in_a_row)
        self.meter = Meter(feed.steps, config.schedule.epochs, engine.world_size, progress)
        self.saved = saved

    def run(self) -> None:
        """Train to the last epoch, or until a signal comes.

        Raises:
            NonFiniteError: ``config.run.max_skips`` steps in a row were not finite; weights from before them are saved.
            EngineError: the engine fails.
            OutputError: a log, table, bundle or checkpoint cannot be written.
        """
        try:
            while self.at.epoch < self.config.schedule.epochs and not self._stopping:
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
            self.log.line(f"Stopped by a signal {self.where}. {onward}")

    @property
    def where(self) -> str:
        """Where the run stands, for messages."""
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
            if row.iteration % self.config.run.log_interval == 0 and at.loss.count:
                of = f"{row.iteration:04d}/{self.feed.steps:04d}"
                self.log.line(f"Epoch {row.epoch} iteration {of}: training loss {at.loss.value:.3f}")

    def _step(self, batch: Batch, waited: float, watch: Stopwatch) -> StepRow:
        """One step, judged and counted."""
        at, indices = self.at, batch.indices
        assert batch.labels is not None, "Feed refuses splits without labels"
        rate, seed = self.feed.rate(at.step), step_seed(self.config.run.seed, at.step)
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
        left = self.meter.left(self.feed.steps * (self.config.schedule.epochs - at.epoch - 1))
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
        return validate(self._predict, self.feed.val, self.config.network.classes, place=place)

    def _predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if self._stopping:
            raise _StopError
        return self.engine.predict(images)

    def _save(self, score: dict[str, float] | None) -> None:
        if not self.engine.rank:
            self.saved = checkpoint_writer.save(self.folder, self.engine, self.at, self.feed.loader.state_dict(), score)
            checkpoint_writer.prune(self.folder, self.config.run.save_every)


class _StopError(Exception):
    """A signal came in the middle of a validation."""
