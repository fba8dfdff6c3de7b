"""Checkpoints: everything a run needs to resume with the same batches, losses and weights.

::

    runs/mhp/icnet/resnet50/
        epoch_0105_mIoU_0.3974.params     weights, as the engine writes them (torch: .pt)
        epoch_0105_mIoU_0.3974.state      the optimiser's state
        epoch_0105_mIoU_0.3974.json       config, position, loader, score, provenance; bytes and SHA-256 of the two
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
from mhpdata.options import check_path
from mhpdata.wording import error_in_words, to_replace, unread
from mhpmodels.config import SUFFIXES, TrainConfig
from mhpmodels.files.provenance import Provenance, parse_provenance
from mhpmodels.mean import Mean

FORMAT, VERSION = "mhp-checkpoint", 1
MAX_BYTES = 1 << 24
"""Maximum size of the JSON file, in bytes."""
NAME = re.compile(r"epoch_\d{4,}(_mIoU_\d\.\d{4}|_iteration_\d{4,})?")
_NONE = (
    "Pass the folder of another run. A run that ended before its first checkpoint starts from the beginning: run its "
    "first mhp train command again, with --auto-resume."
)


class Weights(Protocol):
    """The part of an engine (mhpmodels.engines.engine.Engine) that a checkpoint needs."""

    config: TrainConfig

    def describe(self) -> dict[str, Any]:
        """Return the names and versions of its libraries."""

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
    """Progress of a run between two steps.

    Attributes:
        epoch: the current epoch, counted from 0.
        iteration: number of steps done in this epoch.
        step: number of steps done in the run.
        loss: mean loss of this epoch's steps.
        skipped: number of non-finite steps in the run.
        in_a_row: number of consecutive non-finite steps up to now.
    """

    epoch: int = 0
    iteration: int = 0
    step: int = 0
    loss: Mean = field(default_factory=Mean)
    skipped: int = 0
    in_a_row: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, of which the JSON file has been read.

    Attributes:
        weights: path of the weights.
        state: path of the optimiser's state.
        config: configuration of the run.
        position: progress of the run.
        loader: output of ``Loader.state_dict``.
        score: pixAcc and mIoU of the validation after the epoch; None in the middle of an epoch or without validation.
        files: {file name: (bytes, SHA-256)}.
        provenance: data, commands and earlier weights that the weights come from; empty in a checkpoint of an earlier
            mhp.
    """

    weights: Path
    state: Path
    config: TrainConfig
    position: Position
    loader: dict[str, int]
    score: dict[str, float] | None
    files: dict[str, tuple[int, str]]
    provenance: Provenance = ()

    @property
    def miou(self) -> float:
        """The mIoU; -1.0 if the checkpoint was not validated."""
        return -1.0 if self.score is None else self.score["mIoU"]

    @property
    def persons_trained(self) -> bool:
        """Whether the run has trained its heads of persons; True for a network without them."""
        network, at = self.config.network, self.position
        if not network.persons or network.queries:
            return True
        steps = self.loader.get("length", 0) // self.config.optim.batch_size
        if at.epoch:
            steps = (at.step - at.iteration) // at.epoch
        return self.config.trains_persons(at.step - 1, steps)


def read(path: str | Path) -> Checkpoint:
    """Read the JSON file of a checkpoint.

    Args:
        path: the weights, or a run's folder for its last checkpoint.

    Raises:
        CheckpointError: the checkpoint is missing, or its JSON file is damaged. ``verify`` checks the other files.
    """
    path = check_path("checkpoint", path)
    if path.is_dir():
        complete = listing(path)
        if not complete:
            expected = "a folder that mhp train wrote, with epoch_... files"
            raise CheckpointError(path, "has no complete checkpoint", expected, _NONE)
        return complete[-1]
    beside = path.with_suffix(".json")
    if not path.exists():
        remedy = "Check the spelling of the path, or pass the folder of the run to use its last checkpoint."
        raise CheckpointError(path, "missing", "the weights of a checkpoint", remedy)
    if not beside.exists():
        found = f"has no {beside.name} beside it"
        remedy = (
            f"Copy {beside.name} to the same folder, or pass --weights instead of --resume to start a new run from "
            "bare weights, such as GluonCV's."
        )
        raise CheckpointError(path, found, "a checkpoint of mhp train", remedy)
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
            provenance=parse_provenance(content.get("provenance", [])),
        )
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        remedy = (
            f"If this is a copy, copy {beside.name} again; if a newer mhp wrote it, install that version; otherwise "
            f"pass another checkpoint of the run, or start a new run with mhp train --weights {path}."
        )
        found, expected = f"is damaged ({error_in_words(error)})", "JSON written by mhp train"
        if isinstance(error, OSError):
            found, remedy = unread(error), to_replace(error, beside, remedy)
        raise CheckpointError(beside, found, expected, remedy) from error


