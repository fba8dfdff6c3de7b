"""Set a training run up, start or resume it, and say how it ended: what mhp-train calls.

The run's folder is prepared by rank 0; the other ranks keep their logs and tables in folders inside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from mhpdata.errors import OptionError, OutputError
from mhpdata.options import check_range
from mhpdata.wording import counted
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import Engine, open_engine
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import Checkpoint, Position
from mhpmodels.files.output import unmade
from mhpmodels.training.feed import Feed
from mhpmodels.training.interrupt import Interrupt
from mhpmodels.training.loop import Loop
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import STEPS, read_steps


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
    open_engine: Callable[[TrainConfig], Engine] = open_engine,
) -> Outcome:
    """Train a network on a packed folder: what mhp-train calls.

    Args:
        config: the run's options; for a resumed run those of the checkpoint, except for those that are ``free``.
        out: the run's folder; new, or that of the checkpoint.
        resume: resume from this checkpoint: its weights, or a run's folder for the last checkpoint there.
        weights: start with these weights instead of new ones.
        start_epoch: first epoch of a new run that starts later in the schedule, from 0.
        log_name: name of the log file in ``out``.
        tensorboard: write ``out/tensorboard``, too.
        progress: draw a progress bar if standard error is a terminal.
        open_engine: opens the engine that ``config`` names.

    Returns:
        How it ended: at the end of its last epoch, or at a signal (Ctrl-C, SIGTERM), after which it has saved.

    Raises:
        OptionError: the config does not fit the data or the checkpoint.
        PackedError: the packed folder is missing or damaged.
        EngineError, CheckpointError: the engine or the checkpoint cannot be used.
        OutputError: ``out`` holds another run, or cannot be written.
        NonFiniteError: ``config.run.max_skips`` steps in a row were not finite; weights from before them are saved.
    """
    out = Path(out)
    check_range("start_epoch", start_epoch, 0, config.schedule.epochs - 1)
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
        if begun is None:
            position = Position(epoch=start_epoch, step=start_epoch * feed.steps)
            if weights is not None:
                engine.load(weights)
        else:
            position = begun.position
            checkpoint.restore(begun, engine)
            feed.loader.load_state_dict(begun.loader)
        if engine.rank == 0:
            _prepare(out, begun)
        folder = out if engine.rank == 0 else out / f"rank_{engine.rank}"
        _make(folder)
        log = RunLog(folder, feed.classes, position.step, log_name, tensorboard, quiet=engine.rank != 0)
        stack.enter_context(log)
        log.record(f"Config: {json.dumps(asdict(config))}")
        log.record(f"Engine: {json.dumps(engine.describe())}")
        log.line(_summary(config, feed, engine.world_size))
        saved = None if begun is None else begun.weights
        loop = Loop(config, engine, feed, position, log, folder, interrupt, progress, saved)
        if begun is not None:
            log.line(f"Resumed from {begun.weights} {loop.where}")
        loop.run()
        best, there = checkpoint.best(folder), checkpoint.listing(folder)
    return Outcome(out, there[-1].weights if there else None, best.weights if best else None, interrupt.signal)


def _summary(config: TrainConfig, feed: Feed, processes: int) -> str:
    """The run in one sentence for people; the log holds the whole config as JSON."""
    network, optim, epochs = config.network, config.optim, config.schedule.epochs
    return (
        f"Training {network.model} on {network.backbone}: {len(feed.classes)} classes, {counted(epochs, 'epoch')} of "
        f"{counted(feed.steps, 'step')}, batch {optim.batch_size}, crop {config.view.size}, {optim.optimizer}, "
        f"learning rate {optim.lr:g}, engine {config.machine.engine}, {counted(processes, 'process', 'processes')}"
    )


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
