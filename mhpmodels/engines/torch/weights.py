"""Files of weights: torch's own, or GluonCV's ``.params``; told apart by their first bytes.

torch's are zip files with a pickle inside, which is read with ``weights_only``: it makes tensors and plain values, and
calls nothing. A network takes all of a file or nothing. Weights may lie in a dict beside other things
(``{"state_dict": ..., "epoch": 3}``), and their names may have the prefixes of what the network was wrapped in.
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
from mhpdata.wording import to_open, to_write, why
from mhpmodels.files.params import EARLIER, MAX_BYTES, START, read_params, to_torch_names
from mhpmodels.networks.architecture import to_fit

_OURS = (
    "Pass a .pt or .params file that mhp-train, mhp-convert or GluonCV wrote; of a network of your own, one that "
    "torch.save(network.state_dict(), FILE) wrote."
)
_INSIDE = ("state_dict", "model_state_dict")
"""Names under which training scripts keep the weights beside an epoch, an optimiser's state and the like."""
_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes of names: DataParallel's, DDP's and AveragedModel's; torch.compile's."""
_AVERAGED = "n_averaged"
"""AveragedModel's counter, which lies beside the prefixed names."""
_AUXILIARY = "auxlayer"
_COUNT = "num_batches_tracked"
"""A norm's, which GluonCV does not keep: taken where it is there."""
_DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
"""What a network may have."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file, by torch's names, on the CPU; ``own_names`` takes prefixes away.

    Raises:
        CheckpointError: the file cannot be read, or is of neither kind.
    """
    with _opened(path) as file:
        first = file.read(len(START))
    if first == START:
        return {name: torch.from_numpy(array) for name, array in to_torch_names(read_params(path), str(path)).items()}
    tensors = read_tensors(path)
    if isinstance(tensors, dict):
        tensors = next((tensors[name] for name in _INSIDE if isinstance(tensors.get(name), dict)), tensors)
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors):
        raise CheckpointError(path, "holds no weights by name", "tensors by name, as network.state_dict() gives", _OURS)
    _check_plain(tensors, path)
    return tensors


def own_names(tensors: Mapping[str, Tensor], known: Container[str] = ()) -> dict[str, Tensor]:
    """The tensors by the names that the network itself has, without prefixes that all of them have.

    Args:
        tensors: by name.
        known: names of the network; where a tensor has one of these, all keep theirs.
    """
    found, counter = dict(tensors), {name: tensors[name] for name in (_AVERAGED,) if name in tensors}
    while names := found.keys() - counter.keys():
        prefix = next((p for p in _WRAPPERS if all(name.startswith(p) for name in names)), None)
        if prefix is None or any(name in known for name in names):
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name in names}
        counter = {}
    return found


def write_weights(path: str | Path, state: Mapping[str, Tensor]) -> None:
    """Writes a state dict of contiguous tensors on the CPU. Raises OutputError."""
    # a clone: torch would write all of the memory that a tensor is a view of
    write_tensors(path, {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})


def fit(network: nn.Module, tensors: Mapping[str, Tensor], place: str | Path) -> None:
    """Give a network its weights and running statistics, whatever it was wrapped in when they were saved.

    PSPNet's auxiliary head is left out where the network has none.

    Raises:
        CheckpointError: names or shapes differ, something is no plain tensor, or a number is not finite; the network is
            as it was.
    """
    _check_plain(tensors, place)
    tensors = own_names(tensors, network.state_dict())
    children = {name for name, _ in network.named_children()}
    if _AUXILIARY not in children:
        tensors = {name: t for name, t in tensors.items() if name.partition(".")[0] != _AUXILIARY}
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    there = {name: tuple(t.shape) for name, t in tensors.items()}
    other = [
        f"{name} is {there[name]}, not {wanted[name]}"
        for name in wanted
        if there.get(name, wanted[name]) != wanted[name]
    ]
    other += [f"{name} is missing" for name in wanted if name not in there and not name.endswith(_COUNT)]
    other += [f"{name} is not of this network" for name in there if name not in wanted and not name.endswith(_COUNT)]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        found = f"does not fit the network: {'; '.join(other[:3])}{more}"
        raise CheckpointError(place, found, "", to_fit(there, wanted))
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(place, f"{name} is not finite", "finite numbers", EARLIER)
    network.load_state_dict(tensors, strict=False)


def _check_plain(tensors: Mapping[str, Any], place: str | Path) -> None:
    """Raises CheckpointError unless ``load_state_dict`` can copy all of them, if their shapes are right."""
    for name, value in tensors.items():
        plain = isinstance(value, Tensor) and not (value.is_nested or value.is_meta or value.layout != torch.strided)
        if not plain or value.dtype not in _DTYPES:
            kind = type(value).__name__
            if isinstance(value, Tensor):
                nested = "nested " if value.is_nested else ""
                kind = f"a {nested}tensor of {value.dtype}, {value.layout}, on {value.device}"
            remedy = (
                "If it is a weight, save it as a plain tensor, as to_dense().float() gives; otherwise leave it out: "
                "torch.save(network.state_dict(), FILE) writes the weights only."
            )
            raise CheckpointError(place, f"{name} is {kind}", "plain tensors of real numbers", remedy)


def read_tensors(path: str | Path) -> Any:
    """Whatever tensors and plain values ``write_tensors`` wrote, on the CPU. Raises CheckpointError."""
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise CheckpointError(path, f"is larger than {MAX_BYTES} bytes", "weights", _OURS)
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch's reader raises whatever it stumbles over
            found, expected = "cannot be read: damaged, or no file of torch", "a file that torch.save wrote"
            remedy = (
                f"If this is a copy, copy {Path(path).name} once more from where it was written; otherwise pass a file "
                "that mhp-train or torch.save wrote. If it holds more than tensors, numbers and text, save the weights "
                "alone where it was made: torch.save(network.state_dict(), FILE)."
            )
            raise CheckpointError(path, found, expected, remedy) from error


def _opened(path: str | Path) -> BinaryIO:
    try:
        return os.fdopen(open_regular(path), "rb")
    except OSError as error:
        remedy = to_open(error, path, "a .pt or .params file, such as one that mhp-train wrote")
        raise CheckpointError(path, f"cannot be read ({why(error)})", "weights", remedy) from error


def write_tensors(path: str | Path, content: Any) -> None:
    """Writes tensors and plain values. Raises OutputError."""
    try:
        with open_file(path, "wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch's writer tells a full disk by a RuntimeError
        if isinstance(error, OSError):
            raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error
        remedy = f"See that the disk of {Path(path).parent} has room, then run the same command again."
        raise OutputError(path, f"cannot be written ({error})", "", remedy) from error
