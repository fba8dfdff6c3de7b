"""SCHP's encoder: a ResNet-101 with a stem of three convolutions and a dilated last stage.

The modules have the names that the published weights use.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mhpmodels.networks.schp.abn import ABN

STAGES = ((3, 64, 1, 1), (4, 128, 2, 1), (23, 256, 2, 1), (3, 512, 1, 2))
"""Blocks, inner channels, stride and dilation of each stage."""
WIDER = 4
"""A block's channels as a multiple of its inner ones."""
STEM = 128


class Block(nn.Module):
    """A bottleneck block: 1 x 1, dilated 3 x 3 and 1 x 1 convolutions beside a shortcut."""

    def __init__(self, inputs: int, inner: int, stride: int, dilation: int, shortcut: bool) -> None:
        super().__init__()
        outputs = inner * WIDER
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = ABN(inner, active=False)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, dilation, dilation, bias=False)
        self.bn2 = ABN(inner, active=False)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = ABN(outputs, active=False)
        self.downsample: nn.Module | None = None
        if shortcut:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), ABN(outputs, False))

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + beside)


class Encoder(nn.Module):
    """Map float32 (N, 3, H, W) to the outputs of the four stages, at 1/4, 1/8, 1/16 and 1/16 of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = ABN(64, active=False)
        self.conv2 = nn.Conv2d(64, 64, 3, 1, 1, bias=False)
        self.bn2 = ABN(64, active=False)
        self.conv3 = nn.Conv2d(64, STEM, 3, 1, 1, bias=False)
        self.bn3 = ABN(STEM, active=False)
        inputs = STEM
        for stage, (blocks, inner, stride, dilation) in enumerate(STAGES, 1):
            layers = []
            for k in range(blocks):
                layers.append(Block(inputs, inner, 1 if k else stride, dilation, shortcut=not k))
                inputs = inner * WIDER
            self.add_module(f"layer{stage}", nn.Sequential(*layers))

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the four stages."""
        for k in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        found = []
        for k in range(1, len(STAGES) + 1):
            x = getattr(self, f"layer{k}")(x)
            found.append(x)
        return found
