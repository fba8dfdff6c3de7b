"""Options that several commands share.

mhp eval and mhp predict share those that open a trained network; mhp eval and mhp score those that select images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from mhpdata.settings.choosing import Choose
from mhpdata.settings.rules import options_of
from mhpmodels.engines.engine import ENGINES
from mhpmodels.models import BACKBONES, MODELS
from mhpmodels.networks.known import PRESETS
from mhpmodels.recipe import DTYPES
from mhptools.flags import flag
from mhptools.paths import INPUT, PATH

CHECKPOINT = click.option(
    "--checkpoint",
    "--resume",
    type=INPUT,
    help="Run folder or checkpoint of mhp train, or other weights: .params, .pt, SCHP's .pth, .onnx, or a "
    "folder of Hugging Face (SegFormer). --resume is GluonCV's name.",
)
PRETRAINED = click.option(
    "--pretrained",
    metavar="NAME",
    type=PATH,
    help="Published weights, instead of a file of yours: icnet_resnet50_mhpv1, GluonCV's, from its model store "
    "(~/.mxnet/models), or the path of that file. mhp fetch downloads them.",
)
OTHER_WEIGHTS = "Network (only for weights not saved by mhp train)"
"""Heading of the options OF_WEIGHTS."""
_FIELDS = ("model", "backbone", "classes", "aux", "base_size", "engine", "dtype", "ngpus")
"""Parameters that are options of a run."""
OF_WEIGHTS = (*_FIELDS[:4], "labels", "preprocessing")
"""Parameters that describe weights that mhp train did not save."""
ON_MACHINE = ("engine", "dtype", "ngpus", "no_cuda", "workers")
"""Parameters that select where a network runs."""


def options_of_a_network(command: Any) -> Any:
    """Give a command the options that open a trained network."""
    return _decorated(
        command,
        (
            click.option("--model", type=click.Choice(tuple(MODELS)), help="Network.  [default: icnet]"),
            click.option(
                "--backbone",
                type=click.Choice(BACKBONES),
                help="Backbone.  [default: that of --model, such as resnet50]",
            ),
            click.option("--classes", type=int, help="Number of classes.  [default: as in --data, or 19]"),
            click.option("--aux", is_flag=True, default=None, help="The weights include PSPNet's auxiliary head."),
            click.option(
                "--labels",
                metavar="SET",
                type=PATH,
                help="Label set of another program's weights: a name (mhp labels), or a JSON file with the names of "
                "the outputs.",
            ),
            click.option(
                "--preprocessing",
                type=click.Choice(tuple(PRESETS)),
                help="Input of an .onnx file of another program: RGB normalised by ImageNet's mean and deviation, to "
                "-1..1 or to 0..1, or as SCHP.  [default: imagenet]",
            ),
            click.option(
                "--base-size",
                type=int,
                help="Length of the short side of the resized image, in pixels. In training, the same number sets the "
                "long side.  [default: as trained, or 768]",
            ),
            click.option(
                "--multi-scale", is_flag=True, help="Average over six scales, 0.5 to 1.75, and their mirror images."
            ),
            click.option(
                "--window",
                type=int,
                help="Resized images with a longer side than this, in pixels, are processed in overlapping windows.  "
                "[default: 2048]",
            ),
            click.option("-j", "--workers", type=int, help="Number of decoding threads.  [default: one per core]"),
            click.option(
                "--engine",
                type=click.Choice(tuple(ENGINES)),
                help="Framework.  [default: as trained, or by the file's suffix]",
            ),
            click.option(
                "--dtype",
                type=click.Choice(DTYPES),
                help="Data type of the forward pass, where the engine supports it.  [default: as trained, or float32]",
            ),
            click.option(
                "--ngpus", type=int, help="Number of GPUs; 0 is the CPU.  [default: 1 if trained on GPUs, else 0]"
            ),
            click.option("--no-cuda", is_flag=True, help="Use the CPU; the same as --ngpus 0."),
        ),
    )


def options_of_the_images(command: Any) -> Any:
    """Give a command the options that select images: fields of ``Choose``."""
    fields = options_of(Choose)
    about, default = fields["leak_free"]
    no_training = f"{about.help[:-1]}; leaves test unchanged. To leave out images seen in training, use --unseen."
    leak_free = flag(about, default, help=no_training)
    return _decorated(command, [flag(*fields["protocol"]), leak_free, flag(*fields["unseen"])])


def _decorated(command: Any, options: Sequence[Callable[[Any], Any]]) -> Any:
    """Return the command with the options; its help shows them in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command


def network_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of a run from a command's arguments; return those that were typed."""
    typed = {name: value for name in _FIELDS if (value := given.pop(name)) is not None}
    return {**typed, "ngpus": 0} if given.pop("no_cuda") else typed


def take_hints(given: dict[str, Any], data: Any = None) -> Any:
    """Remove the options about other programs' weights from a command's arguments; return them as ``Hints``.

    Args:
        given: arguments of the command.
        data: manifest of the packed folder; None without one.
    """
    from mhpdata.label_sets.naming import table_of_labels
    from mhpmodels.prediction.foreign import Hints

    table = None if data is None else table_of_labels(data.labels)
    return Hints(given.pop("labels"), given.pop("preprocessing"), table)


def take_weights(checkpoint: str | None, pretrained: str | None, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Remove the options of a run from a command's arguments; return the weights to open, and the options for them.

    Args:
        checkpoint: value of --checkpoint.
        pretrained: value of --pretrained.
        given: arguments of the command; changed in place.
    """
    fields = network_fields(given)
    if (checkpoint is None) == (pretrained is None):
        raise click.UsageError("Give the weights: either --checkpoint runs/mhp/icnet/resnet50, or --pretrained NAME.")
    if pretrained is None:
        assert checkpoint is not None
        return checkpoint, fields
    from mhpmodels.prediction.pretrained import find_pretrained

    found = find_pretrained(pretrained, fields)
    return str(found.path), found.fields
