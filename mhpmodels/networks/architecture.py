"""Determine a network from a config, or from the names and shapes of its weights, and build it.

Importing this module imports no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mhpdata.errors import CheckpointError, OptionError
from mhpdata.wording import either
from mhpmodels.config import PERSONS, TrainConfig
from mhpmodels.files.params import FITTING
from mhpmodels.models import EFFICIENTNET, GLUONCV

DEPTHS = {(2, "conv2"): 18, (6, "conv2"): 34, (6, "conv3"): 50, (23, "conv3"): 101, (36, "conv3"): 152}
"""{(number of blocks in layer3, last convolution of a block): depth of the ResNet}."""
BACKBONES = (*(f"resnet{layers}" for layers in DEPTHS.values()), EFFICIENTNET)
"""Backbones of PSPNet and ICNet that exist for torch."""


@dataclass(frozen=True)
class Architecture:
    """The choices that determine a network's parameters.

    Attributes:
        model: a name of ``mhpmodels.models.MODELS``, or ``package.module:function`` for a user-defined network.
        backbone: a name of ``mhpmodels.models.BACKBONES``, or the path of a folder.
        classes: number of channels of the output.
        aux: whether PSPNet has its auxiliary head.
        persons: whether the network has the heads that tell persons apart.
        described: ``config.json`` of the folder that is the backbone, as text.
    """

    model: str
    backbone: str
    classes: int
    aux: bool = False
    persons: bool = False
    described: str | None = None

    @staticmethod
    def of_config(config: TrainConfig) -> Architecture:
        """Return the architecture of a config."""
        network = config.network
        heads = (network.aux, network.persons)
        return Architecture(network.model, network.backbone, network.classes, *heads, network.described)

    @staticmethod
    def of_weights(shapes: Mapping[str, tuple[int, ...]], place: str = "weights") -> Architecture:
        """Return the architecture of weights.

        Args:
            shapes: {name: shape}, with GluonCV's or torch's names.
            place: path of the file, for error messages.

        Raises:
            CheckpointError: the weights are neither PSPNet's nor ICNet's.
        """
        blocks = {name.split(".")[1] for name in shapes if name.startswith("layer3.")}
        last = "conv3" if "layer3.0.conv3.weight" in shapes else "conv2"
        depth = DEPTHS.get((len(blocks), last))
        backbone = EFFICIENTNET if "layer4.0.depthwise.weight" in shapes else f"resnet{depth}" if depth else None
        for model, output in (("icnet", "head.conv_cls.weight"), ("psp", "head.block.4.weight")):
            if output in shapes and backbone is not None:
                aux, persons = (any(name.startswith(f"{child}.") for name in shapes) for child in ("auxlayer", PERSONS))
                return Architecture(model, backbone, shapes[output][0], aux, persons)
        found = f"{len(shapes)} arrays, such as {', '.join(list(shapes)[:3])}"
        remedy = "Pass weights that mhp train or GluonCV's net.save_parameters wrote."
        raise CheckpointError(place, found, "weights of PSPNet or ICNet with GluonCV's names", remedy)

    def check(self) -> None:
        """Raise OptionError if the backbone does not exist for torch."""
        if self.model in GLUONCV and self.backbone not in BACKBONES:
            remedy = "Pass one of these, such as --backbone resnet50, or --engine mxnet."
            raise OptionError("backbone", f"{self.backbone} with engine torch", either(BACKBONES), remedy)


def build_network(architecture: Architecture, dropout: float, config: TrainConfig | None = None) -> Any:
    """Build the torch module, with convolution weights drawn from torch's global generator.

    The function of a user-defined network is called with ``config``. It returns a module that maps float32 (N, 3, H, W)
    to logits (N, classes, h, w), or to a tuple of logits with the main output first; the loss resizes them to the
    labels' size. With ``config.network.persons`` it returns a pair of these logits and a tensor (N, 3, h, w): centre
    heatmap, and offset down and to the right in units of OFFSET_UNIT pixels, computed by a child named ``persons``. An
    optional attribute ``head_names`` lists the children that train at the heads' learning rate.

    Args:
        architecture: the network to build.
        dropout: dropout probability in the heads, 0..1.
        config: passed to the function of a user-defined network.

    Returns:
        A ``torch.nn.Module`` on the CPU.

    Raises:
        OptionError: as for ``Architecture.check``, or the function is missing, raises, or does not return a module.
    """
    architecture.check()
    from mhpmodels.networks.backbones.backbone import initialise
    from mhpmodels.networks.icnet import ICNet
    from mhpmodels.networks.own import build_own, is_own
    from mhpmodels.networks.persons import PersonHeads
    from mhpmodels.networks.pspnet import PSPNet

    if is_own(architecture.model):
        return build_own(architecture.model, config)
    if architecture.model not in GLUONCV:
        return _build_of_transformers(architecture, dropout, config)
    if architecture.model == "psp":
        network = PSPNet(architecture.classes, architecture.backbone, architecture.aux, dropout)
    else:
        network = ICNet(architecture.classes, architecture.backbone, dropout)
    initialise(network)
    if architecture.persons:
        network.persons = PersonHeads(network.person_channels)
    return network


def _build_of_transformers(architecture: Architecture, dropout: float, config: TrainConfig | None) -> Any:
    """Build a network of ``mhpmodels.models.HUGGING_FACE``, as ``build_network``."""
    if architecture.model == "mask2former":
        from mhpmodels.networks.mask2former.network import build_mask2former

        weights = None if config is None else config.loss.class_weights
        return build_mask2former(architecture.backbone, architecture.classes, weights, architecture.described)
    from mhpmodels.networks.hf.segformer import build_segformer
    from mhpmodels.networks.hf.upernet import build_upernet
    from mhpmodels.networks.persons import PersonHeads

    build: Any = {"segformer": build_segformer, "upernet": build_upernet}[architecture.model]
    network = build(architecture.backbone, architecture.classes, dropout, architecture.described)
    if architecture.persons:
        network.persons = PersonHeads(network.person_channels)
    return network


def to_fit(given: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """Return the remedy for weights of another network: the options to pass, if the shapes determine them.

    Args:
        given: {name: shape} of the file.
        wanted: {name: shape} of the network.
    """
    try:
        file, network = Architecture.of_weights(given), Architecture.of_weights(wanted)
    except (CheckpointError, IndexError):  # IndexError: a weight without axes
        return FITTING
    resnest = "layer3.0.conv2.conv.weight"  # a ResNeSt has as many blocks as a ResNet
    options = [f"--model {file.model}"] * (file.model != network.model)
    if (resnest in given) != (resnest in wanted):
        options.append("the --backbone that they were trained with")
    elif file.backbone != network.backbone:
        options.append(f"--backbone {file.backbone}")
    if network.aux and not file.aux:
        options.append("no --aux")
    if network.persons and not file.persons:
        options.append("no --persons")
    if file.classes != network.classes:
        options.append(f"--classes {file.classes} (mhp train: a --data with {file.classes} classes)")
    if not options or (resnest in given and file.backbone != network.backbone):
        return FITTING
    return f"Pass {', '.join(options)} to use these weights, or pass weights of the requested network."
