"""What all engines ask of a batch, and what weighs in its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpmodels.config import MULTIPLE

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

LEAST = {"psp": 8, "icnet": 32}
"""Pixels a side: below, ICNet's smallest branch has none left."""
_RANK_STRIDE = 0x9E3779B1  # odd, so that seeds of ranks stay apart


def check_shapes(images: NDArray[Any], labels: NDArray[np.uint8]) -> None:
    """Raises EngineError unless images are float32 (N, 3, H, W) or uint8 (N, H, W, 3), for labels (N, H, W)."""
    batch, height, width = labels.shape
    shapes = {"float32": (batch, 3, height, width), "uint8": (batch, height, width, 3)}
    if shapes.get(str(images.dtype)) != images.shape:
        found = f"{images.dtype} {images.shape} with labels {labels.shape}"
        raise EngineError(
            "images",
            found,
            " or ".join(f"{dtype} {shape}" for dtype, shape in shapes.items()),
            'Pass images and labels of one batch of mhpdata.Loader(..., dtype="float32") or "uint8".',
        )


def check_size(model: str, height: int, width: int, training: bool) -> None:
    """Raises EngineError unless the network can take images of this size; one of somebody's own says so itself."""
    step, least = MULTIPLE.get(model, 1) if training else 1, LEAST.get(model, 1)
    if height % step or width % step or min(height, width) < least:
        expected = f"{f'multiples of {step}, ' if training else ''}at least {least}"
        lowest = -(-least // step) * step
        remedy = f"Pass --crop-size {lowest} or a larger multiple of {step}." if training else "Make the images larger."
        raise EngineError("images", f"{height} x {width} for {model}", f"{expected} pixels a side", remedy)


def seed_of_rank(seed: int, rank: int) -> int:
    """The seed of a step's own randomness in one of several processes, 0..2**31-1."""
    return (seed + rank * _RANK_STRIDE) % 2**31


def output_weights(config: TrainConfig, outputs: int) -> tuple[float, ...]:
    """Of the losses of a network's outputs; in GluonCV all weigh 1, whatever it is told (MXNet's SoftmaxOutput)."""
    if config.old_recipe:
        return (1.0,) * outputs
    others = config.branch_weights if config.model == "icnet" else (config.aux_weight,) * (outputs - 1)
    return (1.0, *others)[:outputs]
