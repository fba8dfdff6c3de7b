"""Write a run's checkpoints, and remove those that are no longer needed.

The rule: the weights are renamed to their final name last and deleted first, so a checkpoint whose weights exist under
that name is complete (mhpmodels.files.checkpoint).

Only files that a run wrote are deleted or replaced (mhpdata.filesystem.ours). The JSON file names the other two, and is
written before they get their names. A file that no such JSON names, and any link, is treated as the user's own.
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
from mhpmodels.files.provenance import Provenance, to_fields

_STARTS = b"PK\3\4", params.START, b"\x93NUMPY", f'{{\n "format": "{FORMAT}"'.encode()
"""First bytes of a checkpoint's files: torch, MXNet, NumPy, JSON."""


def save(
    folder: Path,
    engine: Weights,
    position: Position,
    loader: dict[str, int],
    score: dict[str, float] | None = None,
    provenance: Provenance = (),
) -> Path:
    """Write a checkpoint and return the path of its weights.

    A complete checkpoint with this name is kept: a run that resumes writes the same one.

    Args:
        folder: folder of the run.
        engine: engine whose weights, state and config are saved.
        position, loader, score, provenance: as in ``Checkpoint``. With iteration 0, the file is named after the epoch
            that has just ended.

    Raises:
        OutputError: a file cannot be written.
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
        "provenance": to_fields(provenance),
    }
    try:
        with replacing(weights) as new_weights, replacing(state) as new_state:  # the weights are renamed last
            engine.save(new_weights)
            engine.save_state(new_state)
            unfinished = {state: new_state, weights: new_weights}
            content["files"] = {path.name: measure(new, sync=True) for path, new in unfinished.items()}
            write_atomically(folder / f"{stem}.json", json.dumps(content, indent=1) + "\n")
        sync_folder(folder)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error  # an engine raises a less specific remedy
        if not isinstance(cause, OSError):
            raise
        remedy = to_write(cause, weights, f"run mhp train --resume {folder} to resume from the previous checkpoint")
        if not folder.is_dir():
            remedy = (
                f"Restore the folder {folder} with its checkpoints, then run mhp train --resume {folder}; if they are "
                "lost, start a new run."
            )
        raise OutputError(weights, f"cannot be written ({why(cause)})", "", remedy) from cause
    return weights


def prune(folder: Path, every: int = 0) -> None:
    """Remove all checkpoints except the last one, the best one and one per ``every`` epochs (0: no others).

    Files of an unfinished checkpoint are removed, too. Other files stay, and so do files with a checkpoint's name that
    no run wrote.
    """
    complete = listing(folder)
    keep = {c.weights for c in (*complete[-1:], best(folder)) if c is not None}
    for c in complete:
        whole_epochs = c.position.iteration == 0 and every and c.position.epoch % every == 0
        if c.weights not in keep and not whole_epochs and _is_written(c.weights):
            c.weights.unlink()
    for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".json"):  # JSON last: it names the others
        unfinished = parse_part(path.name)
        stem, dot, suffix = (unfinished[0] if unfinished else path.name).rpartition(".")
        if dot + suffix not in (".state", ".json", *SUFFIXES.values()) or not NAME.fullmatch(stem):
            continue
        left = unfinished or not any(os.path.lexists(path.with_suffix(suffix)) for suffix in SUFFIXES.values())
        if left and (begins(path, *_STARTS) if unfinished else _is_written(path)):
            path.unlink()


def _stem(position: Position, score: dict[str, float] | None) -> str:
    if position.iteration:
        return f"epoch_{position.epoch:04d}_iteration_{position.iteration:04d}"
    done = f"epoch_{position.epoch - 1:04d}"
    return done if score is None else f"{done}_mIoU_{score['mIoU']:.4f}"


def _is_written(path: Path) -> bool:
    """Return whether a run wrote a file with a checkpoint's name: an mhp JSON, or a file that the JSON beside it names.

    An empty file counts as written by a run, since nothing is lost with it; a link does not.
    """
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
