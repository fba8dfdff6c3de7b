"""The training loop, one implementation for all engines.

::

    Loader ─batch─> engine.train_step ─Step─> guard ─> log         every step
                    engine.predict ─> evaluate ─> log, checkpoint  every epoch

The rule: batches, rates and seeds follow from the config and the step number, and a checkpoint holds everything else.
A run that is interrupted or killed and then resumed therefore logs the same losses as an uninterrupted run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from mhpdata.errors import EngineError, NonFiniteError
from mhpdata.wording import counted
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Engine, PersonEngine
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.checkpoint import Position
from mhpmodels.files.provenance import Provenance
from mhpmodels.mean import Mean
from mhpmodels.persons.masks import FIGURES, figures_of
from mhpmodels.persons.queries import Persons
from mhpmodels.training.bundle import Moment, run_step
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
    """The training loop of one process.

    Args:
        config: configuration of the run.
        engine: engine with the weights at ``position``.
        feed: data of the run, with the loader at ``position``.
        position: current position of the run, updated after every step.
        log: log for lines and table rows.
        folder: folder for bundles and checkpoints.
        interrupt: entered ``Interrupt`` that records signals.
        progress: draw a progress bar if standard error is a terminal.
        saved: weights of the checkpoint that the run resumes from.

    Attributes:
        publish: function to call after a checkpoint is saved, or None.
        provenance: data, commands and earlier weights of the run, for its checkpoints.
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
        self.publish: Callable[[], None] | None = None
        self.provenance: Provenance = ()

    def run(self) -> None:
        """Train until the last epoch ends or a signal arrives.

        Raises:
            NonFiniteError: ``config.run.max_skips`` steps in a row were non-finite, or all steps of the run; the
                weights before them are saved.
            EngineError: the engine failed.
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
            # rank 0 stopped at the signal while this rank was in its next step
        finally:
            self.meter.end()
        if self._stopping:
            if self.at.iteration:
                self._save(None)
            onward = (
                f"Resume with: mhp train --resume {self.saved}"
                if self.saved
                else "No step was done; run the same command again."
            )
            self.log.line(f"Stopped by a signal {self.where}. {onward}")
        else:
            self.guard.check_end(self.at.step, self.engine)

    @property
    def where(self) -> str:
        """Current position of the run, for messages."""
        return f"in epoch {self.at.epoch} after iteration {self.at.iteration:04d}/{self.feed.steps:04d}"

    @property
    def _stopping(self) -> bool:
        """Whether to stop. Rank 0 decides: if another rank left first, rank 0 would wait for it in its next step."""
        return self.interrupt.signal is not None and self.engine.rank == 0

    def _train(self) -> None:
        """Train the rest of the epoch, or until a signal arrives."""
        at, loader, feed = self.at, self.feed.loader, self.feed
        if at.iteration == self.feed.steps:  # the run was interrupted before the validation
            return
        if at.iteration == 0:
            loader.set_epoch(at.epoch)
        self.meter.begin(at.epoch, at.iteration)
        batches, watch = iter(loader), Stopwatch()
        while not self._stopping and (batch := next(batches, None)) is not None:
            waited = watch.lap()
            if at.step and feed.trains_persons(at.step) and not feed.trains_persons(at.step - 1):
                self.log.line(
                    f"Epoch {at.epoch}: from here on, the heads of persons train, and the loss includes theirs"
                )
            row = self._step(batch, waited, watch)
            del batch  # returns its memory to the loader
            self.log.step(row)
            self.meter.step(row, at.loss.value)
            if row.iteration % self.config.run.log_interval == 0 and at.loss.count:
                of = f"{row.iteration:04d}/{self.feed.steps:04d}"
                self.log.line(f"Epoch {row.epoch} iteration {of}: training loss {at.loss.value:.3f}")

    def _step(self, batch: Batch, waited: float, watch: Stopwatch) -> StepRow:
        """Train one step, check it and advance the position."""
        at, indices = self.at, batch.indices
        assert batch.labels is not None, "Feed rejects unlabelled splits"
        rate, seed = self.feed.rate(at.step), step_seed(self.config.run.seed, at.step)
        targets = batch.masks if self.config.network.queries else batch.targets
        targets = targets if self.feed.trains_persons(at.step) else None
        step = run_step(self.engine, batch.images, batch.labels, rate, seed, targets)
        at.iteration += 1
        at.step += 1
        names = self.feed.names(indices)
        moment = Moment(at.epoch, at.iteration, rate, seed, batch.images, batch.labels, indices, names, targets)
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
        """Validate, log and save; do nothing if a signal arrives before the validation is done."""
        at = self.at
        self.meter.end()
        watch = Stopwatch()
        try:
            maps = self.config.network.person_maps
            persons = Persons(maps) if self.config.network.persons else None
            found = self._validate(persons)
        except _StopError:
            return
        seconds = watch.lap()
        self.meter.validated(seconds)
        score = None if found is None else {"pixAcc": found.pix_acc, "mIoU": found.miou}
        pix_acc, miou = (math.nan, math.nan) if found is None else (found.pix_acc, found.miou)
        iou = () if found is None else tuple(found.iou.tolist())
        figures = figures_of(persons.claims) if persons is not None and found is not None else ()
        self.log.epoch(EpochRow(at.epoch, at.step, at.loss.value, pix_acc, miou, at.skipped, seconds, iou, figures))
        if found is not None:
            self.log.line(f"Epoch {at.epoch} validation pixAcc: {pix_acc:.3f}, mIoU: {miou:.3f}")
        if score is not None and figures and math.isfinite(figures[0]):
            named = ", ".join(f"{name}: {value:.3f}" for name, value in zip(FIGURES, figures, strict=True))
            self.log.line(f"Epoch {at.epoch} validation {named}")
            score[FIGURES[0]] = figures[0]
        speed = f": {self.meter.text()}" if self.meter.done else ", resumed after its last step"
        skipped = f", {counted(at.skipped, 'step')} skipped so far" if at.skipped else ""
        left = self.meter.left(self.feed.steps * (self.config.schedule.epochs - at.epoch - 1))
        self.log.line(f"Epoch {at.epoch} done{speed}{skipped}{f', {clock(left)} left' if self.meter.done else ''}")
        at.epoch, at.iteration, at.loss = at.epoch + 1, 0, Mean()
        self._save(score)

    def _validate(self, persons: Persons | None) -> Confusion | None:
        """Validate on rank 0, while the other ranks wait. ``persons`` receives the persons."""
        from mhpmodels.evaluation.evaluate import validate

        if self.feed.val is None:
            return None
        if self.engine.rank:
            while self.engine.broadcast(0):  # rank 0 is still validating
                pass
            return None
        place = f"{self.folder}, validation of epoch {self.at.epoch}"
        classes = self.config.network.classes
        found = validate(self._predict, self.feed.val, classes, place=place, persons=persons)
        self.engine.broadcast(0)
        return found

    def _predict(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        if self._stopping:
            raise _StopError
        self.engine.broadcast(1)  # the others wait, each time for --timeout at most
        if self.config.network.persons:
            return cast(PersonEngine, self.engine).predict_persons(images)
        return self.engine.predict(images)

    def _save(self, score: dict[str, float] | None) -> None:
        if not self.engine.rank:
            state = self.feed.loader.state_dict()
            self.saved = checkpoint_writer.save(self.folder, self.engine, self.at, state, score, self.provenance)
            checkpoint_writer.prune(self.folder, self.config.run.save_every)
            if self.publish is not None:
                self.publish()


class _StopError(Exception):
    """Raised when a signal arrives during a validation."""
