"""Two light heads that tell persons apart: a heatmap of their centres, and the offset of each pixel to its centre.

Cheng et al., "Panoptic-DeepLab", CVPR 2020 (arXiv 1911.10194). Each head is a 5 x 5 convolution to WIDTH channels,
normalised, and a 1 x 1 convolution, on the features from which the network computes its labels.

The rule: heads are added to a finished network, so they draw nothing from the generator before the network's own
weights, which are therefore those of the same network without heads. Their last layers start at 0: with random ones,
the first gradients of their loss at the shared features were 18 times those of the labels (ICNet with resnet18, after
270 steps), and Adam, which divides by the root of the mean square, learned the labels more slowly for the rest of the
run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpdata.settings.output import OFFSET_UNIT
from mhpmodels.networks.norm import BatchNorm
from mhpmodels.networks.resize import resize

WIDTH = 32


class PersonHeads(nn.Module):
    """Map features (N, C, h, w) to (N, 3, h, w): centre heatmap, offset down and to the right in units of OFFSET_UNIT
    pixels.

    Args:
        inputs: number of channels of the features.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.centre, self.offset = Head(inputs, 1), Head(inputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.centre(x), self.offset(x)], 1)


class Head(nn.Module):
    """A 5 x 5 convolution, its normalisation, a ReLU and a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, WIDTH, 5, padding=2, bias=False)
        self.bn = BatchNorm(WIDTH)
        self.out = nn.Conv2d(WIDTH, outputs, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.bn(self.conv(x))))


def enlarge(maps: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Return the heads' output at the size of the images, with offsets in pixels: float32 (N, 3, H, W)."""
    maps = resize(maps.float().contiguous(), size)
    return torch.cat([maps[:, :1], maps[:, 1:] * OFFSET_UNIT], 1)
