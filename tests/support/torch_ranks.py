"""Train as one rank in tests with several processes: ``torch_ranks.py REC OUT MODEL [STEP]``.

Its rank is in the environment. With STEP, rank 1 is killed before that step. MHP_TEST_CUDA=nccl trains on one GPU
per rank; gloo puts all ranks on the first GPU, which NCCL rejects.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from pathlib import Path

import torch
from loading import open_loader

from mhpdata.errors import EngineError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.engines.leaving import leave
from mhpmodels.engines.torch import ranks

STEPS, HALF, BATCH = 20, 10, 4
PATIENCE = 600
"""Seconds after which a hanging process is ended."""
PERSONS, DICE = "torch_ranks:persons", "torch_ranks:dice"
CROPS = {"torch_ranks:small": 32, PERSONS: 32, DICE: 32, "psp": 48}
RATES = {"torch_ranks:small": 0.01, PERSONS: 0.01, DICE: 0.01, "psp": 5e-5}


def small(config):
    """Two convolutions with torch's batch norm, and a head."""
    norm, conv = torch.nn.BatchNorm2d, torch.nn.Conv2d
    layers = conv(3, 8, 3, padding=1), norm(8), torch.nn.ReLU(), conv(8, 8, 3, 2, 1), norm(8), torch.nn.ReLU()
    return torch.nn.Sequential(*layers, conv(8, config.network.classes, 1))


dice = small
"""The same network, trained with the Dice loss, too."""


class Double(torch.nn.Sequential):
    """A network in float64."""

    def forward(self, x):
        return super().forward(x.double())


def double(config):
    """Return the same network in float64."""
    return Double(*small(config)).double()


class Persons(torch.nn.Module):
    """The same with heads of persons."""

    def __init__(self, config):
        super().__init__()
        *base, self.head = small(config)
        self.base, self.persons = torch.nn.Sequential(*base), torch.nn.Conv2d(8, 3, 1)

    def forward(self, images):
        features = self.base(images)
        return self.head(features), self.persons(features)


def persons(config):
    return Persons(config)


def config(model, **options):
    fixed = {"engine": "torch", "backbone": "resnet18", "batch_size": BATCH, "dropout": 0.0, "syncbn": True}
    if "MHP_TEST_CUDA" in os.environ:
        fixed["ngpus"] = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fixed |= {"persons": model == PERSONS, "dice_weight": float(model == DICE)}
    return TrainConfig.of(**{**fixed, "model": model, "crop_size": CROPS[model], **options})


def run(engine, folder, first=0, last=STEPS, before_step=lambda step: None):
    """Return the losses of steps on this rank's share of batches that are the same for any number of ranks.

    Heads of persons train from step HALF.
    """
    share = {"rank": engine.rank, "world_size": engine.world_size, "batch_size": BATCH // engine.world_size}
    crop = engine.config.view.size
    heads = engine.config.network.persons
    share["persons"] = "targets" if heads else False
    loader = open_loader(folder, size=crop, base_size=48, threads=1, drop_last=True, **share)
    losses = []
    for step in range(first, last):
        before_step(step)
        loader.set_epoch(step)
        for batch in loader:
            targets = (batch.targets,) if heads and step >= HALF else ()
            rate = RATES[engine.config.network.model]
            losses.append(engine.train_step(batch.images, batch.labels, rate, step, *targets).loss)
    loader.close()
    return losses


def share_a_gpu():
    """Put all ranks on the first GPU, with gloo."""
    join = ranks.dist.init_process_group
    ranks.dist.init_process_group = lambda backend, **options: join("gloo", **options)
    ranks._find_device = lambda local: torch.device("cuda", 0)


def main(folder, out, model, kill=None):
    if os.environ.get("MHP_TEST_CUDA") == "gloo":
        share_a_gpu()
    engine = open_engine(config(model))
    out = Path(out)

    def before_step(step):
        if step == int(kill or -1):
            if engine.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            # make gloo's threads wait for the GIL, as on a busy machine: half of the processes that call sys.exit abort
            sys.setswitchinterval(1000)
        if engine.rank == 0 and step == HALF:
            engine.save(out / "half.pt")
            engine.save_state(out / "half.state")

    losses = run(engine, folder, before_step=before_step)
    engine.save(out / f"rank_{engine.rank}.pt")
    (out / f"rank_{engine.rank}.json").write_text(json.dumps(losses))
    engine.close()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(PATIENCE, exit=True)  # even if no process is left to end it
    sys.modules["torch_ranks"] = sys.modules["__main__"]  # the config imports its network from here
    try:
        main(*sys.argv[1:])
    except EngineError as error:
        print(f"EngineError: {error}", file=sys.stderr)
        leave(1)
