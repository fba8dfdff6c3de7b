"""Which network: told by a config, or by the names and shapes of a file of weights; and that network, built.

Importing this module imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.files.params import FITTING

DEPTHS = {(2, "conv2"): 18, (6, "conv2"): 34, (6, "conv3"): 50, (23, "conv3"): 101, (36, "conv3"): 152}
"""Blocks of layer3, and the last convolution of each -> layers."""
BACKBONES = tuple(f"resnet{layers}" for layers in DEPTHS.values())
"""Of ``config.BACKBONES``, those that are written for torch."""


@dataclass(frozen=True)
class Architecture:
    """What decides a network's parameters.

    Attributes:
        model: "icnet", "psp", or ``package.module:function`` of one's own.
        backbone: as ``config.BACKBONES``.
        classes: channels of the output.
        aux: PSPNet's auxiliary head is there.
    """

    model: str
    backbone: str
    classes: int
    aux: bool = False

    @staticmethod
    def of_config(config: TrainConfig) -> Architecture:
        """What a config asks for."""
        return Architecture(config.network.model, config.network.backbone, config.network.classes, config.network.aux)

    @staticmethod
    def of_weights(shapes: Mapping[str, tuple[int, ...]], place: str = "weights") -> Architecture:
        """What weights are of.

        Args:
            shapes: by name, GluonCV's or torch's.
            place: the file, for the error.

        Raises:
            CheckpointError: of neither PSPNet nor ICNet.
        """
        blocks = {name.split(".")[1] for name in shapes if name.startswith("layer3.")}
        last = "conv3" if "layer3.0.conv3.weight" in shapes else "conv2"
        depth = DEPTHS.get((len(blocks), last))
        for model, output in (("icnet", "head.conv_cls.weight"), ("psp", "head.block.4.weight")):
            if output in shapes and depth is not None:
                return Architecture(model, f"resnet{depth}", shapes[output][0], any("auxlayer" in n for n in shapes))
        found = f"{len(shapes)} arrays, such as {', '.join(list(shapes)[:3])}"
        remedy = "Pass weights of such a network, as mhp-train or GluonCV's net.save_parameters writes them."
        raise CheckpointError(place, found, "GluonCV's PSPNet or ICNet", remedy)

    def check(self) -> None:
        """Raises OptionError for a backbone that torch's PSPNet and ICNet do not have."""
        if ":" not in self.model and self.backbone not in BACKBONES:
            remedy = "Pass one of these, such as --backbone resnet50, or --engine mxnet."
            raise OptionError("backbone", f"{self.backbone} with engine torch", " or ".join(BACKBONES), remedy)


def build_network(architecture: Architecture, dropout: float, config: TrainConfig | None = None) -> Any:
    """The torch module, its convolutions drawn from torch's generator.

    Args:
        architecture: of one's own: the function is called with ``config`` and returns a module that takes float32
            (N, 3, H, W) and gives logits (N, classes, h, w), or a tuple of such, the main ones first; all are resized
            to the labels' size for the loss. Its attribute ``head_names``, if it has one, names the children that learn
            at the heads' rate.
        dropout: probability in the heads.

    Raises:
        OptionError: as ``Architecture.check``.
        EngineError: there is no such function, or it gives no module.
    """
    architecture.check()
    from torch import nn

    from mhpmodels.networks.icnet import ICNet
    from mhpmodels.networks.pspnet import PSPNet
    from mhpmodels.networks.resnet import initialise

    if ":" in architecture.model:
        network = _find_function(architecture.model)(config)
        if not isinstance(network, nn.Module):
            remedy = "Let the function return the network, a torch.nn.Module."
            raise EngineError(f"model {architecture.model}", f"gave a {type(network).__name__}", "a network", remedy)
        return network
    if architecture.model == "psp":
        network = PSPNet(architecture.classes, architecture.backbone, architecture.aux, dropout)
    else:
        network = ICNet(architecture.classes, architecture.backbone, dropout)
    initialise(network)
    return network


def to_fit(there: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """What to do about weights of another network: the options to pass, where the shapes tell them.

    Args:
        there: of the file, by name.
        wanted: of the network.
    """
    try:
        file, network = Architecture.of_weights(there), Architecture.of_weights(wanted)
    except (CheckpointError, IndexError):  # no shape at all
        return FITTING
    resnest = "layer3.0.conv2.conv.weight"  # whose blocks are as many as a ResNet's
    options = [f"--model {file.model}"] * (file.model != network.model)
    if (resnest in there) != (resnest in wanted):
        options.append("the --backbone that it was made with")
    elif file.backbone != network.backbone:
        options.append(f"--backbone {file.backbone}")
    if network.aux and not file.aux:
        options.append("no --aux (leave it out)")
    if file.classes != network.classes:
        options.append(f"--classes {file.classes} (mhp-train: a --data of {file.classes} classes)")
    if not options or (resnest in there and file.backbone != network.backbone):
        return FITTING
    return f"The file is of another network. To use it, pass {', '.join(options)}; for this network, other weights."


def _find_function(name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)
    except AttributeError as error:
        remedy = f"Correct the name after the colon: the name of a function that {module} defines."
        raise EngineError(f"model {name}", f"the module {module} has no {function}", "", remedy) from error
    except (ImportError, ValueError) as error:
        remedy = "Pass --model package.module:function, and set PYTHONPATH to the folder that holds this package."
        raise EngineError(f"model {name}", f"the module cannot be imported ({error})", "", remedy) from error
