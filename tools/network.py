"""Flags that several commands have: how a trained network is opened (mhp-eval, mhp-predict), and which images of a
split count (mhp-eval, mhp-score)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from mhpdata.settings.choosing import Choose
from mhpdata.settings.rules import options_of
from mhpmodels.engines.engine import ENGINES
from mhpmodels.recipe import BACKBONES, DTYPES, MODELS
from mhptools.flags import flag


def options_of_a_network(command: Any) -> Any:
    """Give a command the flags that say how a network is opened."""
    return _decorated(
        command,
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
        ),
    )


def options_of_the_images(command: Any) -> Any:
    """Give a command the flags that say which images count: fields of ``Choose``."""
    fields = options_of(Choose)
    return _decorated(command, [flag(*fields[name]) for name in ("protocol", "leak_free", "unseen")])


def _decorated(command: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    """The command with the flags, which its help shows in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command


def network_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of a run that were typed out of a command's arguments."""
    names = ("model", "backbone", "classes", "aux", "base_size", "engine", "dtype", "ngpus")
    typed = {name: value for name in names if (value := given.pop(name)) is not None}
    return {**typed, "ngpus": 0} if given.pop("no_cuda") else typed
