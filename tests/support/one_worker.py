"""Train two steps on this rank's share of each batch; test_mxnet_exchange.py starts one process per rank.

Prints the results of the steps as JSON, and writes the weights to the path in argv[1] with the rank appended.
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
    """Return two images, the first with fewer labelled pixels."""
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
            images[0, 0, 5, 5] = np.nan  # a failure on one rank affects all ranks
        steps.append(asdict(engine.train_step(images, labels, 0.01, seed)))
    engine.save(sys.argv[1] + str(engine.rank))
    print(json.dumps({"rank": engine.rank, "world_size": engine.world_size, "steps": steps}), flush=True)
    engine.close()


if __name__ == "__main__":  # tests also import this file for CONFIG and batch, so the timer starts only here
    faulthandler.dump_traceback_later(150, exit=True)  # ends ranks that deadlock, and prints their stacks
    main()
