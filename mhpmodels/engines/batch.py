"""Checks of a batch, weights of the outputs in the loss, and remedies, shared by all engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpdata.labels import IGNORE
from mhpdata.wording import counted
from mhpmodels.config import MULTIPLE
from mhpmodels.models import MODELS

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

LEAST = {name: model.least for name, model in MODELS.items()}
"""Smallest side of an image, in pixels, by model."""
_RANK_STRIDE = 0x9E3779B1  # odd, so the seeds of ranks differ


def check_shapes(images: NDArray[Any], labels: NDArray[np.uint8]) -> None:
    """Raise EngineError unless images are float32 (N, 3, H, W) or uint8 (N, H, W, 3), for labels (N, H, W)."""
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
    """Raise EngineError unless the network supports images of this size; user-defined networks are not checked."""
    multiple, least = MULTIPLE.get(model, 1) if training else 1, LEAST.get(model, 1)
    if height % multiple or width % multiple or min(height, width) < least:
        expected = f"sides that are {f'multiples of {multiple}, ' if training else ''}at least {least} pixels"
        lowest = -(-least // multiple) * multiple
        remedy = "Pad the images with 0 at the bottom and on the right."
        if training:
            remedy = f"Pass --crop-size {lowest} or a larger multiple of {multiple}."
        raise EngineError("images", f"{height} x {width} (height x width) for {model}", expected, remedy)


def wrong_labels(values: Sequence[int], pixels: int, classes: int) -> EngineError:
    """Return the error for out-of-range labels.

    Args:
        values: out-of-range labels in this process; may be empty.
        pixels: number of pixels with such labels, in all processes.
        classes: number of classes of the network.
    """
    named = f"label {', '.join(map(str, values[:5]))}" if values else "another label"
    number = max(values) + 1 if values else "..."
    remedy = (
        f"Set such pixels to {IGNORE} to ignore them, or pass TrainConfig.of(classes={number}) if your data have more "
        "classes; mhp verify --deep finds such labels in a packed folder."
    )
    expected = f"labels 0 to {classes - 1}, or {IGNORE}"
    return EngineError("labels", f"{named} in {counted(pixels, 'pixel')}", expected, remedy)


def less_memory(config: TrainConfig, training: bool) -> str:
    """Return the remedy for a batch that does not fit in memory, as a sentence."""
    if not training:
        return "Pass a smaller --window, such as 1024."
    multiple = MULTIPLE.get(config.network.model, 1)
    crop = max(LEAST.get(config.network.model, 1), config.view.size // 2 // multiple * multiple)
    batch = config.optim.batch_size // 2 // config.machine.contexts * config.machine.contexts
    ways = [f"--batch-size {batch}"] * bool(batch) + [f"--crop-size {crop}"] * (crop < config.view.size)
    if config.machine.engine == "torch":
        ways.append(f"--accumulate {2 * config.optim.accumulate}, which keeps the batch size")
    return f"Pass {', or '.join(ways)}." if ways else "Free memory on the device, or use a larger device."


def to_have(name: str, url: str) -> str:
    """Return the remedy for pretrained weights that cannot be downloaded.

    Args:
        name: name of the file inside the archive.
        url: address of the archive.
    """
    return (
        f"If this machine is offline, download {url} on another, extract {name} and pass its path as "
        "--pretrained-base; otherwise run the same command again, or omit --pretrained-base to use random weights."
    )


def seed_of_rank(seed: int, rank: int) -> int:
    """Return the seed of a step's random draws for a rank, 0..2**31-1."""
    return (seed + rank * _RANK_STRIDE) % 2**31


def output_weights(config: TrainConfig, outputs: int) -> tuple[float, ...]:
    """Return the weights of the outputs in the gradient.

    With the GluonCV recipe all are 1: MXNet's SoftmaxOutput makes GluonCV ignore its own weights.
    """
    return (1.0,) * outputs if config.run.old_recipe else printed_weights(config, outputs)


def printed_weights(config: TrainConfig, outputs: int) -> tuple[float, ...]:
    """Return the weights of the outputs in the reported loss: those of the config, also with the GluonCV recipe."""
    others = (
        config.loss.branch_weights if config.network.model == "icnet" else (config.loss.aux_weight,) * (outputs - 1)
    )
    return (1.0, *others)[:outputs]
