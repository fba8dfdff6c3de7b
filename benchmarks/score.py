"""Scoring persons: against the official loop said again plainly, and a set as large as the val split of MHP v2.

Run:  python benchmarks/score.py --out benchmarks/results

Predictions are the true labels and persons of images from mhp-synth, moved by a few pixels, in the form of the MHP
challenge. Both variants read them and the truth from the disk and give AP^p and PCP at .1 ... .9; they are run in turn,
after a warm-up, and their figures compared.

- mhp-score: ``mhpmodels.score.score`` with two threads
- plain: as the official code does it, on one thread: for each threshold and each prediction, the mask of each true
  person is read from its PNG and a histogram of the whole image is made
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import cv2
import numpy as np
from harness import as_row, interleave, machine, ratio, save, table

import mhpdata
from mhpdata.merge import merge
from mhpdata.synth import synthesize
from mhpdata.threads import single_threaded_opencv
from mhpmodels.persons import THRESHOLDS
from mhpmodels.score import score

WORKERS, CLASSES, MOVED = 2, 19, 4


def predict(rec: Path, split: str, out: Path) -> int:
    """Write the truth of a split, moved, as predictions; how many images there are."""
    for name in ("global_seg", "global_tag"):
        (out / name).mkdir(parents=True)
    lines, rng = [], np.random.default_rng(0)
    samples = mhpdata.open(rec, split)
    for index in range(len(samples)):
        sample = samples[index]
        merged = merge(sample.masks, "first")
        for name, plane in (("global_seg", merged.labels), ("global_tag", merged.persons)):
            moved = np.roll(plane, MOVED, axis=(0, 1))
            (out / name / f"{sample.name}.png").write_bytes(cv2.imencode(".png", moved)[1].tobytes())
        persons = [f"{person} {rng.random():.4f}" for person in range(1, len(sample.record.masks) + 1)]
        lines.append(" ".join([sample.name, *persons]))
    (out / "results.txt").write_text("\n".join(lines) + "\n")
    return len(samples)


def plain(source: Path, out: Path) -> tuple[list[float], list[float]]:
    """AP^p and PCP at each threshold, the official way."""
    queue = []
    for line in (out / "results.txt").read_text().splitlines():
        name, *items = line.split()
        labels, tags = (cv2.imread(str(out / kind / f"{name}.png"), -1) for kind in ("global_seg", "global_tag"))
        for person, confidence in zip(items[::2], items[1::2], strict=True):
            if (tags == int(person)).any():
                queue.append((-float(confidence), name, np.where(tags == int(person), labels, 0)))
    queue.sort(key=lambda item: item[0])
    names = {name for _, name, _ in queue}
    masks = {name: sorted((source / "annotations").glob(f"{name}_*.png")) for name in names}
    total = sum(map(len, masks.values()))
    aps, pcps = [], []
    for threshold in THRESHOLDS:
        taken, hits, shares = set(), [], []
        for _, name, predicted in queue:
            best, whose = -1.0, -1
            for person, path in enumerate(masks[name]):
                truth = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                pairs = np.bincount(CLASSES * truth.ravel().astype(int) + predicted.ravel(), minlength=CLASSES**2)
                counts = pairs.reshape(CLASSES, CLASSES).astype(float)
                common = np.diag(counts)
                with np.errstate(invalid="ignore"):
                    ious = common / (counts.sum(0) + counts.sum(1) - common)
                if np.nanmean(ious) > best:
                    best, whose, found, parts = np.nanmean(ious), person, ious, len(np.unique(truth[truth > 0]))
            hit = best > threshold and (name, whose) not in taken
            hits.append(hit)
            if hit:
                taken.add((name, whose))
                shares.append(np.sum(found[1:] > threshold) / parts)
        recall = np.concatenate([[0], np.cumsum(hits) / total, [1]])
        precision = np.concatenate([[0], np.cumsum(hits) / np.arange(1, len(hits) + 1), [0]])
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        aps.append(float(np.sum(np.diff(recall) * envelope[1:])))
        pcps.append(float(sum(shares) / total))
    return aps, pcps


@click.command()
@click.option("--images", default=80, show_default=True, help="A fifth of them, its val split, is scored in both ways.")
@click.option(
    "--large", default=5000, show_default=True, help="Images of the set that is scored once, fast; 0 for none."
)
@click.option("--runs", default=5, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Keep the large set here, or take it from here.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results", show_default=True)
def main(images: int, large: int, runs: int, work: Path | None, out: Path) -> None:
    """Measure scoring and write score.json and score.md."""
    with tempfile.TemporaryDirectory() as name, single_threaded_opencv():
        root = Path(name)
        source, rec, predictions = root / "MHP_v1", root / "rec", root / "pred"
        synthesize(source, images=images, seed=0)
        mhpdata.pack(source, rec, workers=WORKERS)
        count = predict(rec, "val", predictions)
        variants = {
            f"mhp-score, {WORKERS} threads": lambda: score(rec, predictions, "val", threads=WORKERS),
            "plain, 1 thread": lambda: plain(source, predictions),
        }
        timings = interleave(variants, runs)
        ours, theirs = timings.values()
        found, (aps, pcps) = ours.results[-1].persons, theirs.results[-1]
        np.testing.assert_allclose(found.ap, aps, atol=1e-12)
        np.testing.assert_allclose(found.pcp, pcps, atol=1e-12)
        many = score_many(large, work or root / "large") if large else None
    rows = [{"variant": variant, **as_row(timing, count)} for variant, timing in timings.items()]
    faster = ratio(theirs, ours)
    where = machine("numpy", "opencv-python", "numba")
    lines = [f"# Scoring {found.persons} persons in {count} images of mhp-synth at nine thresholds", "", table(rows)]
    lines.append(f"- images/s of mhp-score over those of the plain loop: {faster:.0f}")
    if many is not None:
        lines.append(
            f"- {many['images']} images with {many['persons']} persons, once, pixAcc and mIoU and a row an image with "
            f"them: {many['wall_s']:.1f} s, CPU {many['cpu_s']:.1f} s"
        )
    lines += ["", ", ".join(f"{key} {value}" for key, value in where.items()), ""]
    seconds = {variant: {"wall_s": t.wall_s, "cpu_s": t.cpu_s} for variant, t in timings.items()}
    content = {"images": count, "machine": where, "rows": rows, "ratio": faster, "large": many, "seconds": seconds}
    save(out, "score", content, "\n".join(lines))


def score_many(images: int, work: Path) -> dict[str, float]:
    """Score so many images, all in one split; what it took."""
    if not (work / "pred" / "results.txt").exists():
        synthesize(work / "MHP_v1", images=images, seed=1)
        names = sorted(path.name for path in (work / "MHP_v1" / "images").iterdir())
        (work / "MHP_v1" / "train_list.txt").write_text("")
        (work / "MHP_v1" / "test_list.txt").write_text("".join(f"{name}\n" for name in names))
        mhpdata.pack(work / "MHP_v1", work / "rec", workers=WORKERS)
        predict(work / "rec", "test", work / "pred")
    begun, cpu = time.perf_counter(), time.process_time()
    found = score(work / "rec", work / "pred", "test", threads=WORKERS)
    return {
        "images": len(found.rows),
        "persons": found.persons.persons,
        "wall_s": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    main()
