"""Packing: against the sum of its unavoidable costs, against the old way, and threads against processes.

Run:  python benchmarks/pack.py --images 240 --out benchmarks/results

All variants work on the same folder from mhp-synth and are run in turn in one process, after a warm-up:

- pack: mhpdata.pack with two workers, to a fresh folder, everything on the disk at its end
- old way: one process merges and resizes with Pillow and masked arrays (old_recipe.py), then encodes image and labels
  as mhp does
- decode, resize, encode: what cannot be avoided, alone, on one thread, from and to memory
- threads, processes: the conversion alone on two workers of either kind
"""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from harness import Timing, as_row, interleave, machine, save, table
from old_recipe import merge_and_resize

import mhpdata
from mhpdata.codec import encode_image
from mhpdata.convert import convert
from mhpdata.image import decode_image, decode_mask
from mhpdata.labels import MHP_V1
from mhpdata.layouts import Entry, scan
from mhpdata.merge import Merged, merge
from mhpdata.options import PackOptions
from mhpdata.record import Record, encode_record, parse_record
from mhpdata.resize import packed_size, resize_image
from mhpdata.runs import deflate_mask, encode_runs, resize_runs
from mhpdata.scratch import Scratch
from mhpdata.synth import synthesize
from mhpdata.threads import in_order, single_threaded_opencv

WORKERS = 2
OPTIONS = PackOptions()


scratch = Scratch()


@dataclass(frozen=True)
class Loaded:
    """An entry's files and what becomes of them on the way, for the costs measured alone."""

    photo: bytes
    masks: list[bytes]
    decoded: list[np.ndarray]
    merged: Merged
    image: np.ndarray
    size: tuple[int, int]
    small: np.ndarray
    record: Record


def load(root: Path, entry: Entry) -> Loaded:
    """Everything beforehand, so that each cost can be measured from memory."""
    photo, masks = (root / entry.image.path).read_bytes(), [(root / mask.path).read_bytes() for mask in entry.masks]
    image, header = decode_image(photo, entry.name)
    decoded = [decode_mask(mask, entry.name, image.shape[:2], len(MHP_V1)) for mask in masks]
    size = packed_size(header.height, header.width, OPTIONS.size)
    record = parse_record(convert(root, entry, MHP_V1, OPTIONS).data, 0)
    return Loaded(photo, masks, decoded, merge(decoded), image, size, resize_image(image, size), record)


def decode(loaded: list[Loaded]) -> None:
    """Photos and masks to arrays."""
    for one in loaded:
        image, _ = decode_image(one.photo, "photo", partial(scratch.empty, "photo"))
        for mask in one.masks:
            decode_mask(mask, "mask", image.shape[:2], len(MHP_V1))


def resize(loaded: list[Loaded]) -> None:
    """Images to the packed size."""
    for one in loaded:
        resize_image(one.image, one.size, scratch.empty("resized", (*one.size, 3)))


def encode_images(loaded: list[Loaded]) -> None:
    """Images to JPEG."""
    for one in loaded:
        encode_image(one.small, OPTIONS.image, OPTIONS.quality, scratch.empty("swapped", one.small.shape))


def encode_records(loaded: list[Loaded]) -> None:
    """Label maps and masks to runs, all to records; the JPEGs are there already."""
    for one in loaded:
        runs = resize_runs(*encode_runs(one.merged.labels, one.merged.persons), one.image.shape[:2], one.size)
        masks = [deflate_mask(mask) for mask in one.decoded]
        encode_record(replace(one.record, row_offsets=runs[0], runs=runs[1], masks=masks))


def pack(root: Path, out: Path) -> mhpdata.Manifest:
    """A fresh pack, to the last byte on the disk."""
    shutil.rmtree(out, ignore_errors=True)
    return mhpdata.pack(root, out, workers=WORKERS)


def old_way(root: Path, entries: list[Entry]) -> list[int]:
    """Merge and resize as the old recipe did, encode as mhp does; returns the labels' sums."""
    sums = []
    for entry in entries:
        image, labels = merge_and_resize(root, entry, OPTIONS.size)
        encode_image(image, OPTIONS.image, OPTIONS.quality)
        encode_runs(labels, labels)
        sums.append(int(labels.sum()))
    return sums


