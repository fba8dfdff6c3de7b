"""Train heads that tell persons apart on the CPU; compare them with connected components and with true persons.

Run:  python benchmarks/persons.py --work build/persons --out benchmarks/results --seed 0 --seed 1 --seed 2

For each seed, mhp-train trains the recipe with and without heads on the same small images of mhp-synth: the same first
weights and batches, and up to the second stage the same steps. Then the last network with heads predicts val at packed
size, and its persons are scored in the official form. Rows of one seed share the predicted labels, except for those
with true labels:

    heads               the persons of the heads
    components          connected components of the labels
    true persons        the person of each pixel as packed
    heads, true labels; components, true labels

Finished runs are kept in --work. The figures say nothing about accuracy on the real dataset.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from harness import interleave, machine, ratio, save, table, told

import mhpdata
from mhpdata.loading.loader import Loader
from mhpdata.opencv import cv2
from mhpdata.settings.output import Output
from mhpdata.settings.views import TrainCrop
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.evaluation.metrics import most_likely
from mhpmodels.evaluation.truth import person_runs, true_persons
from mhpmodels.files import checkpoint
from mhpmodels.persons.grouping import LEAST, People, group
from mhpmodels.persons.masks import score_masks
from mhpmodels.persons.precision import Claims, claim_people, rank, score_persons
from mhpmodels.prediction.trained import inference_of, labels_of, open_trained
from mhpmodels.training.tables import read_epochs

RECIPE = (
    "--engine torch --model icnet --backbone resnet18 --base-size 224 --crop-size 160 --scales 0.75 1.25 --blur-prob 0 "
    "--batch-size 4 --optimizer adam --lr 0.001 --head-rate 1 --log-interval 1000 --save-every 1"
)
LAST = 3
"""Number of epochs whose mIoU is averaged."""
THRESHOLDS, SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4), (5, 6, 8)
"""Thresholds and shares of the short side to choose from."""
CHOSEN = 120
"""Number of images of train for that choice."""


@click.command()
@click.option("--work", required=True, type=click.Path(path_type=Path), help="Folder for images and runs; kept.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option("--images", default=600, show_default=True)
@click.option("--epochs", default=7, show_default=True, help="Epochs; half of their steps train the labels alone.")
@click.option("--choose", is_flag=True, help="Also compare thresholds and windows on train, with the first seed.")
def main(work: Path, out: Path, seeds: tuple[int, ...], images: int, epochs: int, choose: bool) -> None:
    """Train the networks and write a table."""
    rec, rows, labels = _packed(work, images), [], []
    for seed in seeds:
        runs = {heads: _run(work, rec, seed, heads, epochs) for heads in (True, False)}
        rows += [{"seed": seed, **row} for row in _compare(runs[True], rec)]
        miou = {heads: statistics.mean(row.miou for row in read_epochs(run)[-LAST:]) for heads, run in runs.items()}
        labels.append({"seed": seed, "mIoU with heads": 100 * miou[True], "without": 100 * miou[False]})
    chosen = _choose(_run(work, rec, seeds[0], True, epochs), rec) if choose else []
    step = _step_ratio(checkpoint.read(runs[True]).config, rec)
    where = machine("numpy", "torch")
    text = f"""# Heads that tell persons apart, on the CPU

Percent on val of {images} images of mhp-synth at packed size (short side 192), by `mhp-train {RECIPE}
--epochs {epochs}`, with and without `--persons`.

{table(rows)}
mIoU in validation, mean of the last {LAST} epochs:

{table(labels)}
A step with heads and targets takes {step:.3f} times as long as one without (median of interleaved pairs).

