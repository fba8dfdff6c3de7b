"""Set up, start or resume a training run (mhp train).

Rank 0 prepares the run's folder; the other ranks write their logs and tables to subfolders.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from mhpdata import __version__
from mhpdata.address import Address
from mhpdata.errors import EngineError, OptionError, OutputError
from mhpdata.options import check_path, check_range
from mhpdata.wording import counted
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Engine, open_engine
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import Checkpoint, Position
from mhpmodels.files.copies import publish
from mhpmodels.files.origins import begun_with, continued
from mhpmodels.files.output import unmade
from mhpmodels.files.provenance import Origin
from mhpmodels.training.bundle import open_to_load
from mhpmodels.training.feed import Feed
from mhpmodels.training.interrupt import Interrupt
from mhpmodels.training.loop import Loop
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EPOCHS, STEPS, read_steps


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training run.

    Attributes:
        folder: folder of the run.
        last: weights of the last checkpoint; None if there is none.
        best: weights of the best checkpoint (``checkpoint.best``); None without validation.
        signal: number of the signal that stopped the run; None if it finished.
    """

    folder: Path
    last: Path | None
    best: Path | None
    signal: int | None = None


@dataclass(frozen=True)
class Restart:
    """Preparations of a run for its command to be started again.

    Attributes:
        from_scratch: start from scratch if the folder has a run without a checkpoint, instead of raising OutputError.
        copy_to: address in object storage that rank 0 copies checkpoints, tables and the log to.
        command: the command line to record in checkpoints; None in Python code.
    """

    from_scratch: bool = False
    copy_to: Address | None = None
    command: str | None = None


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
    restart: Restart = Restart(),
    open_engine: Callable[[TrainConfig], Engine] = open_engine,
) -> Outcome:
    """Train a network on a packed folder.

    Args:
        config: configuration of the run; to resume, that of the checkpoint, except for options marked ``free``.
        out: folder of the run; new, or that of the checkpoint.
        resume: checkpoint to resume from, as its weights, or as a run's folder for the last checkpoint in it.
        weights: weight file to start a new run from, or a run's folder for its best checkpoint.
        start_epoch: first epoch, from 0, of a new run that starts later in the schedule.
        log_name: name of the log file in ``out``.
        tensorboard: also write ``out/tensorboard``.
        progress: draw a progress bar if standard error is a terminal.
        restart: preparations for the command to be started again.
        open_engine: function that opens the engine named in ``config``.

    Returns:
        The outcome, after the last epoch or after a signal (Ctrl-C, SIGTERM), on which a checkpoint is saved.

    Raises:
        OptionError: the config does not fit the data or the checkpoint.
        PackedError: the packed folder is missing or damaged.
        EngineError: the engine cannot be used.
        CheckpointError: the checkpoint cannot be used.
        OutputError: ``out`` contains another run, or cannot be written.
        RemoteError: ``restart.copy_to`` cannot be written.
        NonFiniteError: ``config.run.max_skips`` steps in a row were non-finite; the weights before them are saved.
    """
    out = check_path("out", out)
    check_range("start_epoch", start_epoch, 0, config.schedule.epochs - 1)
    if resume is not None and (weights is not None or start_epoch):
        remedy = "Omit --weights and --start-epoch to resume the run, or omit --resume to start a new one."
        raise OptionError("resume", "conflicts with --weights and --start-epoch", "", remedy)
    if weights is not None and Path(weights).is_dir():
        best = checkpoint.best(Path(weights)) or checkpoint.read(weights)
        checkpoint.verify(best, state=False)
        weights = best.weights
    begun = None if resume is None else checkpoint.read(resume)
    if begun is not None:
        begun.config.check_continued(config)
    with Interrupt() as interrupt, ExitStack() as stack:
        engine = open_engine(config) if begun is None and weights is None else open_to_load(open_engine, config)
        stack.callback(engine.close)
        feed = Feed(config, engine.rank, engine.world_size)
        stack.callback(feed.close)
        feed.loader = engine.prefetch(feed.loader)
        if begun is None:
            position = Position(epoch=start_epoch, step=start_epoch * feed.steps)
            if weights is not None:
                engine.load(weights)
        else:
            position = begun.position
            checkpoint.restore(begun, engine)
            feed.loader.load_state_dict(begun.loader)
        _check_together(engine, position)
        if engine.rank == 0:
            _prepare(out, begun, restart.from_scratch)
        folder = out if engine.rank == 0 else out / f"rank_{engine.rank}"
        _make(folder)
        log = RunLog(
            folder, feed.classes, position.step, log_name, tensorboard, engine.rank != 0, config.network.persons
        )
        stack.enter_context(log)
        log.record(f"Config: {json.dumps(asdict(config))}")
        log.record(f"Engine: {json.dumps(engine.describe())}")
        log.line(_summary(config, feed, engine.world_size))
        for data in feed.described:
            log.line(f"Data {data.folder}: content {data.content or 'unknown (format 1)'}")
        saved = None if begun is None else begun.weights
        loop = Loop(config, engine, feed, position, log, folder, interrupt, progress, saved)
        if engine.rank == 0:
            now = Origin(__version__, restart.command, position.step, None, None, feed.described)
            first = config if weights is None else config.changed(pretrained_base=None)
            loop.provenance = continued(begun, now) if begun is not None else begun_with(first, weights, now)
        if restart.copy_to is not None and engine.rank == 0:
            loop.publish = partial(publish, folder, restart.copy_to, copied(log_name))
        if begun is not None:
            log.line(f"Resumed from {begun.weights} {_whereabouts(loop, out)}")
        loop.run()
        highest, there = checkpoint.best(folder), checkpoint.listing(folder)
    return Outcome(out, there[-1].weights if there else None, highest.weights if highest else None, interrupt.signal)


