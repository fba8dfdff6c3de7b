"""A training step kept on disk with all that it depends on, so that it can be run again.

::

    epoch_0010_iteration_0113/
        bundle.json     config, where in the run, rate, seed, samples, and what the step gave
        batch.npz       images, labels, indices
        weights.params, state      as the engine writes them, from before the step

The folder gets its name when it is whole. Nothing in it is unpickled but what torch writes (a zip file with a pickle of
tensors and plain values), and that with ``weights_only``, which calls nothing.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mhpdata.errors import CheckpointError, OptionError, OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import part_of
from mhpdata.filesystem.descriptors import hold_standard, open_file
from mhpdata.filesystem.ours import check_folder, head, in_the_way, remove
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.labels import IGNORE
from mhpdata.wording import error_in_words, printable, to_replace, to_write, why
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.engines.engine import Engine, Step, open_engine

FORMAT, VERSION = "mhp-bundle", 1
MOST_JSON = 1 << 24
"""Bytes of a bundle's JSON."""
_GIVE = (
    "Give mhp-train --replay a folder below bundles/ of a run; if this one is a copy, copy it once more from where it "
    "was made."
)
_ELSEWHERE = "or begin a run with another --save-dir"
_NEWER = "If this is a copy, copy the folder once more; if a later mhp wrote it, install that one."


@dataclass(frozen=True)
class Moment:
    """What goes into a training step.

    Attributes:
        epoch, iteration: from 0 and from 1, as the log counts them.
        rate, seed: of the step.
        images, labels: as ``Engine.train_step`` takes them.
        indices: int64 (N,), each sample's place in its split.
        names: of the samples, N; "" where damage left one out.
    """

    epoch: int
    iteration: int
    rate: float
    seed: int
    images: npt.NDArray[Any]
    labels: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def place(self) -> str:
        """How a message names it."""
        return f"Epoch {self.epoch} iteration {self.iteration:04d}"

    @property
    def stem(self) -> str:
        """The name of its bundle's folder."""
        return f"epoch_{self.epoch:04d}_iteration_{self.iteration:04d}"


@dataclass(frozen=True)
class Replay:
    """A bundle's step, run again.

    Attributes:
        place: epoch and iteration.
        before, after: what the step gave in the run, and now.
        samples: a line on each.
        ranks: processes that took the step together in the run; there are samples of the first one only.
    """

    place: str
    before: Step
    after: Step
    samples: tuple[str, ...]
    ranks: int = 1

    def text(self) -> str:
        """For people to read."""
        lines = [
            f"{when}: loss {step.loss:g}, gradient {step.gradient:g}, {'applied' if step.applied else 'skipped'}"
            for when, step in ((f"{self.place}, in the run", self.before), ("Now", self.after))
        ]
        if self.ranks > 1:
            lines.append(f"The run's figures are of {self.ranks} processes, those of now of the first one's samples.")
        lines += ["Each sample by itself, before the step:", *(f"  {line}" for line in self.samples)]
        return "\n".join(map(printable, lines))


