"""Configs of complete networks, and batches from which they can learn."""

from __future__ import annotations

import numpy as np

from mhpmodels.config import TrainConfig

SIZE = {"icnet": 64, "psp": 48}
CLASSES = 19


def config(engine: str, model: str, **options) -> TrainConfig:
    default = {"aux": model == "psp", "backbone": "resnet18", "crop_size": SIZE[model], "batch_size": 2, "lr": 0.01}
    return TrainConfig.of(engine=engine, model=model, **{**default, **options})


def batch(size: int, count: int = 2, seed: int = 0):
    """Return learnable batches: coloured blobs labelled by class, with an unlabelled stripe."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (count, 4, 4)).repeat(size // 4, 1).repeat(size // 4, 2).astype(np.uint8)
    images = rng.normal(0, 1, (CLASSES, 3))[labels].transpose(0, 3, 1, 2) + rng.normal(0, 0.1, (count, 3, size, size))
    labels[:, :3] = 255
    return np.ascontiguousarray(images, np.float32), labels
