"""Measure the loader's share of a training step's wall time.

Run:  python benchmarks/loader_share.py --engine mxnet --out benchmarks/results

The data is a full-size folder from mhp-synth, packed with mhp-pack's defaults. Two variants alternate on one engine:
steps on one batch in memory while the loader is idle, and as many steps on batches that its threads make while the
engine computes. The second variant is slower by the loader's cost: the wait for the batch, and the CPU time that its
threads take from the engine. Both are given as shares of the step's wall time. The wait is measured directly; the total
is a difference of medians, turn by turn, and only as exact as the machine's speed is steady; the spread of the turns is
given as well.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table, told

import mhpdata
from mhpdata.loading.loader import Batch, Loader
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import ENGINES, open_engine
from mhpmodels.training.feed import Feed
from mhpmodels.training.meter import Stopwatch
from mhpmodels.training.schedule import step_seed

TASKS = (("icnet", 96, 8), ("icnet", 480, 2), ("psp", 96, 2))


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--turns", default=5, show_default=True)
@click.option("--steps", default=3, show_default=True, help="Steps per variant and turn.")
@click.option("--images", default=64, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, turns: int, steps: int, images: int, out: Path) -> None:
    """Measure all tasks and write a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        synthesize(f"{folder}/MHP_v1", images, 0, None, False, progress=True)
        mhpdata.pack(f"{folder}/MHP_v1", f"{folder}/rec")
        for model, crop, batch in TASKS:
            config = TrainConfig.of(
                data=f"{folder}/rec", engine=engine, model=model, crop_size=crop, base_size=crop, batch_size=batch
            )
            rows.append(measure(config, turns, steps))
            print(table(rows[-1:]))
    where = machine("numpy", "numba", *ENGINES[engine])
    text = f"# The loader's share of a training step, engine {engine}\n\n{table(rows)}\n{told(where)}\n"
    save(out, f"loader_share_{engine}", {"machine": where, "rows": rows}, text)


def measure(config: TrainConfig, turns: int, steps: int) -> dict[str, Any]:
    """Measure one task; return its row."""
    engine, feed = open_engine(config), Feed(config.changed(validate=False))
    count = itertools.count()

    def step(images: np.ndarray, labels: np.ndarray) -> None:
        i = next(count)
        done = engine.train_step(images, labels, config.optim.lr, step_seed(config.run.seed, i))
        assert done.applied, f"step {i}: non-finite"

    with contextlib.closing(engine), contextlib.closing(feed):
        batches = endless(feed.loader)
        first = next(batches)
        kept = np.array(first.images), np.array(first.labels)
        del first
        ready, wall, waited, extra = [], [], [], []
        for _ in range(turns):
            step(
                *kept
            )  # not counted: the very first step is slow, and later the loader's threads still fill their slots
            watch = Stopwatch()
            turn: dict[str, list[float]] = {"ready": [], "wall": []}
            for _ in range(steps):
                step(*kept)
                turn["ready"].append(watch.lap())
            for _ in range(steps):
                batch = next(batches)
                waited.append(watch.lap())
                step(batch.images, batch.labels)
                turn["wall"].append(waited[-1] + watch.lap())
                del batch
            ready += turn["ready"]
            wall += turn["wall"]
            extra.append(statistics.median(turn["wall"]) / statistics.median(turn["ready"]) - 1)
    return {
        "model": config.network.model,
        "crop": config.view.size,
        "batch": config.optim.batch_size,
        "step s": statistics.median(wall),
        "step s, batch ready": statistics.median(ready),
        "wait ms": 1e3 * statistics.median(waited),
        "wait %": 100 * statistics.median(waited) / statistics.median(wall),
        "all that the loader costs %": 100 * statistics.median(extra),
        "of the turns": f"{100 * min(extra):.2g} to {100 * max(extra):.2g}",
    }


def endless(loader: Loader) -> Iterator[Batch]:
    """Yield the loader's batches, epoch after epoch."""
    while True:
        yield from loader


if __name__ == "__main__":
    main()
