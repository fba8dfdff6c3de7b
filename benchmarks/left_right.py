"""What swapping left and right labels on a mirrored crop is worth.

Run:  python benchmarks/left_right.py --work build/left_right --out benchmarks/results

The same training twice for each seed, on pictures of mhp-synth: with ``--swap-sides`` (the default) and with
``--no-swap-sides`` (GluonCV's way: half of all crops are mirrored, and their left arms are taught as right arms). All
else is equal: seed, order, crops, mirror images, steps. The rows hold the IoU of the six left and right classes on the
val split after the last epoch.

A run that is interrupted goes on when the same command is given again. The networks and pictures are small, so that two
cores can do it: the difference between the rows is what it shows, not what the classes reach on the release.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table

import mhpdata
from mhpdata.labels import MHP_V1
from mhpdata.synth import synthesize
from mhpmodels import checkpoint
from mhpmodels.config import TrainConfig
from mhpmodels.engines import ENGINES
from mhpmodels.runlog import EpochRow, read_epochs
from mhpmodels.train import train

SIDES = [label for pair in MHP_V1.flip_pairs for label in pair]


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--model", default="psp", show_default=True)
@click.option("--epochs", default=30, show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--images", default=340, show_default=True)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for pictures and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, model: str, epochs: int, seeds: str, images: int, work: Path, out: Path) -> None:
    """Train, and write a table."""
    if not (work / "rec" / "manifest.json").exists():
        synthesize(work / "MHP_v1", images, 0, None, False, progress=True, scale=0.25)
        mhpdata.pack(work / "MHP_v1", work / "rec", size=128)
    rows = []
    for seed in map(int, seeds.split(",")):
        for swap in (True, False):
            config = TrainConfig(
                data=str(work / "rec"),
                engine=engine,
                model=model,
                backbone="resnet18",
                base_size=96,
                crop_size=96,
                batch_size=8,
                blur_prob=0.0,
                optimizer="adam",
                lr=1e-3,
                head_rate=1.0,
                epochs=epochs,
                seed=seed,
                swap_sides=swap,
                log_interval=1000,
            )
            rows.append(row(config, run(config, work / f"{model}-seed-{seed}-{'swap' if swap else 'no-swap'}")))
    gains = [a["mean of the six"] - b["mean of the six"] for a, b in zip(rows[::2], rows[1::2], strict=True)]
    where = machine("numpy", *ENGINES[engine])
    by_seed = ", ".join(f"{gain:+.1f}" for gain in gains)
    text = f"""# Left and right labels swapped on a mirrored crop, or not

IoU in percent on the val split of mhp-synth; {model} resnet18, {epochs} epochs.

{table(rows)}
Swapping gives the six classes {statistics.mean(gains):+.1f} points on average (by seed: {by_seed}).

{where}
"""
    save(out, "left_right", {"machine": where, "rows": rows}, text)


def run(config: TrainConfig, folder: Path) -> EpochRow:
    """The last epoch of a run, begun or gone on with where it is not done."""
    begun = checkpoint.listing(folder) if folder.is_dir() else ()
    outcome = train(config, folder, resume=folder if begun else None)
    if outcome.signal is not None:
        raise SystemExit("Interrupted. Give the same command again to go on.")
    return read_epochs(folder)[-1]


def row(config: TrainConfig, last: EpochRow) -> dict[str, Any]:
    """One row of the table, in percent."""
    sides = {MHP_V1.names[label]: 100 * last.iou[label] for label in SIDES}
    others = [100 * iou for label, iou in enumerate(last.iou) if label not in SIDES]
    return {
        "labels": "swapped" if config.swap_sides else "as they are",
        "seed": config.seed,
        **sides,
        "mean of the six": statistics.mean(sides.values()),
        "mean of the others": statistics.mean(others),
        "mIoU": 100 * last.miou,
    }


if __name__ == "__main__":
    main()
