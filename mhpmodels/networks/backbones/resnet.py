"""Dilated residual networks, GluonCV's ResNet v1b and v1s: the backbones of PSPNet and ICNet.

"v1b" has its stride in the 3 x 3 convolution; "v1s" is v1b with three 3 x 3 convolutions of width 64, 64, 128 in place
of the first 7 x 7. The last two stages use dilation instead of stride, so the output is 1/8 of the input's size. He et
al., "Deep residual learning", CVPR 2016; Yu and Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR
2016.

The rule: modules have the names and the nesting of GluonCV, so weights carry over by name (``mhpmodels.files.params``);
only gamma and beta are called weight and bias here.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from mhpmodels.networks.norm import BatchNorm


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with a residual connection."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int, later: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, dilation, dilation, bias=False)
        self.bn1 = BatchNorm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, later, later, bias=False)
        self.bn2 = BatchNorm(planes)
        self.downsample = _downsample(inputs, planes, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, narrow in the middle, with a residual connection."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, dilation: int, later: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = BatchNorm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, dilation, dilation, bias=False)
        self.bn2 = BatchNorm(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = BatchNorm(planes * self.expansion)
        self.downsample = _downsample(inputs, planes * self.expansion, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.downsample(x))


BACKBONES: dict[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int], bool]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2), False),
    "resnet34": (BasicBlock, (3, 4, 6, 3), False),
    "resnet50": (Bottleneck, (3, 4, 6, 3), True),
    "resnet101": (Bottleneck, (3, 4, 23, 3), True),
    "resnet152": (Bottleneck, (3, 8, 36, 3), True),
}
"""{GluonCV's name: (block, number of blocks per stage, whether the stem has three convolutions, as in v1s)}."""


def layers(backbone: str) -> OrderedDict[str, nn.Module]:
    """Return the children of a network with this backbone, a key of BACKBONES, in the order of the data."""
    block, blocks, deep = BACKBONES[backbone]
    first, (one, two, three, _) = 128 if deep else 64, channels(backbone)
    return OrderedDict(
        conv1=_deep_stem() if deep else nn.Conv2d(3, first, 7, 2, 3, bias=False),
        bn1=BatchNorm(first),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, 2, 1),
        layer1=_stage(block, first, 64, blocks[0], 1, 1),
        layer2=_stage(block, one, 128, blocks[1], 2, 1),
        layer3=_stage(block, two, 256, blocks[2], 1, 2),
        layer4=_stage(block, three, 512, blocks[3], 1, 4),
    )


def channels(backbone: str) -> tuple[int, int, int, int]:
    """Return the numbers of output channels of layer1 to layer4 of a backbone."""
    expansion = BACKBONES[backbone][0].expansion
    return 64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion


def _deep_stem() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2, 1, bias=False),
        BatchNorm(64),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 64, 3, 1, 1, bias=False),
        BatchNorm(64),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 3, 1, 1, bias=False),
    )


def _stage(
    block: type[BasicBlock | Bottleneck], inputs: int, planes: int, blocks: int, stride: int, dilation: int
) -> nn.Module:
    """Return blocks of one width; the first block has half the dilation in its first 3 x 3 convolution."""
    first = block(inputs, planes, stride, max(1, dilation // 2), dilation)
    inputs = planes * block.expansion
    return nn.Sequential(first, *(block(inputs, planes, 1, dilation, dilation) for _ in range(1, blocks)))


def _downsample(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), BatchNorm(outputs))
