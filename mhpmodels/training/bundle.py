"""Bundles: a skipped training step, saved with everything that it depends on so that it can be replayed.

::

    epoch_0010_iteration_0113/
        bundle.json     config, position in the run, rate, seed, samples, loss and gradient
        batch.npz       images, labels, indices, and targets of persons if the step trained them
        weights.params, state      from before the step, in the engine's own formats

The folder gets its final name once it is complete. Only torch's files are unpickled (zip files with a pickle of tensors
and plain values), and with ``weights_only``, so no code in them can run.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mhpdata.errors import CheckpointError, OptionError, OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import part_of
from mhpdata.filesystem.descriptors import hold_standard, open_file
from mhpdata.filesystem.ours import check_folder, head, in_the_way, remove
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.labels import IGNORE
from mhpdata.options import check_path
from mhpdata.wording import error_in_words, printable, to_replace, to_write, why
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.engines.engine import Engine, PersonEngine, Step, open_engine

FORMAT, VERSION = "mhp-bundle", 1
MOST_JSON = 1 << 24
"""Maximum size of bundle.json, in bytes."""
_GIVE = "Pass a folder below a run's bundles/ to mhp train --replay; if this one is a copy, copy it again."
_ELSEWHERE = "or start a run with another --save-dir"
_NEWER = "Copy the folder again if this is a copy; if a later mhp wrote it, install that version."


@dataclass(frozen=True)
class Moment:
    """The inputs of a training step.

    Attributes:
        epoch: epoch, from 0, as in the log.
        iteration: iteration within the epoch, from 1, as in the log.
        rate: learning rate of the step.
        seed: random seed of the step.
        images: images as ``Engine.train_step`` takes them.
        labels: uint8 (N, H, W) labels as ``Engine.train_step`` takes them.
        indices: int64 (N,) index of each sample in its split.
        names: N sample names; "" for a damaged sample that was left out.
        targets: float32 (N, 4, H, W) targets of the heads of persons; None if the step trained the labels alone.
    """

    epoch: int
    iteration: int
    rate: float
    seed: int
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    names: tuple[str, ...]
    targets: npt.NDArray[np.float32] | None = None

    @property
    def place(self) -> str:
        """The step as messages name it."""
        return f"Epoch {self.epoch} iteration {self.iteration:04d}"

    @property
    def stem(self) -> str:
        """Name of the step's bundle folder."""
        return f"epoch_{self.epoch:04d}_iteration_{self.iteration:04d}"


@dataclass(frozen=True)
class Replay:
    """The result of replaying a bundle's step.

    Attributes:
        place: epoch and iteration of the step, as text.
        before: result of the step in the run.
        after: result of the replay.
        samples: one line of text per sample.
        ranks: number of processes that took the step in the run; the bundle has the samples of the first one only.
    """

    place: str
    before: Step
    after: Step
    samples: tuple[str, ...]
    ranks: int = 1

    def text(self) -> str:
        """Return the result as text for people."""
        lines = [
            f"{when}: loss {step.loss:g}, gradient {step.gradient:g}, {'applied' if step.applied else 'skipped'}"
            for when, step in ((f"{self.place}, in the run", self.before), ("Replayed", self.after))
        ]
        if self.ranks > 1:
            lines.append(f"The run's figures cover {self.ranks} processes, the replay only the first one's samples.")
        lines += ["Each sample on its own, before the step:", *(f"  {line}" for line in self.samples)]
        return "\n".join(map(printable, lines))


def run_step(
    engine: Engine,
    images: npt.NDArray[Any],
    labels: npt.NDArray[np.uint8],
    rate: float,
    seed: int,
    targets: npt.NDArray[np.float32] | None,
) -> Step:
    """Run a training step, of an engine with heads of persons if there are targets."""
    if targets is None:
        return engine.train_step(images, labels, rate, seed)
    return cast(PersonEngine, engine).train_step(images, labels, rate, seed, targets)


def open_to_load(open_engine: Callable[[TrainConfig], Engine], config: TrainConfig) -> Engine:
    """Open an engine whose weights are loaded next, without ``pretrained_base``, which need not be there any more."""
    if config.network.pretrained_base is None:
        return open_engine(config)
    engine = open_engine(config.changed(pretrained_base=None))
    engine.config = config  # what checkpoints and bundles record
    return engine