def save_bundle(path: Path, moment: Moment, step: Step, engine: Engine) -> None:
    """Write a step, which the engine did not apply, as the folder ``path``; a bundle that is there is replaced.

    Raises:
        OutputError: it cannot be written, or something that is no bundle is in the way.
    """
    part = part_of(path)
    try:
        if path.parent.is_symlink():
            raise in_the_way(path.parent, _ELSEWHERE)
        remove(part, check_folder(part, _is_part, _ELSEWHERE))
        there = check_folder(path, _is_part, _ELSEWHERE)
        if there and not _is_bundle(path / "bundle.json"):
            raise in_the_way(path, _ELSEWHERE)
        part.mkdir(parents=True)
        hold_standard()  # NumPy opens the file itself
        np.savez(part / "batch.npz", images=moment.images, labels=moment.labels, indices=moment.indices)
        engine.save(part / f"weights{engine.config.suffix}")
        engine.save_state(part / "state")
        content = {
            "format": FORMAT,
            "version": VERSION,
            "config": asdict(engine.config),
            **{name: getattr(moment, name) for name in ("epoch", "iteration", "rate", "seed", "names")},
            "loss": repr(step.loss),
            "gradient": repr(step.gradient),
        }
        with open_file(part / "bundle.json", "x", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
        remove(path, there)
        part.rename(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        remedy = to_write(error, path, f"go on with mhp-train --resume {path.parent.parent}")
        raise OutputError(path, f"the skipped step cannot be kept ({why(error)})", "", remedy) from error


def _is_part(path: Path) -> bool:
    """Whether a file is of a name that a bundle has."""
    known = {"bundle.json", "batch.npz", "state", *(f"weights{suffix}" for suffix in SUFFIXES.values())}
    return path.name in known and path.is_file()


def _is_bundle(path: Path) -> bool:
    """Whether a JSON is that of a bundle."""
    return f'"format": "{FORMAT}"'.encode() in (head(path) or b"")


def replay(
    path: str | Path, open_engine: Callable[[TrainConfig], Engine] = open_engine, on_cpu: bool = False
) -> Replay:
    """Run a bundle's step again, and look at each sample by itself.

    Args:
        path: the bundle's folder.
        on_cpu: although the run had GPUs.
        open_engine: opens the engine that the bundle's config names.

    Raises:
        CheckpointError: not a whole bundle.
        EngineError, CheckpointError: the engine cannot be opened, or does not take the bundle's weights.
    """
    path = Path(path)
    config, moment, before = _read(path)
    ranks = config.machine.contexts if config.machine.engine == "torch" else 1
    if ranks > 1:  # the bundle has what this process took
        config = config.changed(ngpus=min(config.machine.ngpus, 1), contexts=0)
    if on_cpu:
        config = config.changed(ngpus=0)
    engine = open_engine(config)
    try:
        engine.load(path / f"weights{config.suffix}")
        engine.load_state(path / "state")
        samples = tuple(_look(moment, i, engine) for i in range(len(moment.names)))
        after = engine.train_step(moment.images, moment.labels, moment.rate, moment.seed)
    finally:
        engine.close()
    return Replay(moment.place, before, after, samples, ranks)


def _read(path: Path) -> tuple[TrainConfig, Moment, Step]:
    try:
        content = parse_json(read_regular(path / "bundle.json", MOST_JSON).decode("utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            found = f"bundle.json is {content['format']} {content['version']}; this mhp reads {FORMAT} {VERSION}"
            raise CheckpointError(path, found, "", _NEWER)
        config = TrainConfig.from_json(json.dumps(content["config"]), str(path / "bundle.json"))
        before = Step(float(content["loss"]), float(content["gradient"]), applied=False)
        names = tuple(str(name) for name in content["names"])
        # opened here, because np.load leaves a file open that is no archive
        with os.fdopen(open_regular(path / "batch.npz"), "rb") as file, np.load(file, allow_pickle=False) as batch:
            arrays = {name: np.ascontiguousarray(batch[name]) for name in ("images", "labels", "indices")}
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
            part = Path(error.filename or path)
            found = f"{part.name}: {why(error)}"
            remedy = _GIVE if isinstance(error, FileNotFoundError) else to_replace(error, part, _GIVE)
        expected = "the folder of a skipped step, with bundle.json, batch.npz, weights and state"
        raise CheckpointError(path, f"is not a whole bundle ({found})", expected, remedy) from error
    return config, moment, before


def _look(moment: Moment, i: int, engine: Engine) -> str:
    """What there is to say of one sample: input, labels, and what the network makes of it."""
    image, labels = moment.images[i], moment.labels[i]
    labelled = labels != IGNORE
    logits = engine.predict(moment.images[i : i + 1])[0].astype(np.float64)
    words = [
        f"{moment.names[i]} ({moment.indices[i]})",
        f"pixels {image.min():g} to {image.max():g}, {image.std():.3g} deviation",
        f"{labelled.mean():.1%} labelled, classes {' '.join(map(str, np.unique(labels[labelled]))) or 'none'}",
    ]
    if not np.isfinite(image).all():
        words.append("PIXELS NOT FINITE")
    if not np.isfinite(logits).all():
        words.append(f"{(~np.isfinite(logits)).mean():.1%} OF THE LOGITS NOT FINITE")
    elif labelled.any():
        top = logits.max(0)
        true = np.take_along_axis(logits, np.where(labelled, labels, 0)[None].astype(np.intp), 0)[0]
        loss = top + np.log(np.exp(logits - top).sum(0)) - true
        gap = (top - true)[labelled].max()
        words.append(f"loss {loss[labelled].mean():.4g}, true logit at most {gap:.4g} below the largest")
    return ", ".join(words)
