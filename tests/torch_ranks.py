"""What one process does in the tests of several: ``torch_ranks.py REC OUT [STEP]``, rank and world size from the
environment. With STEP, rank 1 is killed before that step."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from mhpdata import Loader
from mhpdata.errors import EngineError
from mhpmodels.config import TrainConfig
from mhpmodels.engines import open_engine

STEPS, HALF, BATCH, CROP, RATE = 20, 10, 4, 32, 0.002


def config(**options):
    fixed = {"engine": "torch", "backbone": "resnet18", "crop_size": CROP, "batch_size": BATCH, "dropout": 0.0}
    return TrainConfig(**{**fixed, "syncbn": True, **options})


def run(engine, folder, first=0, last=STEPS, before_step=lambda step: None):
    """The losses of steps on this rank's share of the same batches, whatever the world size."""
    share = {"rank": engine.rank, "world_size": engine.world_size, "batch_size": BATCH // engine.world_size}
    loader = Loader(folder, base_size=48, crop_size=CROP, threads=1, drop_last=True, **share)
    losses = []
    for step in range(first, last):
        before_step(step)
        loader.set_epoch(step)
        for batch in loader:
            losses.append(engine.train_step(batch.images, batch.labels, RATE, step).loss)
    loader.close()
    return losses


def main(folder, out, kill=None):
    engine = open_engine(config(syncbn=True))
    out = Path(out)

    def before_step(step):
        if engine.rank == 1 and step == int(kill or -1):
            os.kill(os.getpid(), signal.SIGKILL)
        if engine.rank == 0 and step == HALF:
            engine.save(out / "half.pt")
            engine.save_state(out / "half.state")

    losses = run(engine, folder, before_step=before_step)
    engine.save(out / f"rank_{engine.rank}.pt")
    (out / f"rank_{engine.rank}.json").write_text(json.dumps(losses))
    engine.close()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except EngineError as error:
        sys.exit(f"EngineError: {error}")
