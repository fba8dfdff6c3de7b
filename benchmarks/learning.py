"""What the networks learn on the CPU within minutes, and what the loader costs meanwhile.

Run:  python benchmarks/learning.py --work build/learning --out benchmarks/results

Each network is trained by mhp-train with each engine, from random weights, on the same small pictures of mhp-synth. A
row says what the last epoch's validation gives beside the answer "background everywhere", and which share of the
training steps' wall time the loop waited for the loader. The curve is the mIoU after each epoch.

Runs that are done are kept in --work, so an interrupted benchmark goes on when the same command is given again. The
figures show that learning works; they say nothing of the release.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table

import mhpdata
from mhpdata.synth import synthesize
from mhpmodels import checkpoint
from mhpmodels.config import MODELS
from mhpmodels.engines import ENGINES, installed
from mhpmodels.feed import Feed
from mhpmodels.metrics import Confusion
from mhpmodels.runlog import read_epochs, read_steps

IMAGES = 680
RECIPE = "--backbone resnet18 --base-size 128 --crop-size 96 --batch-size 8 --blur-prob 0"
RECIPE += " --optimizer adam --lr 0.001 --head-rate 1 --log-interval 1000"
EPOCHS = {"icnet": 22, "psp": 18}


@click.command()
@click.option("--engine", "engines", multiple=True, type=click.Choice(tuple(ENGINES)), help="[default: all here]")
@click.option("--model", "models", multiple=True, type=click.Choice(MODELS), help="[default: all]")
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for pictures and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engines: tuple[str, ...], models: tuple[str, ...], work: Path, out: Path) -> None:
    """Train, and write a table."""
    rec = pictures(work)
    rows = [learn(rec, engine, model, work) for model in models or MODELS for engine in engines or installed()]
    where = machine("numpy", *(name for engine in engines or installed() for name in ENGINES[engine]))
    curves = "\n".join(f"- {row['model']}, {row['engine']}: {', '.join(row['curve'])}" for row in rows)
    text = f"""# Learning on the CPU

mIoU in percent on the val split of {IMAGES} pictures of mhp-synth, from random weights:
`mhp-train {RECIPE}` and `--model`, `--engine`, `--epochs` as below.

{table([{name: row[name] for name in row if name != "curve"} for row in rows])}
After each epoch:

{curves}

{where}
"""
    save(out, "learning", {"machine": where, "rows": rows}, text)


def pictures(work: Path) -> Path:
    """The packed folder below ``work``: made, where it is not there."""
    rec = work / "rec"
    if not (rec / "manifest.json").exists():
        synthesize(work / "MHP_v1", IMAGES, seed=0, scale=0.25, progress=True)
        mhpdata.pack(work / "MHP_v1", rec, size=128)
    return rec


def learn(rec: Path, engine: str, model: str, work: Path) -> dict[str, Any]:
    """One row of the table: of a run that is there, or is made."""
    kept, run = work / f"{engine}-{model}.json", work / f"{engine}-{model}"
    if kept.exists():
        done: dict[str, Any] = json.loads(kept.read_text())
        return done
    flags = f"--data {rec} --save-dir {run} --model {model} --engine {engine} --epochs {EPOCHS[model]} {RECIPE}"
    going_on = run.is_dir() and checkpoint.listing(run)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "mhptools.train", *(["--resume", str(run)] if going_on else flags.split())]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    steps, epochs = read_steps(run), read_epochs(run)
    training, validation = sum(row.seconds for row in steps), sum(row.seconds for row in epochs)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
    row = {
        "model": model,
        "engine": engine,
        "epochs": len(epochs),
        "steps": len(steps),
        "mIoU": 100 * epochs[-1].miou,
        "pixAcc": 100 * epochs[-1].pix_acc,
        "background everywhere": 100 * background(checkpoint.read(run).config),
        "minutes": (training + validation) / 60,
        "of them validation": validation / 60,
        "CPU minutes": "" if going_on else cpu,
        "wait for the loader %": 100 * sum(row.waited for row in steps) / training,
        "curve": [f"{100 * row.miou:.1f}" for row in epochs],
    }
    kept.write_text(json.dumps(row))
    return row


def background(config: Any) -> float:
    """mIoU of the answer "background" for every pixel."""
    feed, found = Feed(config), Confusion(config.classes)
    assert feed.val is not None
    for batch in feed.val:
        found.update(np.zeros_like(batch.labels), batch.labels)
    feed.close()
    return found.miou


if __name__ == "__main__":
    main()
