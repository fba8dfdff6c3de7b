"""Measure the gain from swapping left and right labels on mirrored crops.

Run:  python benchmarks/left_right.py --work build/learning --out benchmarks/results

The training of learning.py runs twice per seed: with ``--swap-sides`` (the default) and with ``--no-swap-sides``
(as in GluonCV: half of all crops are mirrored, and their left arms are labelled as right arms). All else is equal:
seed, order, crops, mirroring, steps. The rows hold the IoU of the six left and right classes on the val split after the
last epoch.

Finished runs are kept in --work, including those of learning.py. Networks and images are small enough for two cores:
only the difference between the rows is meaningful, not the IoU that classes would reach on the real dataset.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told
from learning import learn

from mhpdata.labels import MHP_V1
from mhpmodels.engines.engine import ENGINES
from mhpmodels.models import GLUONCV

SIDES = [label for pair in MHP_V1.flip_pairs for label in pair]


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--model", type=click.Choice(tuple(GLUONCV)), default="psp", show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for images and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, model: str, seeds: str, work: Path, out: Path) -> None:
    """Train all variants and write a table."""
    rows, gains = [], []
    for seed in map(int, seeds.split(",")):
        pair = [row(seed, swap, learn(work, engine, model, seed, swap)) for swap in (True, False)]
        rows += pair
        gains.append(pair[0]["mean of the six"] - pair[1]["mean of the six"])
    where = machine("numpy", *ENGINES[engine])
    by_seed = ", ".join(f"{gain:+.1f}" for gain in gains)
    text = f"""# Left and right labels swapped on a mirrored crop, or not

IoU in percent on the val split of mhp-synth; {model} on engine {engine}, trained as in learning_{engine}.md.

{table(rows)}
Swapping gives the six classes {statistics.mean(gains):+.1f} points on average (by seed: {by_seed}).

{told(where)}
"""
    save(out, f"left_right_{model}_{engine}", {"machine": where, "rows": rows}, text)


def row(seed: int, swap: bool, learned: dict[str, Any]) -> dict[str, Any]:
    """Return one row of the table, in percent."""
    iou = learned["iou"]
    sides = {MHP_V1.names[label]: 100 * iou[label] for label in SIDES}
    others = [100 * value for label, value in enumerate(iou) if label not in SIDES]
    return {
        "labels": "swapped" if swap else "as they are",
        "seed": seed,
        **sides,
        "mean of the six": statistics.mean(sides.values()),
        "mean of the others": statistics.mean(others),
        "mIoU": learned["mIoU"],
    }


if __name__ == "__main__":
    main()