def save_bundle(path: Path, moment: Moment, step: Step, engine: Engine) -> None:
    """Write a skipped step as the folder ``path``, replacing a bundle of that name.

    Raises:
        OutputError: the bundle cannot be written, or ``path`` exists and is not a bundle.
    """
    unfinished = part_of(path)
    try:
        if path.parent.is_symlink():
            raise in_the_way(path.parent, _ELSEWHERE)
        remove(unfinished, check_folder(unfinished, _belongs, _ELSEWHERE))
        there = check_folder(path, _belongs, _ELSEWHERE)
        if there and not _is_bundle(path / "bundle.json"):
            raise in_the_way(path, _ELSEWHERE)
        unfinished.mkdir(parents=True)
        hold_standard()  # np.savez opens the file itself
        arrays = {"images": moment.images, "labels": moment.labels, "indices": moment.indices}
        if moment.targets is not None:
            arrays["targets"] = moment.targets
        np.savez(unfinished / "batch.npz", **cast(Any, arrays))
        engine.save(unfinished / f"weights{engine.config.suffix}")
        engine.save_state(unfinished / "state")
        content = {
            "format": FORMAT,
            "version": VERSION,
            "config": asdict(engine.config),
            **{name: getattr(moment, name) for name in ("epoch", "iteration", "rate", "seed", "names")},
            "loss": repr(step.loss),
            "gradient": repr(step.gradient),
        }
        with open_file(unfinished / "bundle.json", "x", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
        remove(path, there)
        unfinished.rename(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        remedy = to_write(error, path, f"resume with mhp train --resume {path.parent.parent}")
        raise OutputError(path, f"cannot save the skipped step ({why(error)})", "", remedy) from error


def _belongs(path: Path) -> bool:
    """Return whether a file has a name that belongs in a bundle."""
    known = {"bundle.json", "batch.npz", "state", *(f"weights{suffix}" for suffix in SUFFIXES.values())}
    return path.name in known and path.is_file()


def _is_bundle(path: Path) -> bool:
    """Return whether a JSON file is a bundle's."""
    return f'"format": "{FORMAT}"'.encode() in (head(path) or b"")


def replay(
    path: str | Path, open_engine: Callable[[TrainConfig], Engine] = open_engine, on_cpu: bool = False
) -> Replay:
    """Replay a bundle's step and examine each of its samples.

    Args:
        path: the bundle's folder.
        open_engine: function that opens the engine named in the bundle's config.
        on_cpu: run on the CPU even if the run used GPUs.

    Raises:
        CheckpointError: the bundle is incomplete or damaged, or its weights do not fit the network.
        EngineError: the engine cannot be opened.
    """
    path = check_path("bundle", path)
    config, moment, before = _read(path)
    ranks = config.machine.contexts if config.machine.engine == "torch" else 1
    if ranks > 1:  # the bundle has one process's share of the batch
        config = config.changed(ngpus=min(config.machine.ngpus, 1), contexts=0)
    if on_cpu:
        config = config.changed(ngpus=0)
    engine = open_to_load(open_engine, config)
    try:
        engine.load(path / f"weights{config.suffix}")
        engine.load_state(path / "state")
        samples = tuple(_look(moment, i, engine) for i in range(len(moment.names)))
        after = run_step(engine, moment.images, moment.labels, moment.rate, moment.seed, moment.targets)
    finally:
        engine.close()
    return Replay(moment.place, before, after, samples, ranks)


def _read(path: Path) -> tuple[TrainConfig, Moment, Step]:
    try:
        content = parse_json(read_regular(path / "bundle.json", MOST_JSON).decode("utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            found = f"bundle.json has format {content['format']}, version {content['version']}"
            raise CheckpointError(path, found, f"{FORMAT}, version {VERSION}", _NEWER)
        config = TrainConfig.from_json(json.dumps(content["config"]), str(path / "bundle.json"))
        before = Step(float(content["loss"]), float(content["gradient"]), applied=False)
        names = tuple(str(name) for name in content["names"])
        # opened here, because np.load leaves a file open if it is not an archive
        with os.fdopen(open_regular(path / "batch.npz"), "rb") as file, np.load(file, allow_pickle=False) as batch:
            names_of = ("images", "labels", "indices", *(["targets"] if "targets" in batch else []))
            arrays = {name: np.ascontiguousarray(batch[name]) for name in names_of}
        epoch, iteration, seed = (int(content[name]) for name in ("epoch", "iteration", "seed"))
        moment = Moment(epoch, iteration, float(content["rate"]), seed, **arrays, names=names)
        if not len(names) == len(moment.images) == len(moment.labels) == len(moment.indices):
            raise ValueError(f"{len(names)} names, {len(moment.images)} images, {len(moment.labels)} label maps")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, CheckpointError):
            raise
        if isinstance(error, OptionError):
            raise error.at(error.place, _NEWER) from error
        found, remedy = error_in_words(error), _GIVE
        if isinstance(error, OSError):
            failed = Path(error.filename or path)
            found = f"{failed.name}: {why(error)}"
            remedy = _GIVE if isinstance(error, FileNotFoundError) else to_replace(error, failed, _GIVE)
        expected = "a folder with bundle.json, batch.npz, weights and state"
        raise CheckpointError(path, f"not a complete bundle ({found})", expected, remedy) from error
    return config, moment, before


def _look(moment: Moment, i: int, engine: Engine) -> str:
    """Describe one sample in a line: its pixels, its labels, and the network's loss on it."""
    image, labels = moment.images[i], moment.labels[i]
    labelled = labels != IGNORE
    logits = engine.predict(moment.images[i : i + 1])[0].astype(np.float64)
    words = [
        f"{moment.names[i]} ({moment.indices[i]})",
        f"pixels {image.min():g} to {image.max():g}, standard deviation {image.std():.3g}",
        f"{labelled.mean():.1%} labelled, classes {' '.join(map(str, np.unique(labels[labelled]))) or 'none'}",
    ]
    if not np.isfinite(image).all():
        words.append("NON-FINITE PIXELS")
    if not np.isfinite(logits).all():
        words.append(f"{(~np.isfinite(logits)).mean():.1%} NON-FINITE LOGITS")
    elif labelled.any():
        top = logits.max(0)
        true = np.take_along_axis(logits, np.where(labelled, labels, 0)[None].astype(np.intp), 0)[0]
        loss = top + np.log(np.exp(logits - top).sum(0)) - true
        gap = (top - true)[labelled].max()
        words.append(f"loss {loss[labelled].mean():.4g}, true logit at most {gap:.4g} below the largest")
    return ", ".join(words)
