"""The layers of a backbone as children of a network, and a network's initial weights."""

from __future__ import annotations

from torch import Tensor, nn

from mhpmodels.models import EFFICIENTNET
from mhpmodels.networks.backbones import efficientnet, resnet
from mhpmodels.networks.persons import PersonHeads

Outputs = tuple[Tensor, ...] | tuple[tuple[Tensor, ...], Tensor]
"""Output of a network: logits, the main output first; with heads of persons a pair of logits and the heads' output,
(N, 3, h, w)."""
_FIRST = "layer1"
"""The first child after the stem."""


class Backbone(nn.Module):
    """The layers of a backbone; networks inherit from it.

    Attributes:
        channels: numbers of output channels of layer1 to layer4.
        persons: the heads that tell persons apart; None without.
    """

    base_names = ("conv1", "bn1", "layer0", "layer1", "layer2", "layer3", "layer4")
    """Children with pretrained weights from ImageNet; all others are heads. Only EfficientNet has layer0."""
    person_channels: int
    """Number of channels of the features that the heads of persons take."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        small = backbone == EFFICIENTNET
        layers = efficientnet.layers() if small else resnet.layers(backbone)
        self.channels = efficientnet.CHANNELS if small else resnet.channels(backbone)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self._stem = tuple(layers)[: list(layers).index(_FIRST)]
        self.persons: PersonHeads | None = None

    def stem(self, x: Tensor) -> Tensor:
        """Return the input of layer1 for images (N, 3, H, W): (N, C, H/4, W/4), of EfficientNet (N, C, H/2, W/2)."""
        for name in self._stem:
            x = getattr(self, name)(x)
        return x

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Names of the modules of each block, the stem first (``mhpmodels.networks.levels``)."""
        stages = [name for name in self.base_names if name.startswith("layer") and hasattr(self, name)]
        blocks = [(f"{stage}.{number}",) for stage in stages for number in range(len(getattr(self, stage)))]
        return (("conv1", "bn1"), *blocks)

    def with_persons(self, logits: tuple[Tensor, ...], features: Tensor) -> Outputs:
        """Return a network's logits, in a pair with the output of its heads of persons if it has them."""
        return logits if self.persons is None else (logits, self.persons(features))


def initialise(network: Backbone) -> None:
    """Draw initial weights from torch's global generator.

    The backbone follows He et al. 2015 (arXiv 1502.01852); heads are uniform in +-0.07, as in GluonCV; biases are 0.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            if name.partition(".")[0] in network.base_names:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.uniform_(module.weight, -0.07, 0.07)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
