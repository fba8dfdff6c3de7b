"""Write a run's checkpoints, and remove those that are no longer needed.

The rule: the weights get their name last, by rename, and lose it first, so a checkpoint whose weights have their name
is complete (mhpmodels.files.checkpoint).

Nothing is deleted or replaced that a run did not write (mhpdata.filesystem.ours): the JSON is written before the two
other files get their names, and it names them. A file of such a name that no JSON of mhp's names belongs to somebody
else, and so does any link.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import parse_part, replacing, sync_folder, write_atomically
from mhpdata.filesystem.ours import begins, head, in_the_way
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import to_write, why
from mhpmodels.config import SUFFIXES
from mhpmodels.files import params
from mhpmodels.files.checkpoint import (
    FORMAT,
    MAX_BYTES,
    NAME,
    VERSION,
    Position,
    Weights,
    best,
    listing,
    measure,
    read,
    verify,
)

_STARTS = b"PK\3\4", params.START, b"\x93NUMPY", f'{{\n "format": "{FORMAT}"'.encode()
"""First bytes of the files of a checkpoint: torch's, MXNet's and NumPy's, and the JSON."""


def save(
    folder: Path, engine: Weights, position: Position, loader: dict[str, int], score: dict[str, float] | None = None
) -> Path:
    """Write a checkpoint and return the path of its weights. One of this name is the same by the rules of a run, and
    stays.

    Args:
        folder: of the run.
        engine: weights, state and config.
        position, loader, score: as of ``Checkpoint``. A position with iteration 0 is at an epoch's beginning: the name
            is that of the epoch that has ended.

    Raises:
        OutputError: it cannot be written.
    """
    stem = _stem(position, score)
    weights, state = (folder / (stem + suffix) for suffix in (engine.config.suffix, ".state"))
    if weights.exists() and _is_whole(weights):
        return weights
    for path in (weights, state, folder / f"{stem}.json"):
        if os.path.lexists(path) and not _is_written(path):
            raise in_the_way(path, "or pass another --save-dir")
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "config": asdict(engine.config),
        "engine": engine.describe(),
        "position": asdict(position),
        "loader": loader,
        "score": score,
    }
    try:
        with replacing(weights) as weights_part, replacing(state) as state_part:  # the weights get their name last
            engine.save(weights_part)
            engine.save_state(state_part)
            parts = {state: state_part, weights: weights_part}
            content["files"] = {path.name: measure(part, sync=True) for path, part in parts.items()}
            write_atomically(folder / f"{stem}.json", json.dumps(content, indent=1) + "\n")
        sync_folder(folder)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error  # an engine's says what to do in general
        if not isinstance(cause, OSError):
            raise
        remedy = to_write(cause, weights, f"run mhp-train --resume {folder} to go on from the checkpoint before")
        if not folder.is_dir():
            remedy = (
                f"The folder {folder} is gone: put it back with its checkpoints, then run mhp-train --resume {folder}; "
                "if they are lost, begin a new run."
            )
        raise OutputError(weights, f"cannot be written ({why(cause)})", "", remedy) from cause
    return weights


def prune(folder: Path, every: int = 0) -> None:
    """Remove all checkpoints but the last, the best and those after each ``every`` epochs.

    What is left of a checkpoint that was never finished goes, too; nothing else in the folder is touched, nor what is
    of such a name and was not written by a run.
    """
    there = listing(folder)
    keep = {c.weights for c in (*there[-1:], best(folder)) if c is not None}
    for c in there:
        whole_epochs = c.position.iteration == 0 and every and c.position.epoch % every == 0
        if c.weights not in keep and not whole_epochs and _is_written(c.weights):
            c.weights.unlink()
    for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".json"):  # last: it says whose the others are
        part = parse_part(path.name)
        stem, dot, suffix = (part[0] if part else path.name).rpartition(".")
        if dot + suffix not in (".state", ".json", *SUFFIXES.values()) or not NAME.fullmatch(stem):
            continue
        left = part or not any(os.path.lexists(path.with_suffix(suffix)) for suffix in SUFFIXES.values())
        if left and (begins(path, *_STARTS) if part else _is_written(path)):
            path.unlink()


def _stem(position: Position, score: dict[str, float] | None) -> str:
    if position.iteration:
        return f"epoch_{position.epoch:04d}_iteration_{position.iteration:04d}"
    done = f"epoch_{position.epoch - 1:04d}"
    return done if score is None else f"{done}_mIoU_{score['mIoU']:.4f}"


def _is_written(path: Path) -> bool:
    """Whether a file of a checkpoint's name is one that a run wrote: a JSON of mhp's, or what the JSON beside it names;
    or it is empty, so that nothing is lost. Not a link."""
    start, beside = head(path, 1), path.with_suffix(".json")
    if not start or head(beside, 1) is None:
        return start == b""
    try:
        content = parse_json(read_regular(beside, MAX_BYTES).decode())
        return bool(content["format"] == FORMAT and (path == beside or path.name in content["files"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _is_whole(weights: Path) -> bool:
    try:
        verify(read(weights))
    except CheckpointError:
        return False
    return True
