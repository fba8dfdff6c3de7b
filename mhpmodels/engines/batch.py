"""What all engines ask of a batch, and what weighs in its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpdata.labels import IGNORE
from mhpdata.wording import counted
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
            'Pass images and labels of one batch of mhpdata.Loader(..., output=Output(dtype="float32")) or "uint8".',
        )


def check_size(model: str, height: int, width: int, training: bool) -> None:
    """Raises EngineError unless the network can take images of this size; one of somebody's own says so itself."""
    step, least = MULTIPLE.get(model, 1) if training else 1, LEAST.get(model, 1)
    if height % step or width % step or min(height, width) < least:
        expected = f"{f'multiples of {step}, ' if training else ''}at least {least}"
        lowest = -(-least // step) * step
        remedy = f"Pass images of at least {least} pixels a side; padded with 0 below and to the right, these fit, too."
        if training:
            remedy = f"Pass --crop-size {lowest} or a larger multiple of {step}."
        raise EngineError("images", f"{height} x {width} for {model}", f"{expected} pixels a side", remedy)


def wrong_labels(values: Sequence[int], pixels: int, classes: int) -> EngineError:
    """The error of labels that are no classes of the network.

    Args:
        values: those of this process; may be none.
        pixels: how many have them, in all processes.
    """
    named = f"label {', '.join(map(str, values[:5]))}" if values else "another label"
    having = f"if your data really have {max(values) + 1} classes, pass TrainConfig.of(classes={max(values) + 1})"
    if not values:
        having = "if your data have more classes, pass their number as TrainConfig.of(classes=...)"
    remedy = (
        f"Set such pixels to {IGNORE}, which is not counted; {having}. In a packed folder mhp-verify --deep finds such "
        "labels."
    )
    expected = f"labels 0 to {classes - 1}, or {IGNORE}"
    return EngineError("labels", f"{named} in {counted(pixels, 'pixel')}", expected, remedy)


def less_memory(config: TrainConfig, training: bool) -> str:
    """How a batch takes less memory; a sentence."""
    if not training:
        return "Pass a smaller --window, such as 1024."
    step = MULTIPLE.get(config.network.model, 1)
    crop = max(LEAST.get(config.network.model, 1), config.view.size // 2 // step * step)
    batch = config.optim.batch_size // 2 // config.machine.contexts * config.machine.contexts
    ways = [f"--batch-size {batch}"] * bool(batch) + [f"--crop-size {crop}"] * (crop < config.view.size)
    if config.machine.engine == "torch":
        ways.append(f"--accumulate {2 * config.optim.accumulate}, which keeps the batch")
    return f"Pass {', or '.join(ways)}." if ways else "Free memory on the device, or use a larger one."


def to_have(name: str, url: str) -> str:
    """What to do about a file of a backbone's weights that cannot be downloaded: a sentence for --pretrained-base.

    Args:
        name: of the file, which is in the archive at ``url``.
    """
    return (
        f"If this machine is offline, download {url} on another, extract {name} from it and pass its path as "
        "--pretrained-base; otherwise run the same command again. Without --pretrained-base the weights begin random."
    )


def seed_of_rank(seed: int, rank: int) -> int:
    """The seed of a step's own randomness in one of several processes, 0..2**31-1."""
    return (seed + rank * _RANK_STRIDE) % 2**31


def output_weights(config: TrainConfig, outputs: int) -> tuple[float, ...]:
    """Of the losses of a network's outputs; in GluonCV all weigh 1, whatever it is told (MXNet's SoftmaxOutput)."""
    return (1.0,) * outputs if config.run.old_recipe else printed_weights(config, outputs)


def printed_weights(config: TrainConfig, outputs: int) -> tuple[float, ...]:
    """The same weights in the loss that is reported: those that were asked for, in GluonCV, too."""
    others = (
        config.loss.branch_weights if config.network.model == "icnet" else (config.loss.aux_weight,) * (outputs - 1)
    )
    return (1.0, *others)[:outputs]
