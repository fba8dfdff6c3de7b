"""Networks of two convolutions, which the torch engine opens by name."""

from __future__ import annotations

import numpy as np
import torch

from mhpmodels.config import TrainConfig
from mhpmodels.networks.norm import BatchNorm

CLASSES, SIZE = 3, 16


class Tiny(torch.nn.Module):
    """A backbone and a head of one convolution each; a main output at half size, and an auxiliary output."""

    head_names = ("head",)

    def __init__(self, config):
        super().__init__()
        self.base = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = BatchNorm(4)
        self.head = torch.nn.Conv2d(4, CLASSES, 1)

    def forward(self, x):
        features = self.norm(self.base(x)).relu()
        out = self.head(features)
        return out[..., ::2, ::2], 2 * out


class Plain(Tiny):
    """Variant without batch norm and with the main output only."""

    def forward(self, x):
        return self.head(self.base(x).relu())


class Small(torch.nn.Sequential):
    """Build the network for the classes of the config."""

    def __init__(self, config):
        super().__init__(
            torch.nn.Conv2d(3, 4, 3, padding=1), BatchNorm(4), torch.nn.Conv2d(4, config.network.classes, 1)
        )


class Wide(Plain):
    """Build a network with a large gradient in its head."""

    def forward(self, x):
        return super().forward(x) * 300


def config(model="Tiny", **options):
    fixed = {"engine": "torch", "model": f"torch_tiny:{model}", "classes": CLASSES, "crop_size": SIZE}
    return TrainConfig.of(**{**fixed, "batch_size": 4, "weight_decay": 0.0, "momentum": 0.0, **options})


def batch(seed=0, count=4):
    """Return random images and labels."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(count, 3, SIZE, SIZE)).astype(np.float32)
    return images, rng.integers(0, CLASSES, (count, SIZE, SIZE)).astype(np.uint8)


class Persons(Tiny):
    """Variant with heads of persons, for configs with ``persons``, which returns the pair that mhp asks for."""

    def __init__(self, config):
        super().__init__(config)
        self.persons = torch.nn.Conv2d(4, 3, 1)

    def forward(self, x):
        features = self.norm(self.base(x)).relu()
        return self.head(features), self.persons(features)[..., ::2, ::2]
