"""PSPNet: a backbone and a pyramid of its features, pooled to 1, 2, 3 and 6 bins per side.

Zhao et al., "Pyramid scene parsing network", CVPR 2017, as in GluonCV.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpmodels.config import PERSONS
from mhpmodels.networks.backbones.backbone import Backbone, Outputs
from mhpmodels.networks.norm import BatchNorm
from mhpmodels.networks.resize import resize

BINS = (1, 2, 3, 6)


class PSPNet(Backbone):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W); with ``aux`` in training, also to auxiliary logits.

    Args:
        classes: number of channels of the output.
        backbone: a name of ``architecture.BACKBONES``.
        aux: build the auxiliary head, on the output of layer3.
        dropout: probability before the last convolution of each head.
    """

    head_names = ("head", "auxlayer", PERSONS)
    person_channels = 512

    def __init__(self, classes: int, backbone: str, aux: bool, dropout: float) -> None:
        super().__init__(backbone)
        self.head = PyramidHead(self.channels[3], dropout)
        self.head.block.append(nn.Conv2d(PyramidHead.width, classes, 1))
        if aux:
            self.auxlayer = AuxiliaryHead(self.channels[2], classes, dropout)
        self.aux = aux

    def forward(self, x: Tensor) -> Outputs:
        size = x.shape[2:]
        middle = self.layer3(self.layer2(self.layer1(self.stem(x))))
        features = self.head.features(self.layer4(middle))
        outputs = [self.head.classify(features)]
        if self.aux and self.training:
            outputs.append(self.auxlayer(middle))
        return self.with_persons(tuple(resize(logits.contiguous(), size) for logits in outputs), features)


class PyramidHead(nn.Module):
    """The pyramid and a convolution over it: (N, C, h, w) -> (N, 512, h, w)."""

    width = 512

    def __init__(self, inputs: int, dropout: float) -> None:
        super().__init__()
        self.psp = Pyramid(inputs)
        self.block = nn.Sequential(*_conv_norm_relu(2 * inputs, self.width, 3), nn.Dropout(dropout))

    def features(self, x: Tensor) -> Tensor:
        """Return the output of the convolution over the pyramid, before the dropout."""
        x = self.psp(x)
        for layer in list(self.block)[:3]:
            x = layer(x)
        return x

    def classify(self, features: Tensor) -> Tensor:
        """Return the output of the layers after ``features``: the dropout, and PSPNet's last convolution."""
        for layer in list(self.block)[3:]:
            features = layer(features)
        return features

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


class Pyramid(nn.Module):
    """The features and their pooled versions, C/4 channels per bin size: (N, C, h, w) -> (N, 2 C, h, w)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.pool = F.adaptive_avg_pool2d  # the ONNX export replaces it
        self.conv1, self.conv2, self.conv3, self.conv4 = (
            nn.Sequential(*_conv_norm_relu(inputs, inputs // 4, 1)) for _ in BINS
        )

    def forward(self, x: Tensor) -> Tensor:
        convs = (self.conv1, self.conv2, self.conv3, self.conv4)
        pooled = (conv(self.pool(x, bins)) for conv, bins in zip(convs, BINS, strict=True))
        # under autocast resize returns float32, which the next convolution would round anyway
        return torch.cat([x, *(resize(features, x.shape[2:]).to(x.dtype) for features in pooled)], 1)


class AuxiliaryHead(nn.Module):
    """GluonCV's FCN head: (N, C, h, w) -> (N, classes, h, w)."""

    def __init__(self, inputs: int, classes: int, dropout: float) -> None:
        super().__init__()
        width = inputs // 4
        layers = (*_conv_norm_relu(inputs, width, 3), nn.Dropout(dropout), nn.Conv2d(width, classes, 1))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def _conv_norm_relu(inputs: int, outputs: int, kernel: int) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return conv, BatchNorm(outputs), nn.ReLU(inplace=True)