def _another_format(form: object, version: object, weights: Path) -> CheckpointError:
    """Return the error for a JSON file whose format or version is unsupported."""
    beside = weights.with_suffix(".json")
    onward = f"start a new run with these weights: mhp train --weights {weights}"
    if form == FORMAT and isinstance(version, int) and version > VERSION:
        found = f"was written by a newer mhp (format {version}; this version reads {VERSION})"
        return CheckpointError(beside, found, "", f"Install the newer mhp to resume the run, or {onward}.")
    found = f"is damaged: its format is {str(form)[:40]}, version {str(version)[:40]}"
    remedy = f"If this is a copy, copy {beside.name} again from the machine that trained it; otherwise {onward}."
    return CheckpointError(beside, found, f"{FORMAT}, version {VERSION}", remedy)


def verify(checkpoint: Checkpoint, state: bool = True) -> None:
    """Raise CheckpointError unless the weights, and with ``state`` the optimiser's state, have the recorded bytes."""
    for path in (checkpoint.weights, checkpoint.state) if state else (checkpoint.weights,):
        remedy = (
            f"If this is a copy, copy {path.name} again from the machine that trained it; otherwise pass another "
            "checkpoint of the run"
        )
        if path == checkpoint.state:
            remedy += f", or start a new run with mhp train --weights {checkpoint.weights}"
        beside = checkpoint.weights.with_suffix(".json").name
        try:
            found = measure(path)
        except OSError as error:
            todo = f"{remedy}." if isinstance(error, FileNotFoundError) else to_replace(error, path, f"{remedy}.")
            raise CheckpointError(path, unread(error), "", todo) from error
        expected = checkpoint.files.get(path.name)
        if expected is None:
            named = ", ".join(checkpoint.files)
            what, names = f"is not described by {beside}", f"one of {named}"
            raise CheckpointError(path, what, names, "Restore the file names that mhp train gave.")
        if found != expected:
            what = f"is {found[0]} bytes long" if found[0] != expected[0] else "holds other bytes"
            written = f"the {expected[0]} bytes that mhp train wrote (SHA-256 in {beside})"
            raise CheckpointError(path, what, written, f"{remedy}.")


def restore(checkpoint: Checkpoint, engine: Weights) -> None:
    """Verify the weights and the optimiser's state, and load them into an engine.

    Raises:
        CheckpointError: they are damaged, or belong to another network.
    """
    verify(checkpoint)
    engine.load(checkpoint.weights)
    engine.load_state(checkpoint.state)


def listing(folder: Path) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a run's folder, the latest last, without damaged ones."""
    checkpoints = []
    for path in folder.iterdir():
        if path.suffix in SUFFIXES.values() and NAME.fullmatch(path.stem):
            try:
                checkpoints.append(read(path))
            except CheckpointError:
                continue
    return tuple(sorted(checkpoints, key=lambda c: (c.position.step, c.miou)))


def best(folder: Path) -> Checkpoint | None:
    """Return the checkpoint with the highest mIoU (the earliest one on a tie); None if none was validated.

    Checkpoints from before the heads of persons were trained count only if there are no others.
    """
    scored = [c for c in listing(folder) if c.score is not None]
    return max(scored, key=lambda c: (c.persons_trained, c.miou), default=None)


def measure(path: Path, sync: bool = False) -> tuple[int, str]:
    """Return the bytes and the SHA-256 of a file; ``sync`` flushes it to disk, which some read-only disks refuse."""
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        if sync:
            os.fsync(file.fileno())
        return file.tell(), digest.hexdigest()
