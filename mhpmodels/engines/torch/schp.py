"""Open SCHP's weights: names and shapes are compared with the network's before any memory is allocated for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mhpdata.errors import CheckpointError
from mhpmodels.engines.torch.weights import fit, own_names, read_weights
from mhpmodels.networks.schp.network import SCHP, classes_of


def read_schp(path: str | Path) -> dict[str, Tensor] | None:
    """Return the tensors of a file by SCHP's own names; None if they are not SCHP's.

    Raises:
        CheckpointError: the file cannot be read, holds more than tensors, numbers and text, or no named weights.
    """
    tensors = own_names(read_weights(path))
    return None if classes_of(_shapes(tensors)) is None else tensors


def build_schp(tensors: Mapping[str, Tensor], path: str | Path) -> nn.Module:
    """Return SCHP's network with these weights, as float32 on the CPU.

    Args:
        tensors: what ``read_schp`` returned.
        path: path of the file, for error messages.

    Raises:
        CheckpointError: names or shapes are not those of the network, or a number is non-finite.
    """
    classes = classes_of(_shapes(tensors))
    assert classes is not None, "read_schp"
    with torch.device("meta"):
        network = SCHP(classes)
    try:
        fit(network, tensors, path, assign=True)
    except CheckpointError as error:
        remedy = (
            "Pass the file as its authors published it (docs/weights.md); weights of a changed network need its own "
            "program."
        )
        raise error.at(path, remedy) from error
    return network.requires_grad_(False)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