def old_way_alone(root: Path, entries: list[Entry]) -> None:
    """What the old recipe did at every epoch."""
    for entry in entries:
        merge_and_resize(root, entry, OPTIONS.size)


def converted(root: Path, entries: list[Entry], pool: Executor) -> None:
    """Records of all entries, by the workers of a pool."""
    work = partial(convert, root, labels=MHP_V1, options=OPTIONS)
    for _, future in in_order(pool, work, entries, ahead=4 * WORKERS):
        future.result()


@click.command()
@click.option("--images", default=480, show_default=True)
@click.option("--runs", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results", show_default=True)
def main(images: int, runs: int, out: Path) -> None:
    """Measure packing and write pack.json and pack.md."""
    with tempfile.TemporaryDirectory() as name, single_threaded_opencv():
        root, rec = Path(name) / "MHP_v1", Path(name) / "rec"
        synthesize(root, images=images, seed=0)
        entries = [entry for split in scan(root).entries.values() for entry in split]
        loaded = [load(root, entry) for entry in entries]
        with ThreadPoolExecutor(WORKERS) as threads, ProcessPoolExecutor(WORKERS) as processes:
            timings = interleave(
                {
                    f"pack, {WORKERS} workers": lambda: pack(root, rec),
                    "old way, 1 process": lambda: old_way(root, entries),
                    "its merge and resize alone": lambda: old_way_alone(root, entries),
                    "decode": lambda: decode(loaded),
                    "resize": lambda: resize(loaded),
                    "encode the image": lambda: encode_images(loaded),
                    "encode the record": lambda: encode_records(loaded),
                    f"convert, {WORKERS} threads": lambda: converted(root, entries, threads),
                    f"convert, {WORKERS} processes": lambda: converted(root, entries, processes),
                },
                runs,
            )
        check(rec, entries, timings["old way, 1 process"].result)
    report(timings, images, out)


def check(rec: Path, entries: list[Entry], old_sums: list[int]) -> None:
    """The old way and the pack have made the same label maps, up to ties of the nearest pixel."""
    splits = ("train", "val", "test")
    sums = [int(sample.labels.sum()) for split in splits for sample in mhpdata.open(rec, split)]
    assert len(sums) == len(entries)
    np.testing.assert_allclose(sums, old_sums, rtol=0.01)


def report(timings: dict[str, Timing], images: int, out: Path) -> None:
    """Rows, ratios and what they mean, to ``out``."""
    rows = [{"variant": name, **as_row(timing, images)} for name, timing in timings.items()]
    new, old = timings[f"pack, {WORKERS} workers"], timings["old way, 1 process"]
    image_costs = sum(timings[name].wall for name in ("decode", "resize", "encode the image"))
    all_costs = image_costs + timings["encode the record"].wall
    ratios = {
        "images/s of pack over those of its unavoidable costs": all_costs / WORKERS / new.wall,
        "the same, not counting the encoding of labels and masks as unavoidable": image_costs / WORKERS / new.wall,
        "images/s of pack over those of the old way": old.wall / new.wall,
        "CPU of the old way over that of pack": old.cpu / new.cpu,
        "threads over processes, images/s": timings[f"convert, {WORKERS} processes"].wall
        / timings[f"convert, {WORKERS} threads"].wall,
    }
    where = machine("numpy", "opencv-python", "numba", "simplejpeg", "pillow")
    lines = [f"# Packing {images} images of mhp-synth", "", table(rows)]
    lines += [f"- {name}: {value:.2f}" for name, value in ratios.items()]
    epoch = timings["its merge and resize alone"].wall / images * 4980
    lines += [
        "",
        f"Unavoidable is decode + resize + both encodings, shared by {WORKERS} workers without loss. The old way",
        f"merges and resizes anew at every epoch: for the 4,980 images of a release that is {epoch / 60:.1f}",
        "minutes of a core an epoch on this machine, which one pack pays once.",
        "",
        ", ".join(f"{key} {value}" for key, value in where.items()),
        "",
    ]
    seconds = {name: {"wall_s": t.wall_s, "cpu_s": t.cpu_s} for name, t in timings.items()}
    content = {"images": images, "machine": where, "rows": rows, "ratios": ratios, "seconds": seconds}
    save(out, "pack", content, "\n".join(lines))


if __name__ == "__main__":
    main()
