"""Small engines of MXNet and batches for them."""

from __future__ import annotations

import numpy as np

from mhpmodels.config import TrainConfig

SIZE = {"icnet": 64, "psp": 48}


def config(model="icnet", **options):
    default = {"aux": model == "psp", "backbone": "resnet18", "crop_size": SIZE[model], "batch_size": 2, "dropout": 0.0}
    return TrainConfig.of(engine="mxnet", model=model, **{**default, **options})


def batch(size, count=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 19, (count, size, size)).astype(np.uint8)
    return rng.normal(0, 1, (count, 3, size, size)).astype(np.float32), labels


def weights(engine):
    return {name: parameter.list_data()[0].asnumpy() for name, parameter in engine._parameters.items()}
