"""Checkpoints: everything a run needs to resume with the same batches, losses and weights.

::

    runs/mhp/icnet/resnet50/
        epoch_0105_mIoU_0.3974.params     weights, as the engine writes them (torch: .pt)
        epoch_0105_mIoU_0.3974.state      the optimiser's state
        epoch_0105_mIoU_0.3974.json       config, position, loader, score; bytes and SHA-256 of the two
        epoch_0106_iteration_0113.*       the same in the middle of an epoch

The rule: a checkpoint exists once its weights have their name, and then all of it is complete. Which checkpoint is the
last and which is the best follows from the files alone.

This module reads checkpoints; mhpmodels.files.checkpoint_writer writes and removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mhpdata.errors import CheckpointError
from mhpdata.fields import parse_json
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.wording import error_in_words, to_replace, why
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.mean import Mean

FORMAT, VERSION = "mhp-checkpoint", 1
MAX_BYTES = 1 << 24
"""Of the JSON."""
NAME = re.compile(r"epoch_\d{4,}(_mIoU_\d\.\d{4}|_iteration_\d{4,})?")
_NONE = (
    "Pass the folder of another run, such as runs/mhp/icnet/resnet50; a run that ended before its first checkpoint "
    "begins anew: run mhp-train without --resume, with another --save-dir."
)


class Weights(Protocol):
    """What of an engine (mhpmodels.engines.engine.Engine) a checkpoint needs."""

    config: TrainConfig

    def describe(self) -> dict[str, Any]:
        """Name its libraries and their versions."""

    def save(self, path: Path) -> None:
        """Write the weights."""

    def load(self, path: Path) -> None:
        """Read the weights."""

    def save_state(self, path: Path) -> None:
        """Write the optimiser's state."""

    def load_state(self, path: Path) -> None:
        """Read the optimiser's state."""


