"""ICNet: three branches at decreasing resolution and increasing depth, fused from the smallest to the largest.

Zhao et al., "ICNet for real-time semantic segmentation on high-resolution images", ECCV 2018, as in GluonCV: the small
branch continues from layer2 of the middle branch and ends with PSPNet's pyramid.

::

    image      conv_sub1                              1/8    ────────┐
    image 1/2  conv1 .. layer2                        1/16   ──┐   cff_12 ── x 2 ── conv_cls ── x 4: the main output
    of that    1/32, layer3, layer4, psp_head         1/32   cff_24 ─┘
"""

from __future__ import annotations

from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpmodels.config import PERSONS
from mhpmodels.networks.backbones.backbone import Backbone, Outputs
from mhpmodels.networks.norm import BatchNorm
from mhpmodels.networks.pspnet import PyramidHead
from mhpmodels.networks.resize import resize


class ICNet(Backbone):
    """Map float32 (N, 3, H, W) to logits (N, classes, H, W) and, in training, to logits at 1/4, 1/8 and 1/16 size.

    H and W are at least 32 pixels. GluonCV's ICNet trains only with multiples of 16.

    Args:
        classes: number of channels of the output.
        backbone: a name of ``architecture.BACKBONES``.
        dropout: probability after the pyramid.

    Attributes:
        resized: {number of an output: number of an earlier one that is this output at the image's size}.
    """

    resized = MappingProxyType({1: 0})
    head_names = ("conv_sub1", "psp_head", "head", "conv_sub4", "conv_sub2", PERSONS)
    person_channels = 128

    def __init__(self, classes: int, backbone: str, dropout: float) -> None:
        super().__init__(backbone)
        self.conv_sub1 = nn.Sequential(ConvBnRelu(3, 32, 3, 2), ConvBnRelu(32, 32, 3, 2), ConvBnRelu(32, 64, 3, 2))
        self.psp_head = PyramidHead(self.channels[3], dropout)
        self.head = CascadeHead(classes)
        self.conv_sub4 = ConvBnRelu(PyramidHead.width, 256, 1, 1)
        self.conv_sub2 = ConvBnRelu(self.channels[1], 256, 1, 1)

    def forward(self, x: Tensor) -> Outputs:
        height, width = x.shape[2:]
        large = self.conv_sub1(x)
        middle = self.layer2(self.layer1(self.stem(resize(x, (height // 2, width // 2)))))
        small = self.layer4(self.layer3(resize(middle, (height // 32, width // 32))))
        small = self.conv_sub4(self.psp_head(small))
        fused, quarter, *others = self.head(large, self.conv_sub2(middle), small)
        main = resize(quarter.contiguous(), (height, width))
        return self.with_persons((main, quarter, *others) if self.training else (main,), fused)


class CascadeHead(nn.Module):
    """Fuse the three branches at 1/8 of the image's size; return them, and logits at 1/4, 1/8 and 1/16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.cff_12 = CascadeFeatureFusion(128, 64, 128, classes)
        self.cff_24 = CascadeFeatureFusion(256, 256, 128, classes)
        self.conv_cls = nn.Conv2d(128, classes, 1, bias=False)

    def forward(self, large: Tensor, middle: Tensor, small: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fused, sixteenth = self.cff_24(small, middle)
        fused, eighth = self.cff_12(fused, large)
        height, width = fused.shape[2:]
        return fused, self.conv_cls(resize(fused, (2 * height, 2 * width))), eighth, sixteenth


class CascadeFeatureFusion(nn.Module):
    """Resize the coarse branch to the fine one, convolve both and add them; also return the coarse branch's logits."""

    def __init__(self, low: int, high: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.conv_low = nn.Sequential(nn.Conv2d(low, outputs, 3, padding=2, dilation=2, bias=False), BatchNorm(outputs))
        self.conv_hign = nn.Sequential(
            nn.Conv2d(high, outputs, 1, bias=False), BatchNorm(outputs)
        )  # GluonCV's spelling
        self.conv_low_cls = nn.Conv2d(outputs, classes, 1, bias=False)

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        low = self.conv_low(resize(low, high.shape[2:]))
        return F.relu(low + self.conv_hign(high)), self.conv_low_cls(low)


class ConvBnRelu(nn.Module):
    """A convolution, its normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)
