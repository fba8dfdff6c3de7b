"""SCHP's network: encoder, pyramid, decoder, edge branch, and the fusion of parts and edges, whose logits are returned.

::

    image ── stem, layer1 (1/4) ── layer2 (1/8) ── layer3 (1/16) ── layer4 (1/16) ── context_encoding
               │  │                   │               │                                  │
               │  └──────── edge ─────┴───────────────┘  768 channels at 1/4             │
               └─────────────────── decoder ─────────────────────────────────────────────┘  256 channels at 1/4
                                    both ── fushion (as the weights spell it) ── logits at 1/4 ── resized to the image

The published weights also hold the classifiers of the decoder and of the edges, which training used; their outputs are
not needed here. All resizing aligns corner pixels, as in the original.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mhpmodels.networks.resize import resize
from mhpmodels.networks.schp.abn import ABN
from mhpmodels.networks.schp.encoder import Encoder

CLASSIFIER = "fushion.3.weight"
"""Weight of the last convolution: (classes, 256, 1, 1)."""
_TELLING = (CLASSIFIER, "context_encoding.bottleneck.0.weight", "edge.conv5.weight", "decoder.conv4.weight")
"""Names that only this network has, all together."""
MOST_CLASSES = 255


def classes_of(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return the number of classes of SCHP's weights; None for weights of another network.

    Args:
        shapes: {name: shape}, without prefixes of wrappers.
    """
    if not all(name in shapes for name in _TELLING) or len(shapes[CLASSIFIER]) != 4:
        return None
    classes = shapes[CLASSIFIER][0]
    return classes if 2 <= classes <= MOST_CLASSES else None


class SCHP(Encoder):
    """Map float32 (N, 3, H, W), BGR normalised, to logits (N, classes, H, W).

    Args:
        classes: number of channels of the output.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.context_encoding = Pyramid(2048, 512)
        self.edge = Edges()
        self.decoder = Decoder(classes)
        self.fushion = nn.Sequential(
            nn.Conv2d(1024, 256, 1, bias=False), ABN(256), nn.Identity(), nn.Conv2d(256, classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, second, third, last = self.stages(x)
        parts = self.decoder(self.context_encoding(last), first)
        logits = self.fushion(torch.cat([parts, self.edge(first, second, third)], 1))
        return resize(logits, (x.shape[2], x.shape[3]))


def _normalised(inputs: int, outputs: int, kernel: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), ABN(outputs)]


class Pyramid(nn.Module):
    """Pool to grids of 1, 2, 3 and 6 cells a side, and join the results with the input."""

    def __init__(self, inputs: int, outputs: int, grids: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(grid), *_normalised(inputs, outputs)) for grid in grids
        )
        self.bottleneck = nn.Sequential(*_normalised(inputs + len(grids) * outputs, outputs, 3))

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        return self.bottleneck(torch.cat([*(resize(stage(x), size) for stage in self.stages), x], 1))


class Edges(nn.Module):
    """Return the features of the edge branch at the size of its first input."""

    def __init__(self) -> None:
        super().__init__()
        for k, inputs in enumerate((256, 512, 1024), 1):
            self.add_module(f"conv{k}", nn.Sequential(*_normalised(inputs, 256)))
        self.conv4 = nn.Conv2d(256, 2, 3, padding=1)  # the classifiers of edges
        self.conv5 = nn.Conv2d(6, 2, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        size = (inputs[0].shape[2], inputs[0].shape[3])
        features = [getattr(self, f"conv{k}")(x) for k, x in enumerate(inputs, 1)]
        return torch.cat([features[0], *(resize(x, size) for x in features[1:])], 1)


class Decoder(nn.Module):
    """Join the pyramid's features, resized, with those of the first stage."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_normalised(512, 256))
        self.conv2 = nn.Sequential(*_normalised(256, 48))
        self.conv3 = nn.Sequential(*_normalised(304, 256), *_normalised(256, 256))
        self.conv4 = nn.Conv2d(256, classes, 1)  # the classifier of parts

    def forward(self, deep: Tensor, fine: Tensor) -> Tensor:
        deep = resize(self.conv1(deep), (fine.shape[2], fine.shape[3]))
        return self.conv3(torch.cat([deep, self.conv2(fine)], 1))
