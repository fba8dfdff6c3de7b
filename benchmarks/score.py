"""Compare the scoring of persons with the official loop, and time a set as large as the val split of MHP v2.

Run:  python benchmarks/score.py --out benchmarks/results

Predictions are the true labels and persons of images from mhp-synth, shifted by a few pixels, in the form of the MHP
challenge. Both variants read them and the truth from the disk and compute AP^p and PCP at .1 ... .9; they run in turn,
after a warm-up, and must give the same figures.

- mhp-score: ``mhpmodels.scoring.score.score`` with two threads
- plain: the algorithm of the official code (ZhaoJ9014/Multi-Human-Parsing, ``v1/eval_mhp.py``) on one thread: for each
  threshold it reads all true masks to find the persons that count; then, for each prediction, it reads each true mask
  of the image again and makes a histogram of its pixels. Predictions are read once. pixAcc and mIoU, which mhp-score
  computes as well, are omitted
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import cv2
import numpy as np
from harness import as_row, interleave, machine, ratio, save, table, told

import mhpdata
from mhpdata.masks.merge import merge
from mhpdata.processes.threads import single_threaded_opencv
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.persons.precision import THRESHOLDS
from mhpmodels.scoring.score import score

WORKERS, CLASSES, MOVED = 2, 19, 4


def predict(rec: Path, split: str, out: Path) -> int:
    """Write the truth of a split, shifted, as predictions; return the number of images."""
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
    """Return AP^p and PCP at each threshold, computed as in the official code."""
    queue = []
    for line in (out / "results.txt").read_text().splitlines():
        name, *items = line.split()
        labels, tags = (cv2.imread(str(out / folder / f"{name}.png"), -1) for folder in ("global_seg", "global_tag"))
        for person, confidence in zip(items[::2], items[1::2], strict=True):
            if (tags == int(person)).any():
                queue.append((-float(confidence), name, (tags == int(person)) * labels))
    queue.sort(key=lambda item: item[0])
    files = {name: sorted((source / "annotations").glob(f"{name}_*.png")) for name in {name for _, name, _ in queue}}
    aps, pcps = zip(*(plain_at(threshold, queue, files) for threshold in THRESHOLDS), strict=True)
    return list(aps), list(pcps)


def plain_at(
    threshold: float, queue: list[tuple[float, str, np.ndarray]], files: dict[str, list[Path]]
) -> tuple[float, float]:
    """Return AP^p and PCP at one threshold; the official code repeats all of this per threshold."""
    persons = {name: [path for path in paths if plain_counts(path)] for name, paths in files.items()}
    total = sum(map(len, persons.values()))
    taken, hits, shares = set(), [], []
    for _, name, mask in queue:
        predicted, best, whose = mask.astype(int), -1.0, -1
        for person, path in enumerate(persons[name]):
            truth = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            ious = plain_ious(predicted.astype(np.uint8), truth)
            if np.nanmean(ious) > best:
                best, whose, found, labels = np.nanmean(ious), person, ious, np.unique(truth)
        hit = best > threshold and (name, whose) not in taken
        hits.append(hit)
        if hit:
            taken.add((name, whose))
            shares.append(np.sum(found[1:] > threshold) / np.sum((labels > 0) & (labels < CLASSES)))
    recall = np.concatenate([[0], np.cumsum(hits) / total, [1]])
    precision = np.concatenate([[0], np.cumsum(hits) / np.arange(1, len(hits) + 1), [0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:])), float(sum(shares) / total)


def plain_counts(path: Path) -> bool:
    """Return whether a true person has a label other than 255."""
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return bool(np.sum(mask > 0)) and not np.allclose(mask == 255, mask > 0)


def plain_ious(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the IoU of each class, from a histogram of all pairs of labels."""
    known = truth < CLASSES
    pairs = np.bincount(CLASSES * truth[known].astype(int) + predicted[known], minlength=CLASSES**2)
    counts = pairs.reshape(CLASSES, CLASSES).astype(float)
    common = np.diag(counts)
    with np.errstate(invalid="ignore"):
        return common / (counts.sum(0) + counts.sum(1) - common)


