"""Copy a run's checkpoints to object storage, and fetch them on another machine.

::

    s3://bucket/run/
        epoch_0105_mIoU_0.3974.pt, .state, .json     as in the run's folder (mhpmodels.files.checkpoint)
        steps.csv, epochs.csv, train.log             as they were at the last checkpoint
        run.json                                     the names of all complete checkpoints, the last one last

The rule: run.json is written after the objects that it names, and before those that it no longer names are deleted. It
always names complete checkpoints, and nothing need be listed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mhpdata.address import Address, parse_address
from mhpdata.errors import CheckpointError, OptionError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import replacing, write_atomically
from mhpdata.filesystem.ours import create
from mhpdata.filesystem.regular import read_regular
from mhpdata.options import check_path
from mhpdata.remote.store import look, read_object, read_range
from mhpdata.remote.writing import delete, put, put_file, read_if_there
from mhpdata.wording import error_in_words, writing
from mhpmodels.config import SUFFIXES
from mhpmodels.files.checkpoint import MAX_BYTES, NAME, listing, read, verify

FORMAT, VERSION, INDEX = "mhp-run", 1, "run.json"
_PIECE, _MOST = 1 << 23, 1 << 30
"""Bytes of a request, and of the largest table or log."""
_ON = "run the same command again"


def run_address(value: str | Address) -> Address:
    """Return the address of a run in object storage. Raises OptionError for anything else."""
    address = parse_address("copy_to", value)
    if address is None or address.scheme not in ("s3", "gs") or not address.key:
        found = str(address) if address else "a path"
        raise OptionError("copy_to", found, "an address such as s3://bucket/run", "Pass --save-dir for a local folder.")
    return address


def publish(folder: Path, address: Address, others: Sequence[str]) -> None:
    """Copy the complete checkpoints and other files of a run's folder; delete copies of removed checkpoints.

    Args:
        folder: folder of the run.
        address: address of the run.
        others: names of other files, which are copied each time.

    Raises:
        RemoteError, MissingError: an object cannot be written.
        CheckpointError: the index there is not one of a run.
    """
    before = _names(address)
    now = [one.weights.name for one in listing(folder)]
    for weights in (name for name in now if name not in before):
        for name in _files(weights):
            put_file(address / name, folder / name)
    for name in others:
        if (folder / name).is_file():
            put_file(address / name, folder / name)
    content = {"format": FORMAT, "version": VERSION, "checkpoints": now}
    put(address / INDEX, (json.dumps(content, indent=1) + "\n").encode())
    for weights in (name for name in before if name not in now):
        for name in _files(weights):
            delete(address / name)


def fetch(address: Address, folder: str | Path, others: Sequence[str], last_only: bool = False) -> Path | None:
    """Fetch the checkpoints of a run into a folder; those that are there already stay.

    Args:
        address: address of the run.
        folder: folder of the run, which is created.
        others: names of other files to fetch, if they are there.
        last_only: fetch the last checkpoint, and no others.

    Returns:
        The path of the last checkpoint's weights; None if there is no checkpoint.

    Raises:
        RemoteError, MissingError: an object cannot be read.
        CheckpointError: an object is not what a run wrote.
        OutputError: the folder cannot be written.
    """
    folder, names = check_path("save_dir", folder), _names(address)
    if not names:
        return None
    with writing(folder, _ON):
        folder.mkdir(parents=True, exist_ok=True)
        fetched = [_fetch_checkpoint(address, folder, name) for name in (names[-1:] if last_only else names)]
        for name in () if last_only else others:  # a later one of a killed run on this machine stays
            data = read_if_there(address / name, _MOST) if any(fetched) or not (folder / name).exists() else None
            if data is not None:
                write_atomically(folder / name, data)
    return folder / names[-1]


def _fetch_checkpoint(address: Address, folder: Path, weights: str) -> bool:
    """Fetch a checkpoint, its weights last; return False if it was there. Several processes may do so at once."""
    state, described, weights = _files(weights)
    path = folder / weights
    text = bytes(read_object(address / described, MAX_BYTES))
    beside = folder / described
    if path.exists() and beside.exists() and read_regular(beside, MAX_BYTES) == text:
        with suppress(CheckpointError):
            verify(read(path))
            return False
    with replacing(beside, shared=True) as unfinished, create(unfinished) as file:
        file.write(text)
    try:
        recorded = parse_json(text.decode())["files"]
        sizes = {name: (int(recorded[name][0]), str(recorded[name][1])) for name in (state, weights)}
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise _damaged(address / described, error_in_words(error)) from error
    for name, (size, digest) in sizes.items():
        _fetch_file(address / name, folder / name, size, digest)
    return True


def _fetch_file(address: Address, path: Path, size: int, digest: str) -> None:
    """Fetch an object of a known size and SHA-256."""
    version = look(address)
    if version.size != size:
        raise _damaged(address, f"has {version.size} bytes instead of {size}")
    summed = hashlib.sha256()
    with replacing(path, shared=True) as unfinished:
        with create(unfinished) as file:
            for start in range(0, size, _PIECE):
                piece = read_range(address, start, min(start + _PIECE, size), version)
                summed.update(piece)
                file.write(piece)
        if summed.hexdigest() != digest:
            raise _damaged(address, "has another SHA-256")


def _files(weights: str) -> tuple[str, str, str]:
    """Return the names of a checkpoint's files in the order in which they are copied."""
    stem = weights.rpartition(".")[0]
    return f"{stem}.state", f"{stem}.json", weights


def _names(address: Address) -> list[str]:
    """Return the names of the weights of the checkpoints in a run's index, checked; none if there is no index."""
    data = read_if_there(address / INDEX, MAX_BYTES)
    if data is None:
        return []
    try:
        content = parse_json(data.decode())
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {str(content['format'])[:40]}, version {str(content['version'])[:40]}")
        names = [str(name) for name in content["checkpoints"]]
        for name in names:
            stem, dot, suffix = name.rpartition(".")
            if not NAME.fullmatch(stem) or dot + suffix not in SUFFIXES.values():
                raise ValueError("a name of a checkpoint is invalid")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(address / INDEX, error_in_words(error)) from error
    return names


def _damaged(address: Address, found: str) -> CheckpointError:
    remedy = "Pass another --copy-to, or delete the objects there and start the run again."
    return CheckpointError(str(address), f"is damaged ({found})", "an object that mhp train wrote", remedy)
