"""EfficientNet-Lite0, dilated to 1/8 of the input's size like the residual networks: a backbone of PSPNet and ICNet.

Tan and Le, "EfficientNet: rethinking model scaling", ICML 2019; Lite0 is B0 without squeeze-and-excitation, with ReLU6
(``tensorflow/tpu``, ``models/official/efficientnet/lite``). Blocks are MobileNetV2's: a 1 x 1 convolution widens, a
depthwise one filters, a 1 x 1 narrows. The classifier's 1 x 1 convolution to 1,280 channels is left out.

The rules:

- A convolution with stride 2 pads as TensorFlow's "SAME" does for even sizes: less before than after. So the dilated
  network has, at every fourth position, from the fourth on, the features of the original one with its strides
  (``FIRST``, ``STEP``); odd sizes are rounded up.
- The network takes images normalised as all of mhp's are, and first brings them to (pixel - 127) / 128, for which the
  published weights were trained. It does so before the first convolution pads, so borders are exact, too.
- Weights have names of their own here; ``own_name`` translates those of the published file.
"""

from __future__ import annotations

import re
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.imagenet import DEVIATION, MEAN
from mhpmodels.networks.norm import BatchNorm

CHANNELS = (24, 40, 112, 320)
"""Numbers of output channels of layer1 to layer4."""
FIRST, STEP = 3, 4
"""Positions of the dilated output that the original network has, too: FIRST, FIRST + STEP, ... in both axes."""
_STEM = 32
_LAYERS = (
    ("layer0", ((1, 3, 1, 1, 16, 1),)),
    ("layer1", ((2, 3, 2, 6, 24, 1),)),
    ("layer2", ((2, 5, 2, 6, 40, 1),)),
    ("layer3", ((3, 3, 1, 6, 80, 2), (3, 5, 1, 6, 112, 2))),
    ("layer4", ((4, 5, 1, 6, 192, 4), (1, 3, 1, 6, 320, 4))),
)
"""(child, its stages: blocks, kernel, stride of the first block, widening, output channels, dilation)."""
_EPSILON = 1e-3
_PARTS = {
    "_expand_conv": "expand",
    "_bn0": "bn_expand",
    "_depthwise_conv": "depthwise",
    "_bn1": "bn_depthwise",
    "_project_conv": "project",
    "_bn2": "bn_project",
}
"""{name in a block of the published file: name here}."""
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


class Rescale(nn.Module):
    """Bring images with ImageNet's mean and deviation to (pixel - 127) / 128, in float32; no parameters."""

    def __init__(self) -> None:
        super().__init__()
        mean, deviation = (255 * torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        self.register_buffer("scale", deviation / 128, persistent=False)
        self.register_buffer("shift", (mean - 127) / 128, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


class Same(nn.Conv2d):
    """A convolution without bias that keeps the size, or with stride 2 halves it, rounded up."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, dilation: int, groups: int) -> None:
        padding = 0 if stride == 2 else dilation * (kernel // 2)
        super().__init__(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
        before = (kernel - 2) // 2
        # one more after than even sizes need: they give the same, and odd ones are rounded up
        self._around = (before, kernel - 1 - before) * 2 if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self._around is None else F.pad(x, self._around))


class Block(nn.Module):
    """Widen, filter each channel, narrow; with a residual connection where the channels stay the same."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int, dilation: int) -> None:
        super().__init__()
        width = inputs * widening
        self.widens, self.residual = widening != 1, stride == 1 and inputs == outputs
        if self.widens:
            self.expand = nn.Conv2d(inputs, width, 1, bias=False)
            self.bn_expand = BatchNorm(width, _EPSILON)
        self.depthwise = Same(width, width, kernel, stride, dilation, width)
        self.bn_depthwise = BatchNorm(width, _EPSILON)
        self.project = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn_project = BatchNorm(outputs, _EPSILON)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn_expand(self.expand(x))) if self.widens else x
        out = self.relu(self.bn_depthwise(self.depthwise(out)))
        out = self.bn_project(self.project(out))
        return out + x if self.residual else out


def layers() -> OrderedDict[str, nn.Module]:
    """Return the children of a network with this backbone, in the order of the data."""
    made: OrderedDict[str, nn.Module] = OrderedDict(
        rescale=Rescale(),
        conv1=Same(3, _STEM, 3, 2, 1, 1),
        bn1=BatchNorm(_STEM, _EPSILON),
        relu=nn.ReLU6(inplace=True),
    )
    inputs, before = _STEM, 1
    for name, stages in _LAYERS:
        blocks = nn.Sequential()
        for count, kernel, stride, widening, outputs, dilation in stages:
            for index in range(count):
                here = dilation if index else before  # the block that had the stride still has the dilation before it
                blocks.append(Block(inputs, outputs, kernel, 1 if index else stride, widening, here))
                inputs, before = outputs, dilation
        made[name] = blocks
    return made


def own_name(name: str) -> str | None:
    """Return the name of a tensor of the published file in a network with this backbone; None for the classifier's."""
    found = _BLOCK.fullmatch(name)
    if found is None:
        first, _, rest = name.partition(".")
        child = {"_conv_stem": "conv1", "_bn0": "bn1"}.get(first)
        return None if child is None else f"{child}.{rest}"
    index = int(found[1])
    for child, stages in _LAYERS:
        count = sum(stage[0] for stage in stages)
        if index < count:
            return f"{child}.{index}.{_PARTS.get(found[2], found[2])}.{found[3]}"
        index -= count
    return None