def copied(log_name: str) -> tuple[str, ...]:
    """Return the names of the files that are copied with the checkpoints, given that of the log."""
    return STEPS, EPOCHS, log_name


def _summary(config: TrainConfig, feed: Feed, processes: int) -> str:
    """Return a summary of the run in one line; the log also has the whole config as JSON."""
    network, optim, epochs = config.network, config.optim, config.schedule.epochs
    what = network.model if ":" in network.model else f"{network.model} on {network.backbone}"
    return (
        f"Training {what}: {len(feed.classes)} classes, {counted(epochs, 'epoch')} of "
        f"{counted(feed.steps, 'step')}, batch {optim.batch_size}, crop {config.view.size}, {optim.optimizer}, "
        f"learning rate {optim.lr:g}, engine {config.machine.engine}, {counted(processes, 'process', 'processes')}"
    )


def _whereabouts(loop: Loop, out: Path) -> str:
    """Return where a resumed run continues, or that it has ended and how to train longer, for the log."""
    epochs = loop.config.schedule.epochs
    if loop.at.epoch < epochs:
        return loop.where
    again = f"start a new run: mhp train --weights {out} with --data and another --save-dir"
    return f"after the last of its {counted(epochs, 'epoch')}: the run has ended. To train longer, {again}"


def _check_together(engine: Engine, position: Position) -> None:
    """Raise EngineError unless all ranks begin at the same step."""
    first = engine.broadcast(position.step)
    if first != position.step:
        remedy = (
            "Pass a --save-dir (or --resume) that all machines share, on a shared file system or in object storage."
        )
        found, expected = f"begins at step {position.step}", f"step {first:.0f}, as rank 0: the same checkpoint"
        raise EngineError(f"rank {engine.rank}", found, expected, remedy)


def _prepare(out: Path, begun: Checkpoint | None, from_scratch: bool) -> None:
    """Raise OutputError if the folder contains files that the run would overwrite."""
    there = checkpoint.listing(out) if out.is_dir() else ()
    if begun is None and there:
        remedy = f"Resume it with mhp train --resume {out}, or pass another --save-dir."
        raise OutputError(out, "contains a run", "", remedy)
    if begun is None and not from_scratch and (out / STEPS).exists() and read_steps(out):
        remedy = "Add --auto-resume to start it from the beginning in this folder, or pass another --save-dir."
        raise OutputError(out, "contains a run without a checkpoint", "", remedy)
    if begun is not None and there and there[-1].position.step > begun.position.step:
        found = f"contains a later checkpoint, {there[-1].weights.name}"
        remedy = (
            f"Pass --resume {there[-1].weights} to resume from it, or another --save-dir to start from the earlier one."
        )
        raise OutputError(out, found, "", remedy)


def _make(folder: Path) -> None:
    """Create a folder of the run. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unmade(folder, error, "--save-dir") from error
