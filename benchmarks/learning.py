"""Train the networks on the CPU for minutes; report what they learn and the loader's cost.

Run:  python benchmarks/learning.py --engine mxnet --work build/learning --out benchmarks/results

mhp-train trains each network from random weights on the same small images of mhp-synth. A row compares the last
epoch's validation with the prediction "background everywhere", and reports the share of the training steps' wall time
that the loop waits for the loader. The curve is the mIoU after each epoch.

Finished runs are kept in --work; run the same command again to resume an interrupted benchmark. The figures show that
learning works; they say nothing about accuracy on the real dataset.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table, told

import mhpdata
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import ENGINES
from mhpmodels.evaluation.metrics import Confusion
from mhpmodels.files import checkpoint
from mhpmodels.models import GLUONCV
from mhpmodels.training.feed import Feed
from mhpmodels.training.tables import read_epochs, read_steps

IMAGES = 680
COMMON = "--backbone resnet18 --blur-prob 0 --optimizer adam --lr 0.001 --head-rate 1 --log-interval 1000"
RECIPE = {
    "icnet": f"--base-size 256 --crop-size 192 --batch-size 4 --epochs 12 {COMMON}",
    "psp": f"--base-size 128 --crop-size 96 --batch-size 8 --epochs 18 {COMMON}",
}
"""ICNet's deepest branch sees a quarter of the crop's side: crops of 96 pixels leave too little to learn quickly.
PSPNet's widest pooling leaves one value per image, so batch norm needs more than four images. The heads use the
backbone's learning rate because no weights are pretrained."""
# by default MXNet uses one thread on two cores
THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--model", "models", multiple=True, type=click.Choice(tuple(GLUONCV)), help="[default: all]")
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for images and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, models: tuple[str, ...], work: Path, out: Path) -> None:
    """Train the networks and write a table."""
    rows = [learn(work, engine, model) for model in models or GLUONCV]
    where = machine("numpy", *ENGINES[engine])
    curves = "\n".join(f"- {row['model']}: {', '.join(row['curve'])}" for row in rows)
    figures = [{name: value for name, value in row.items() if not isinstance(value, list)} for row in rows]
    recipes = "".join(f"\n- {model}: `{flags}`" for model, flags in RECIPE.items()) + "\n"
    text = f"""# Learning on the CPU, engine {engine}

mIoU in percent on the val split of {IMAGES} images of mhp-synth, from random weights, by `mhp-train` with
{recipes}
and in the environment {" ".join(f"{name}={value}" for name, value in THREADS.items())}.

{table(figures)}
Minutes are of wall clock, on a machine that may have had other work; CPU minutes are the command's own.

After each epoch:

{curves}

{told(where)}
"""
    save(out, f"learning_{engine}", {"machine": where, "rows": rows}, text)


def learn(work: Path, engine: str, model: str, seed: int = 0, swap: bool = True) -> dict[str, Any]:
    """Return figures, curve and IoU of each class of a run of the recipe; train it unless it is done already."""
    run = work / f"{engine}-{model}-seed-{seed}{'' if swap else '-no-swap'}"
    kept = run.with_suffix(".json")
    if not kept.exists():
        kept.write_text(json.dumps(_learn(_packed(work), run, engine, model, seed, swap)))
    row: dict[str, Any] = json.loads(kept.read_text())
    return row


def _packed(work: Path) -> Path:
    rec = work / "rec"
    if not (rec / "manifest.json").exists():
        synthesize(work / "MHP_v1", IMAGES, seed=0, scale=0.375, progress=True)
        mhpdata.pack(work / "MHP_v1", rec, size=192)
    return rec


def _learn(rec: Path, run: Path, engine: str, model: str, seed: int, swap: bool) -> dict[str, Any]:
    flags = f"--data {rec} --save-dir {run} --model {model} --engine {engine} --seed {seed}"
    flags += f" --{'' if swap else 'no-'}swap-sides {RECIPE[model]}"
    begun = run.is_dir() and checkpoint.listing(run)
    before = _cpu()
    command = [sys.executable, "-m", "mhptools.train", *(["--resume", str(run)] if begun else flags.split())]
    subprocess.run(command, check=True, env={**os.environ, **THREADS})
    cpu = _cpu() - before
    steps, epochs = read_steps(run), read_epochs(run)
    training, validation = sum(row.seconds for row in steps), sum(row.seconds for row in epochs)
    return {
        "model": model,
        "engine": engine,
        "epochs": len(epochs),
        "steps": len(steps),
        "mIoU": 100 * epochs[-1].miou,
        "background everywhere": 100 * _background(checkpoint.read(run).config),
        "pixAcc": 100 * epochs[-1].pix_acc,
        "minutes": (training + validation) / 60,
        "CPU minutes": "unknown" if begun else cpu / 60,
        "waiting for the loader %": 100 * sum(row.waited for row in steps) / training,
        "curve": [f"{100 * row.miou:.1f}" for row in epochs],
        "iou": list(epochs[-1].iou),
    }


def _cpu() -> float:
    """Return the CPU seconds of children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _background(config: TrainConfig) -> float:
    """Return the mIoU of predicting background for every pixel."""
    feed, found = Feed(config), Confusion(config.network.classes)
    assert feed.val is not None
    for batch in feed.val:
        found.update(np.zeros_like(batch.labels), batch.labels)
    feed.close()
    return found.miou


if __name__ == "__main__":
    main()
