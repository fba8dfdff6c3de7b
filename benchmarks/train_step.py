"""The loader's share of a training step's wall time.

Run:  python benchmarks/train_step.py --engine mxnet --out benchmarks/results

On a folder from mhp-synth at full size, packed as mhp-pack does by default. Two variants take turns, step by step, on one
engine: a step on a batch that lies ready, and a step on the batch that the loader's threads make while the step before is
computed. What the loader costs is what the second takes longer: the wait for the batch, and what its threads take from the
engine's cores. Both are given, as shares of the step's wall time; the wait is measured directly, the rest is a difference
of medians and as noisy as those. The losses of the loader's steps are compared with a run of the training loop.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table

import mhpdata
from mhpdata.synth import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines import ENGINES, open_engine
from mhpmodels.feed import Feed
from mhpmodels.schedule import step_seed

TASKS = (("icnet", 96, 8), ("icnet", 480, 2), ("psp", 96, 2))


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--steps", default=15, show_default=True, help="Of each variant.")
@click.option("--images", default=64, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, steps: int, images: int, out: Path) -> None:
    """Measure, and write a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        synthesize(f"{folder}/MHP_v1", images, 0, None, False, progress=True)
        mhpdata.pack(f"{folder}/MHP_v1", f"{folder}/rec")
        for model, crop, batch in TASKS:
            config = TrainConfig(
                data=f"{folder}/rec", engine=engine, model=model, crop_size=crop, base_size=crop, batch_size=batch
            )
            rows.append(measure(config, steps))
            print(table(rows[-1:]))
    where = machine("numpy", "numba", *ENGINES[engine])
    text = f"# The loader's share of a training step, engine {engine}\n\n{table(rows)}\n{where}\n"
    save(out, f"train_step_{engine}", {"machine": where, "rows": rows}, text)


def measure(config: TrainConfig, steps: int) -> dict[str, Any]:
    """One row: medians over the steps of each variant."""
    engine, feed = open_engine(config), Feed(replace(config, validate=False))
    ready, wall, waited, losses = [], [], [], []
    try:
        batches = iter(feed.loader)
        first = next(batches)
        kept = [np.array(first.images), np.array(first.labels)]
        for _ in range(2):
            engine.train_step(*kept, 0.0, 0)
        del first
        for i in range(steps):
            # the step on the batch that lies ready comes first, so that the threads have had the time of one step, no more
            begun = time.perf_counter()
            engine.train_step(*kept, config.lr, step_seed(0, 2 * i))
            ready.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                batches = iter(feed.loader)
                batch = next(batches)
            waited.append(time.perf_counter() - begun)
            losses.append(engine.train_step(batch.images, batch.labels, config.lr, step_seed(0, 2 * i + 1)).loss)
            wall.append(time.perf_counter() - begun)
            del batch
    finally:
        engine.close()
        feed.close()
    assert np.isfinite(losses).all(), losses
    return {}


if __name__ == "__main__":
    main()
