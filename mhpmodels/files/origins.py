"""Find the provenance of a file of weights; determine that of a run, and write that of converted weights.

::

    epoch_0105_mIoU_0.3974.pt    epoch_0105_mIoU_0.3974.json        a checkpoint: under "provenance"
    icnet.params                 icnet.params.provenance.json       written by mhp convert

``.params`` files have no room for it, and a ``.pt`` file holds nothing but tensors, so that other programs load both.

The rule: a description counts only for the bytes that it names. Weights that were replaced have none.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mhpdata.errors import CheckpointError, OutputError
from mhpdata.fields import count_at, digest_at, field_of, parse_json
from mhpdata.filesystem.atomic import write_atomically
from mhpdata.filesystem.ours import begins, in_the_way
from mhpdata.filesystem.regular import read_regular
from mhpdata.wording import error_in_words, to_replace, to_write, unread, why
from mhpmodels.config import TrainConfig
from mhpmodels.files import checkpoint
from mhpmodels.files.checkpoint import MAX_BYTES, Checkpoint, measure
from mhpmodels.files.packaged import PACKAGES, find_in_package
from mhpmodels.files.provenance import Origin, Provenance, WeightFile, parse_provenance, to_fields
from mhpmodels.hub_folder import only_file
from mhpmodels.recipe import PACKAGE

FORMAT, VERSION, SUFFIX = "mhp-provenance", 1, ".provenance.json"
STORE = "store"
"""The --pretrained-base that is no file."""
_START = f'{{\n "format": "{FORMAT}"'.encode()
_log = logging.getLogger(__name__)


def measured(path: Path) -> WeightFile:
    """Return the name, bytes and SHA-256 of a file; only the name of a folder, or of a file that cannot be read."""
    try:
        return WeightFile(path.name, *measure(path))
    except OSError:
        return WeightFile(path.name)


def origins_of(path: Path, file: WeightFile | None = None) -> Provenance:
    """Return the provenance of a file of weights; empty if none is recorded for these bytes.

    What lies beside weights of other programs may be anything, so a file that cannot be read is only a warning.

    Args:
        path: the file.
        file: ``measured(path)``, if it is known.
    """
    file = measured(path) if file is None else file
    try:
        if path.with_suffix(".json").exists():
            trained = checkpoint.read(path)
            described, provenance = trained.files.get(path.name), trained.provenance
        elif _beside(path).exists():
            described, provenance = _read(_beside(path))
        else:
            return ()
    except CheckpointError as error:
        _log.warning("%s: its origin is unknown: %s", path, error)
        return ()
    if described != (file.bytes, file.sha256):
        _log.warning("%s: has other bytes than the file beside it describes, so its origin is unknown", path)
        return ()
    return provenance


def begun_with(config: TrainConfig, weights: str | Path | None, now: Origin) -> Provenance:
    """Return the provenance of a new run.

    Args:
        config: configuration of the run.
        weights: file that it begins with; None for random weights.
        now: the run's own origin, to which the files that it begins with are added.
    """
    base = config.network.pretrained_base
    if base is not None:
        now = replace(now, backbone=_backbone(base, config.network.backbone))
    if weights is None:
        return (now,)
    file = measured(Path(weights))
    return (*origins_of(Path(weights), file), replace(now, weights=file))


def continued(begun: Checkpoint, now: Origin) -> Provenance:
    """Return the provenance of a run that resumes from a checkpoint.

    With the data and the mhp that it had, it is that of the checkpoint, and so that of an uninterrupted run.
    """
    for last in begun.provenance[-1:]:
        pairs = list(zip_longest(last.data, now.data))
        if last.mhp == now.mhp and all(one and other and one.is_same(other) for one, other in pairs):
            return begun.provenance
    return (*begun.provenance, now)


def check_origins(path: Path) -> None:
    """Raise OutputError if ``write_origins`` would replace a file that mhp did not write."""
    beside = _beside(path)
    if beside.is_symlink() or (beside.exists() and not begins(beside, _START)):
        raise in_the_way(beside, "or pass another name for the weights")


def write_origins(path: Path, unfinished: Path, provenance: Provenance) -> None:
    """Describe converted weights in a file beside them.

    Args:
        path: final path of the weights.
        unfinished: where they are until they are renamed.
        provenance: their provenance.

    Raises:
        OutputError: the file cannot be written, or another one has its name.
    """
    check_origins(path)
    size, digest = measure(unfinished)
    weights = {"name": path.name, "bytes": size, "sha256": digest}
    content = {"format": FORMAT, "version": VERSION, "weights": weights, "provenance": to_fields(provenance)}
    beside = _beside(path)
    try:
        write_atomically(beside, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise OutputError(beside, f"cannot be written ({why(error)})", "", to_write(error, beside)) from error


def _backbone(base: str, backbone: str) -> WeightFile:
    """Return the file that a --pretrained-base means; only a name for what lies in a store, on the hub, or in parts."""
    if base == STORE:
        return WeightFile(base)
    if base == PACKAGE and backbone in PACKAGES:
        return measured(find_in_package(backbone))
    path = Path(base).expanduser()
    name = only_file(path)
    if name is None:
        return measured(path)
    return replace(measured(path / name), name=f"{path.name}/{name}".removeprefix("/"))


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _read(beside: Path) -> tuple[tuple[int, str], Provenance]:
    """Return bytes and SHA-256 of the weights that a file describes, and their provenance."""
    try:
        content: Any = parse_json(read_regular(beside, MAX_BYTES).decode())
        if (field_of(content, "format", ""), field_of(content, "version", "")) != (FORMAT, VERSION):
            raise ValueError(f"its format is not {FORMAT}, version {VERSION}")
        weights = field_of(content, "weights", "")
        described = (
            count_at(field_of(weights, "bytes", "weights"), "weights.bytes"),
            digest_at(field_of(weights, "sha256", "weights"), "weights.sha256"),
        )
        return described, parse_provenance(field_of(content, "provenance", ""))
    except (OSError, ValueError, RecursionError) as error:
        remedy = f"Copy {beside.name} again, or move it elsewhere to use the weights without their origin."
        found = f"is damaged ({error_in_words(error)})"
        if isinstance(error, OSError):
            found, remedy = unread(error), to_replace(error, beside, remedy)
        raise CheckpointError(beside, found, "JSON written by mhp convert", remedy) from error