{_chosen(chosen)}{told(where)}
"""
    content = {"machine": where, "rows": rows, "labels": labels, "step": step, "chosen": chosen}
    save(out, "persons", content, text)


def _chosen(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    caption = "by the smallest value of a centre and the window's share of the short side"
    return f"The first {CHOSEN} images of train, first seed, {caption}:\n\n{table(rows)}\n"


def _packed(work: Path, images: int) -> Path:
    rec = work / f"rec-{images}"
    if not (rec / "manifest.json").exists():
        synthesize(work / f"MHP_v1-{images}", images, seed=0, scale=0.375, progress=True)
        mhpdata.pack(work / f"MHP_v1-{images}", rec, size=192)
    return rec


def _run(work: Path, rec: Path, seed: int, heads: bool, epochs: int) -> Path:
    """Train or resume a run; return its folder."""
    run = work / f"{rec.name}-epochs-{epochs}-seed-{seed}{'-heads' if heads else ''}"
    there = checkpoint.listing(run) if run.is_dir() else ()
    if not there or checkpoint.read(run).position.epoch < epochs:
        flags = f"--data {rec} --save-dir {run} --seed {seed} --epochs {epochs} {'--persons ' * heads}{RECIPE}"
        given = ["--resume", str(run)] if there else flags.split()
        subprocess.run([sys.executable, "-m", "mhptools.train", *given], check=True)
    return run


class _Image(NamedTuple):
    """An image of the split and what the network says: labels uint8 (h, w), masks of true persons, scores (C, h, w)."""

    labels: np.ndarray
    persons: np.ndarray
    masks: list[np.ndarray]
    predicted: np.ndarray
    logits: np.ndarray
    maps: np.ndarray


def _images(run: Path, rec: Path, split: str, limit: int | None = None) -> Iterator[_Image]:
    """Yield the first images of a split with the scores of the last checkpoint of a run."""
    engine, opened = open_trained(checkpoint.listing(run)[-1].weights, {}), mhpdata.open(rec, split)
    inference = inference_of(engine, labels_of(engine.config).flip_pairs, persons=True)
    for index in range(min(len(opened), limit or len(opened))):
        sample = opened[index]
        scores = inference(sample.image)
        logits, maps = scores[: inference.classes], scores[inference.classes :]
        labels = np.where(sample.labels == 255, 0, sample.labels).astype(np.uint8)
        runs = person_runs(sample.record, opened.place(index))
        masks = list(true_persons(runs, sample.record.source_size, (labels.shape[0], labels.shape[1])))
        yield _Image(labels, sample.persons, masks, most_likely(logits), logits, maps)
    engine.close()
    opened.close()


def _compare(run: Path, rec: Path) -> list[dict[str, Any]]:
    """Return a row of figures on val per way to find persons."""
    claims = dict[str, list[Claims]]()
    for image in _images(run, rec, "val"):
        exps = np.exp(image.logits - image.logits.max(0))
        sure = exps.max(0) / exps.sum(0)
        for suffix, labels in (("", image.predicted), (", true labels", image.labels)):
            found = {
                "heads": group(image.logits, image.maps, labels),
                "components": _people(_components(labels), sure),
                "true persons": _people(np.where(labels > 0, image.persons, 0), sure),
            }
            for name, people in found.items():
                claims.setdefault(name + suffix, []).append(_claim(image, people, labels))
    del claims["true persons, true labels"]
    return [{"persons": name, **_figures(images)} for name, images in claims.items()]


def _choose(run: Path, rec: Path) -> list[dict[str, Any]]:
    """Return a row of figures on the first images of train per threshold and window."""
    claims = dict[tuple[float, int], list[Claims]]()
    for image in _images(run, rec, "train", CHOSEN):
        for threshold, share in product(THRESHOLDS, SHARES):
            window = min(image.labels.shape) // share | 1
            people = group(image.logits, image.maps, image.predicted, threshold, window)
            claims.setdefault((threshold, share), []).append(_claim(image, people, image.predicted))
    return [{"threshold": key[0], "window": f"1/{key[1]}", **_figures(images)} for key, images in claims.items()]


def _claim(image: _Image, people: People, labels: np.ndarray) -> Claims:
    return claim_people(people, labels, image.masks, len(image.logits))


def _figures(images: list[Claims]) -> dict[str, Any]:
    """Return figures of a set of images, in percent."""
    figures, masks = score_persons(rank(images)), score_masks(images)
    return {
        "AP^p_vol": 100 * figures.ap_vol,
        "AP^p .5": 100 * figures.ap[4],
        "PCP .5": 100 * figures.pcp[4],
        "mask AP .5": 100 * masks.ap[0],
        "PQ": 100 * masks.pq,
        "right number %": 100 * masks.right_number,
        "predicted": figures.predictions,
        "true": figures.persons,
    }


def _components(labels: np.ndarray) -> np.ndarray:
    count, components = cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)
    return np.where(components < min(count, 256), components, 0)


def _people(owners: np.ndarray, sure: np.ndarray) -> People:
    """Return the persons of a map of at least LEAST pixels, scored by the mean probability of their labels."""
    areas = np.bincount(owners.reshape(-1), minlength=256)
    sums = np.bincount(owners.reshape(-1), sure.reshape(-1), minlength=256)
    kept = [k for k in range(1, 256) if areas[k] >= LEAST]
    table_ = np.zeros(256, np.uint8)
    table_[kept] = np.arange(1, len(kept) + 1)
    return People(table_[owners], tuple(float(sums[k] / areas[k]) for k in kept))


def _step_ratio(config: TrainConfig, rec: Path) -> float:
    """Return the time of a step with heads and targets, as a multiple of one without."""
    view = TrainCrop(config.view.size, config.view.base_size)
    loader = Loader(rec, "train", config.optim.batch_size, view, output=Output(persons="targets"), drop_last=True)
    batch = next(iter(loader))
    heads, plain = open_engine(config), open_engine(config.changed(persons=False))
    given = batch.images, batch.labels, 1e-4, 0
    timings = interleave(
        {"heads": lambda: heads.train_step(*given, batch.targets), "plain": lambda: plain.train_step(*given)}, runs=9
    )

    loader.close()
    heads.close()
    plain.close()
    return ratio(timings["heads"], timings["plain"])


if __name__ == "__main__":
    main()
