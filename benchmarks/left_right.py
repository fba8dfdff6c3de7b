"""What swapping left and right labels on a mirrored crop is worth.

Run:  python benchmarks/left_right.py --work build/learning --out benchmarks/results

The training of learning.py twice for each seed: with ``--swap-sides`` (the default) and with ``--no-swap-sides``
(GluonCV's way: half of all crops are mirrored, and their left arms are taught as right arms). All else is equal: seed,
order, crops, mirror images, steps. The rows hold the IoU of the six left and right classes on the val split after the
last epoch.

Runs that are done are kept in --work, those of learning.py among them. The networks and pictures are small, so that two
cores can do it: the difference between the rows is what it shows, not what the classes reach on the release.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table
from learning import learn

from mhpdata.labels import MHP_V1
from mhpmodels.engines.engine import ENGINES
from mhpmodels.recipe import MODELS

SIDES = [label for pair in MHP_V1.flip_pairs for label in pair]


@click.command()
@click.option("--engine", type=click.Choice(tuple(ENGINES)), default="mxnet", show_default=True)
@click.option("--model", type=click.Choice(MODELS), default="psp", show_default=True)
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for pictures and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(engine: str, model: str, seeds: str, work: Path, out: Path) -> None:
    """Train, and write a table."""
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

{where}
"""
    save(out, f"left_right_{model}_{engine}", {"machine": where, "rows": rows}, text)


def row(seed: int, swap: bool, learned: dict[str, Any]) -> dict[str, Any]:
    """One row of the table, in percent."""
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
