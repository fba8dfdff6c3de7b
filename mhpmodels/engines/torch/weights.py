"""Read and write files of weights, torch's or GluonCV's ``.params``, which their first bytes distinguish.

torch's files are zip archives of a pickle, which is read with ``weights_only``: it creates tensors, numbers and text,
and calls nothing. A network loads all of a file or nothing. Weights may be nested in a dict
(``{"state_dict": ..., "epoch": 3}``), and their names may have the prefixes of wrappers such as DDP.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from mhpdata.errors import CheckpointError, OutputError
from mhpdata.filesystem.descriptors import open_file
from mhpdata.filesystem.regular import open_regular
from mhpdata.wording import to_open, to_write, unread, why
from mhpmodels.config import PERSONS
from mhpmodels.files.params import EARLIER, START, read_params, to_torch_names
from mhpmodels.networks.architecture import to_fit
from mhpmodels.networks.torch_file import check_memory, load_tensors

_OURS = (
    "Pass a .pt or .params file that mhp train, mhp convert, GluonCV or torch.save(network.state_dict(), FILE) wrote."
)
_INSIDE = ("state_dict", "model_state_dict")
"""Keys under which training scripts save the weights, beside an epoch or an optimiser's state."""
_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes of DataParallel, DDP and AveragedModel, and of torch.compile."""
_AVERAGED = "n_averaged"
"""AveragedModel's counter, which has no prefix."""
_AUXILIARY = "auxlayer"
_COUNT = "num_batches_tracked"
"""Counter of a normalisation layer, which GluonCV does not have; optional in a file."""
_DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
"""Types that a network may have."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file by torch's names, on the CPU; ``own_names`` removes prefixes.

    Raises:
        CheckpointError: the file cannot be read, or holds no named weights.
    """
    with _opened(path) as file:
        first = file.read(len(START))
    if first == START:
        return {name: torch.from_numpy(array) for name, array in to_torch_names(read_params(path), str(path)).items()}
    tensors = read_tensors(path)
    if isinstance(tensors, dict):
        tensors = next((tensors[name] for name in _INSIDE if isinstance(tensors.get(name), dict)), tensors)
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors):
        raise CheckpointError(path, "holds no named weights", "named tensors, such as network.state_dict()", _OURS)
    _check_dense(tensors, path)
    return tensors


def own_names(tensors: Mapping[str, Tensor], known: Container[str] = ()) -> dict[str, Tensor]:
    """Return the tensors by the network's own names, without wrappers' prefixes that all of them have.

    Args:
        tensors: tensors by name.
        known: names in the network; if one tensor has such a name, no prefix is removed.
    """
    renamed, counter = dict(tensors), {name: tensors[name] for name in (_AVERAGED,) if name in tensors}
    while names := renamed.keys() - counter.keys():
        prefix = next((p for p in _WRAPPERS if all(name.startswith(p) for name in names)), None)
        if prefix is None or any(name in known for name in names):
            break
        renamed = {name.removeprefix(prefix): tensor for name, tensor in renamed.items() if name in names}
        counter = {}
    return renamed


def write_weights(path: str | Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict as contiguous tensors on the CPU. Raises OutputError."""
    # clone, because torch writes the whole memory that a view belongs to
    write_tensors(path, {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})


def fit(network: nn.Module, tensors: Mapping[str, Tensor], place: str | Path, assign: bool = False) -> None:
    """Load weights and running statistics into a network, ignoring prefixes of wrappers.

    PSPNet's auxiliary head and the heads of persons are ignored if the network has none.

    Args:
        network: network to change.
        tensors: tensors by name.
        place: path of the file, for error messages.
        assign: let the network keep these tensors, as float32, instead of copying them, for one on the device "meta".

    Raises:
        CheckpointError: names or shapes differ, a value is not a dense tensor of real numbers, or a number is
            non-finite; the network is unchanged.
    """
    _check_dense(tensors, place)
    tensors = own_names(tensors, network.state_dict())
    children = {name for name, _ in network.named_children()}
    ignored = {_AUXILIARY, PERSONS} - children
    tensors = {name: t for name, t in tensors.items() if name.partition(".")[0] not in ignored}
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in tensors.items()}
    other = [
        f"{name} is {given[name]}, not {wanted[name]}"
        for name in wanted
        if given.get(name, wanted[name]) != wanted[name]
    ]
    other += [f"{name} is missing" for name in wanted if name not in given and not name.endswith(_COUNT)]
    other += [f"{name} is not in this network" for name in given if name not in wanted and not name.endswith(_COUNT)]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        found = f"does not fit the network: {'; '.join(other[:3])}{more}"
        raise CheckpointError(place, found, "", to_fit(given, wanted))
    if assign:
        tensors = {name: tensor.float() for name, tensor in tensors.items() if name in wanted}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(place, f"{name} has infinities or NaN", "finite numbers", EARLIER)
    network.load_state_dict(tensors, strict=False, assign=assign)


def with_own_heads(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file, completed by the network's own heads of persons if the file has none."""
    own = own_names(tensors, network.state_dict())
    if any(name.startswith(f"{PERSONS}.") for name in own):
        return own
    heads = {name: t for name, t in network.state_dict().items() if name.startswith(f"{PERSONS}.")}
    return {**own, **heads} if heads else dict(tensors)


def _check_dense(tensors: Mapping[str, Any], place: str | Path) -> None:
    """Raise CheckpointError unless ``load_state_dict`` can copy all values, given the right shapes."""
    for name, value in tensors.items():
        dense = isinstance(value, Tensor) and not (value.is_nested or value.is_meta or value.layout != torch.strided)
        if not dense or value.dtype not in _DTYPES:
            description = f"an object of type {type(value).__name__}"
            if isinstance(value, Tensor):
                nested = "nested " if value.is_nested else ""
                description = f"a {nested}tensor of {value.dtype}, {value.layout}, on {value.device}"
            remedy = (
                "If it is a weight, save it with .to_dense().float(); otherwise omit it, as "
                "torch.save(network.state_dict(), FILE) does."
            )
            raise CheckpointError(place, f"{name} is {description}", "dense tensors of real numbers", remedy)
        check_memory(name, value, place)


def read_tensors(path: str | Path) -> Any:
    """Return the content of a file that ``write_tensors`` wrote, on the CPU. Raises CheckpointError."""
    remedy = (
        f"If this is a copy, copy {Path(path).name} again from its source; otherwise pass a file that "
        "mhp train or torch.save wrote. If it holds more than tensors, numbers and text, save only the "
        "weights: torch.save(network.state_dict(), FILE)."
    )
    with _opened(path) as file:
        return load_tensors(file, path, remedy)


def _opened(path: str | Path) -> BinaryIO:
    try:
        return os.fdopen(open_regular(path), "rb")
    except OSError as error:
        remedy = to_open(error, path, "a .pt or .params file, such as one that mhp train wrote")
        raise CheckpointError(path, unread(error), "weights", remedy) from error


def write_tensors(path: str | Path, content: Any) -> None:
    """Write tensors, numbers and text with torch. Raises OutputError."""
    try:
        with open_file(path, "wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError on a full disk
        if isinstance(error, OSError):
            raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error
        remedy = f"Free space on the disk of {Path(path).parent}, then run the same command again."
        raise OutputError(path, f"cannot be written ({error})", "", remedy) from error