@click.command()
@click.option(
    "--images",
    default=80,
    show_default=True,
    help="Number of images; a fifth of them, the val split, is scored by both.",
)
@click.option(
    "--large",
    default=5000,
    show_default=True,
    help="Number of images of the set that only mhp-score scores, once; 0 omits it.",
)
@click.option("--runs", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results", show_default=True)
def main(images: int, large: int, runs: int, out: Path) -> None:
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
        many = score_many(source, large, root / "large") if large else None
    rows = [{"variant": variant, **as_row(timing, count)} for variant, timing in timings.items()]
    faster, cheaper = ratio(theirs, ours), theirs.cpu / ours.cpu
    where = machine("numpy", "opencv-python", "numba")
    lines = [f"# Scoring {found.persons} persons in {count} images of mhp-synth at nine thresholds", "", table(rows)]
    lines.append(f"- images/s of mhp-score over those of the plain loop, median of the turns: {faster:.0f}")
    lines.append(f"- CPU seconds of the plain loop over those of mhp-score, medians: {cheaper:.0f}")
    if many is not None:
        lines.append(
            f"- {many['images']} images with {many['persons']} persons and {many['Mpixel']:.0f} Mpixel, once, at all "
            f"thresholds: {many['wall_s']:.1f} s, CPU {many['cpu_s']:.1f} s; AP^p_vol {many['AP^p_vol']:.3f}"
        )
        lines.append("- their masks are those of the other images, mirrored and shifted: no two images are equal")
    lines += ["", told(where), ""]
    seconds = {variant: {"wall_s": t.wall_s, "cpu_s": t.cpu_s} for variant, t in timings.items()}
    content = {
        "images": count,
        "machine": where,
        "rows": rows,
        "ratio": faster,
        "cpu_ratio": cheaper,
        "large": many,
        "seconds": seconds,
    }
    save(out, "score", content, "\n".join(lines))


def write_many(source: Path, images: int, out: Path) -> None:
    """Write ``images`` different images in the form of LV-MHP v1, cheaply.

    The masks are those of the images of ``source`` in turn, mirrored or not and shifted cyclically by a random number
    of pixels. The images themselves, which scoring does not read, are smooth noise.
    """
    for name in ("images", "annotations"):
        (out / name).mkdir(parents=True)
    names = sorted(path.stem for path in (source / "images").iterdir())
    files = {name: sorted((source / "annotations").glob(f"{name}_*")) for name in names}

    def write_image(i: int) -> None:
        rng, name = np.random.default_rng(i), names[i % len(names)]
        flipped, moved = rng.integers(2), None
        for path in files[name]:
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            moved = rng.integers(0, mask.shape).tolist() if moved is None else moved
            mask = np.roll(mask[:, ::-1] if flipped else mask, moved, axis=(0, 1))
            target = out / "annotations" / path.name.replace(name, f"{i + 1:04d}", 1)
            target.write_bytes(cv2.imencode(".png", mask)[1].tobytes())
        photo = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), mask.shape[::-1])
        (out / "images" / f"{i + 1:04d}.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())

    with ThreadPoolExecutor(WORKERS) as threads:
        for _ in threads.map(write_image, range(images)):
            pass
    (out / "train_list.txt").write_text("")
    (out / "test_list.txt").write_text("".join(f"{i + 1:04d}.jpg\n" for i in range(images)))


def score_many(source: Path, images: int, work: Path) -> dict[str, float]:
    """Score ``images`` images once; return counts and durations."""
    write_many(source, images, work / "MHP_v1")
    # masks are stored and scored at source size
    mhpdata.pack(work / "MHP_v1", work / "rec", size=64, splits=["test"], workers=WORKERS)
    predict(work / "rec", "test", work / "pred")
    rows = mhpdata.open(work / "rec", "test").manifest
    assert not rows.duplicates, "equal images"
    begun, cpu = time.perf_counter(), time.process_time()
    found = score(work / "rec", work / "pred", "test", threads=WORKERS)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert found.persons is not None and found.persons.persons == len(list((work / "MHP_v1" / "annotations").iterdir()))
    return {
        "images": len(found.rows),
        "persons": found.persons.persons,
        "Mpixel": sum(row.height * row.width for row in found.rows) / 1e6,
        "AP^p_vol": found.persons.ap_vol,
        "wall_s": wall,
        "cpu_s": cpu,
    }


if __name__ == "__main__":
    main()
