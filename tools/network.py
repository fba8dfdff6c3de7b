"""The flags that say how a trained network is opened, for mhp-eval and mhp-predict alike."""

from __future__ import annotations

from typing import Any

import click

from mhpmodels.config import BACKBONES, DTYPES, MODELS
from mhpmodels.engines import ENGINES


def options_of_a_network(command: Any) -> Any:
    """Give a command the flags."""
    for decorate in reversed(
        (
            click.option("--model", type=click.Choice(MODELS), help="Of bare weights.  [default: icnet]"),
            click.option("--backbone", type=click.Choice(BACKBONES), help="Of bare weights.  [default: resnet50]"),
            click.option("--classes", type=int, help="Outputs of bare weights.  [default: the dataset's classes]"),
            click.option("--aux", is_flag=True, default=None, help="Bare weights have PSPNet's auxiliary head."),
            click.option("--base-size", type=int, help="Short side of whole images.  [default: as trained, or 768]"),
            click.option("--multi-scale", is_flag=True, help="Six scales, 0.5 to 1.75, each with its mirror image."),
            click.option("--window", type=int, help="Cut images with a longer side into pieces.  [default: 2048]"),
            click.option("--workers", type=int, help="Threads that decode.  [default: one for each core]"),
            click.option("--engine", type=click.Choice(tuple(ENGINES)), help="Framework.  [default: as trained]"),
            click.option("--dtype", type=click.Choice(DTYPES), help="Of the forward pass, where the engine has it."),
            click.option("--ngpus", type=int, help="GPUs; 0 is the CPU.  [default: 1 where trained on any]"),
            click.option("--no-cuda", is_flag=True, help="The CPU: --ngpus 0."),
        )
    ):
        command = decorate(command)
    return command


def network_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Take the fields of TrainConfig that were typed out of a command's arguments."""
    names = ("model", "backbone", "classes", "aux", "base_size", "engine", "dtype", "ngpus")
    typed = {name: value for name in names if (value := given.pop(name)) is not None}
    return {**typed, "ngpus": 0} if given.pop("no_cuda") else typed
