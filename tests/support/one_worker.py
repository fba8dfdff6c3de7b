"""Run by test_mxnet_exchange.py, once for each process that trains: two steps on this rank's share of each batch.

Prints, as JSON, what the steps gave, and writes the weights to the path in argv[1], followed by the rank.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from dataclasses import asdict

import numpy as np

from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine

CONFIG = TrainConfig.of(engine="mxnet", backbone="resnet18", crop_size=64, batch_size=2, dropout=0.0)


def batch(seed: int):
    """Two images, the first with fewer labelled pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 19, (2, 64, 64)).astype(np.uint8)
    labels[0, :40] = 255
    return rng.normal(0, 1, (2, 3, 64, 64)).astype(np.float32), labels


def main() -> None:
    engine = open_engine(CONFIG.changed(kvstore="dist_sync"))
    steps = []
    for seed in (1, 2, 3):
        images, labels = (array[engine.rank : engine.rank + 1].copy() for array in batch(seed))
        if seed == 2 and engine.rank == 1:
            images[0, 0, 5, 5] = np.nan  # one rank's trouble is everybody's
        steps.append(asdict(engine.train_step(images, labels, 0.01, seed)))
    engine.save(sys.argv[1] + str(engine.rank))
    print(json.dumps({"rank": engine.rank, "world_size": engine.world_size, "steps": steps}), flush=True)
    engine.close()


if __name__ == "__main__":  # the tests import this file for CONFIG and batch: the timer may not begin before
    faulthandler.dump_traceback_later(150, exit=True)  # ranks that wait for each other forever would say nothing
    main()