@dataclass
class Position:
    """Where a run stands, between two steps.

    Attributes:
        epoch, iteration: the epoch from 0, and how many of its steps are done.
        step: steps of the run that are done.
        loss: mean of the epoch's steps so far.
        skipped, in_a_row: steps that were not finite: of the run, and just now.
    """

    epoch: int = 0
    iteration: int = 0
    step: int = 0
    loss: Mean = field(default_factory=Mean)
    skipped: int = 0
    in_a_row: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, its small part read.

    Attributes:
        weights, state: the files.
        config, position, loader: what the run was; loader as ``Loader.state_dict`` gave it.
        score: pixAcc and mIoU of the validation after the epoch; None in the middle of one, or without validation.
        files: {file name: (bytes, SHA-256)}.
    """

    weights: Path
    state: Path
    config: TrainConfig
    position: Position
    loader: dict[str, int]
    score: dict[str, float] | None
    files: dict[str, tuple[int, str]]

    @property
    def miou(self) -> float:
        """Its mIoU; below every real one where there is none."""
        return -1.0 if self.score is None else self.score["mIoU"]


def read(path: str | Path) -> Checkpoint:
    """A checkpoint by its weights, or the last one of a run's folder.

    Raises:
        CheckpointError: there is none, or its small part is damaged. ``verify`` looks at the rest.
    """
    path = Path(path)
    if path.is_dir():
        there = listing(path)
        if not there:
            expected = "a folder that mhp-train wrote, with epoch_... files"
            raise CheckpointError(path, "has no checkpoint that is whole", expected, _NONE)
        return there[-1]
    beside = path.with_suffix(".json")
    if not path.exists():
        remedy = "Check the spelling of the path, or pass the folder of the run, which stands for its last checkpoint."
        raise CheckpointError(path, "missing", "the weights of a checkpoint", remedy)
    if not beside.exists():
        found = f"has no {beside.name} beside it"
        remedy = (
            f"Copy {beside.name} there, too; to begin a new run from bare weights, such as GluonCV's, pass "
            "--weights instead of --resume."
        )
        raise CheckpointError(path, found, "a checkpoint of mhp-train", remedy)
    try:
        content = parse_json(read_regular(beside, MAX_BYTES).decode())
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise _another_format(content["format"], content["version"], path)
        position = {**content["position"], "loss": Mean(**content["position"]["loss"])}
        return Checkpoint(
            weights=path,
            state=path.with_suffix(".state"),
            config=TrainConfig.from_json(json.dumps(content["config"])),
            position=Position(**position),
            loader={str(key): int(value) for key, value in content["loader"].items()},
            score=content["score"] and {str(key): float(value) for key, value in content["score"].items()},
            files={str(name): (int(size), str(digest)) for name, (size, digest) in content["files"].items()},
        )
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        remedy = (
            f"If this is a copy, copy {beside.name} once more; if a later mhp wrote it, install that one; otherwise "
            f"pass another checkpoint of the run, or begin a new run with mhp-train --weights {path}."
        )
        found, expected = f"is damaged ({error_in_words(error)})", "JSON as mhp-train writes it"
        if isinstance(error, OSError):
            found, remedy = f"cannot be read ({why(error)})", to_replace(error, beside, remedy)
        raise CheckpointError(beside, found, expected, remedy) from error


def _another_format(form: object, version: object, weights: Path) -> CheckpointError:
    """The error of a JSON whose first fields say that it is of something else."""
    beside = weights.with_suffix(".json")
    onward = f"begin a new run with these weights: mhp-train --weights {weights}"
    if form == FORMAT and isinstance(version, int) and version > VERSION:
        found = f"was written by a later mhp (format {version}; this one reads {VERSION})"
        return CheckpointError(beside, found, "", f"To go on with the run, install that mhp; otherwise {onward}.")
    found = f"is damaged: its format is {str(form)[:40]}, version {str(version)[:40]}"
    remedy = f"If this is a copy, copy {beside.name} once more from where it was trained; otherwise {onward}."
    return CheckpointError(beside, found, f"{FORMAT}, version {VERSION}", remedy)


def verify(checkpoint: Checkpoint, state: bool = True) -> None:
    """Raises CheckpointError unless weights, and ``state`` where it is needed, are the bytes that were written."""
    for path in (checkpoint.weights, checkpoint.state) if state else (checkpoint.weights,):
        remedy = (
            f"If this is a copy, copy {path.name} once more from where it was trained; otherwise pass another "
            "checkpoint of the run"
        )
        if path == checkpoint.state:
            remedy += f", or begin a new run with mhp-train --weights {checkpoint.weights}"
        beside = checkpoint.weights.with_suffix(".json").name
        try:
            found = measure(path)
        except OSError as error:
            todo = f"{remedy}." if isinstance(error, FileNotFoundError) else to_replace(error, path, f"{remedy}.")
            raise CheckpointError(path, f"cannot be read ({why(error)})", "", todo) from error
        expected = checkpoint.files.get(path.name)
        if expected is None:
            named = ", ".join(checkpoint.files)
            what, names = f"is not the name of a file that {beside} beside it describes", f"one of {named}"
            raise CheckpointError(path, what, names, "Rename the files back to the names that mhp-train gave them.")
        if found != expected:
            what = f"is {found[0]} bytes long" if found[0] != expected[0] else "holds other bytes"
            written = f"the {expected[0]} bytes that mhp-train wrote ({beside} has their SHA-256)"
            raise CheckpointError(path, what, written, f"{remedy}.")


def restore(checkpoint: Checkpoint, engine: Weights) -> None:
    """Give an engine the weights and the optimiser's state, once they are proved whole.

    Raises:
        CheckpointError: they are damaged, or of another network.
    """
    verify(checkpoint)
    engine.load(checkpoint.weights)
    engine.load_state(checkpoint.state)


def listing(folder: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints of a run's folder, the latest last. Damaged ones are left out."""
    found = []
    for path in folder.iterdir():
        if path.suffix in SUFFIXES.values() and NAME.fullmatch(path.stem):
            try:
                found.append(read(path))
            except CheckpointError:
                continue
    return tuple(sorted(found, key=lambda c: (c.position.step, c.miou)))


def best(folder: Path) -> Checkpoint | None:
    """The checkpoint with the highest mIoU, of equals the earliest; None where none was validated."""
    scored = [c for c in listing(folder) if c.score is not None]
    return max(scored, key=lambda c: c.miou, default=None)


def measure(path: Path, sync: bool = False) -> tuple[int, str]:
    """Bytes and SHA-256 of a file, which with ``sync`` is on the disk when this returns: some file systems that are
    only read, such as squashfs, refuse that."""
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        if sync:
            os.fsync(file.fileno())
        return file.tell(), digest.hexdigest()
