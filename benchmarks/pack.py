"""Compare packing with its unavoidable costs and with GluonCV's recipe, and threads with processes.

Run:  python benchmarks/pack.py --out benchmarks/results

All variants process the same folder from mhp-synth and run in turn in one process, after a warm-up:

- pack: mhpdata.pack with two workers to a new folder, until everything is on the disk
- GluonCV recipe: one process merges and resizes with Pillow and masked arrays (gluoncv_recipe.py), then encodes image,
  labels and masks as mhp does
- decode, resize, encode alone: the unavoidable costs, from and to memory, on as many threads as pack; and each of them,
  with merge, on one thread
- convert: entries to records without writing them, on two threads or two processes
"""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from gluoncv_recipe import merge_and_resize
from harness import Timing, as_row, interleave, machine, ratio, save, table, told, turns

import mhpdata
from mhpdata.images.decode import decode_image
from mhpdata.images.label_png import decode_mask
from mhpdata.images.resize import resize_image
from mhpdata.images.size import packed_size
from mhpdata.labels import MHP_V1
from mhpdata.masks.joint_runs import encode_runs
from mhpdata.masks.mask_runs import deflate_mask
from mhpdata.masks.merge import merge
from mhpdata.masks.resized_runs import resize_runs
from mhpdata.options import PackOptions
from mhpdata.packing.convert import convert
from mhpdata.packing.scratch import Scratch
from mhpdata.processes.threads import in_order, single_threaded_opencv
from mhpdata.source.entry import Entry
from mhpdata.source.scan import scan
from mhpdata.storage.codec import encode_image
from mhpdata.storage.record import Record, encode_record, parse_record
from mhpdata.synth.writing.folder import synthesize

WORKERS = 2
OPTIONS = PackOptions()


COSTS = ("decode", "resize", "encode the image", "merge", "encode the record")
PACK, RECIPE = f"pack, {WORKERS} workers", "GluonCV recipe, 1 process"
ALONE = f"decode, resize, encode alone, {WORKERS} threads"
scratch = Scratch()


def costs(root: Path, entries: list[Entry]) -> dict[str, float]:
    """Return the wall seconds of each unavoidable cost, from and to memory, on this thread, image by image."""
    seconds = dict.fromkeys(COSTS, 0.0)
    for entry in entries:
        photo, masks = (root / entry.image.path).read_bytes(), [(root / mask.path).read_bytes() for mask in entry.masks]
        record = parse_record(convert(root, entry, MHP_V1, OPTIONS).data, 0)
        times = [time.perf_counter()]
        image, _ = decode_image(photo, entry.name, partial(scratch.empty, "photo"))
        decoded = [decode_mask(mask, entry.name, image.shape[:2], len(MHP_V1)) for mask in masks]
        times.append(time.perf_counter())
        small = resize_image(image, record.size, scratch.empty("resized", (*record.size, 3)))
        times.append(time.perf_counter())
        encode_image(small, OPTIONS.image, OPTIONS.quality, scratch.empty("swapped", small.shape))
        times.append(time.perf_counter())
        merged = merge(decoded)
        times.append(time.perf_counter())
        runs = resize_runs(*encode_runs(merged.labels, merged.persons), image.shape[:2], record.size)
        streams = [deflate_mask(mask) for mask in decoded]
        encode_record(replace(record, row_offsets=runs[0], runs=runs[1], masks=streams))
        times.append(time.perf_counter())
        for name, begun, ended in zip(COSTS, times, times[1:], strict=False):
            seconds[name] += ended - begun
    return seconds


def alone(source: tuple[Entry, bytes, list[bytes]]) -> None:
    """Do only the unavoidable work for one image, whose files are in memory; its first mask replaces the merged map."""
    entry, photo, masks = source
    image, header = decode_image(photo, entry.name, partial(scratch.empty, "photo"))
    size, source_size = packed_size(header.height, header.width, OPTIONS.size), (header.height, header.width)
    decoded = [decode_mask(mask, entry.name, source_size, len(MHP_V1)) for mask in masks]
    small = resize_image(image, size, scratch.empty("resized", (*size, 3)))
    data = encode_image(small, OPTIONS.image, OPTIONS.quality, scratch.empty("swapped", small.shape))
    runs = resize_runs(*encode_runs(decoded[0], decoded[0]), source_size, size)
    streams = [deflate_mask(mask) for mask in decoded]
    encode_record(Record(entry.name, 0, size, source_size, data, *runs, streams, 0, 0, False, False, bytes(32)))


def all_alone(sources: list[tuple[Entry, bytes, list[bytes]]], pool: Executor) -> None:
    """Run ``alone`` for all images on the workers of a pool."""
    for _, future in in_order(pool, alone, sources, ahead=4 * WORKERS):
        future.result()


def pack(root: Path, name: str) -> Path:
    """Pack into a new folder, until everything is on the disk; return the folder."""
    out = Path(tempfile.mkdtemp(dir=name))
    mhpdata.pack(root, out, workers=WORKERS)
    return out


def gluoncv_recipe(root: Path, entries: list[Entry]) -> tuple[float, list[int]]:
    """Merge and resize by GluonCV's recipe, encode as mhp does; return the seconds of the former and the label sums."""
    seconds, sums = 0.0, []
    for entry in entries:
        begun = time.perf_counter()
        image, labels, masks = merge_and_resize(root, entry, OPTIONS.size)
        seconds += time.perf_counter() - begun
        data = encode_image(image, OPTIONS.image, OPTIONS.quality)
        streams = [deflate_mask(np.asarray(mask)) for mask in masks]
        size, source_size = labels.shape, (masks[0].height, masks[0].width)
        runs = encode_runs(labels, labels)
        encode_record(Record(entry.name, 0, size, source_size, data, *runs, streams, 0, 0, False, False, bytes(32)))
        sums.append(int(labels.sum()))
    return seconds, sums


def converted(root: Path, entries: list[Entry], pool: Executor) -> None:
    """Convert all entries to records on the workers of a pool."""
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
        root = Path(name) / "MHP_v1"
        synthesize(root, images=images, seed=0)
        entries = [entry for split in scan(root).entries.values() for entry in split]
        sources = [
            (entry, (root / entry.image.path).read_bytes(), [(root / m.path).read_bytes() for m in entry.masks])
            for entry in entries
        ]
        with ThreadPoolExecutor(WORKERS) as threads, ProcessPoolExecutor(WORKERS) as processes:
            variants = {
                PACK: lambda: pack(root, name),
                RECIPE: lambda: gluoncv_recipe(root, entries),
                ALONE: lambda: all_alone(sources, threads),
                "costs": lambda: costs(root, entries),
                f"convert, {WORKERS} threads": lambda: converted(root, entries, threads),
                f"convert, {WORKERS} processes": lambda: converted(root, entries, processes),
            }
            timings = interleave(variants, runs)
        check(timings[PACK].results[-1], entries, timings[RECIPE].results[-1][1])
    report(timings, images, out)


def check(rec: Path, entries: list[Entry], old_sums: list[int]) -> None:
    """Assert that pack and recipe made the same label maps, up to ties of the nearest pixel."""
    splits = ("train", "val", "test")
    sums = [int(sample.labels.sum()) for split in splits for sample in mhpdata.open(rec, split)]
    assert len(sums) == len(entries)
    np.testing.assert_allclose(sums, old_sums, rtol=0.01)


def report(timings: dict[str, Timing], images: int, out: Path) -> None:
    """Write rows, ratios and their explanation to ``out``."""
    by_cost = timings.pop("costs")
    single = {name: statistics.median(result[name] for result in by_cost.results) for name in COSTS}
    rows = [{"variant": name, **as_row(timing, images)} for name, timing in timings.items()]
    rows += [{"variant": f"{name}, 1 thread", "wall ms/image": 1e3 * single[name] / images} for name in COSTS]
    new, old = timings[PACK], timings[RECIPE]
    unavoidable = timings[ALONE]
    alone_s = [single[name] for name in COSTS if name != "merge"]
    ratios = {
        "images/s of pack over those of its unavoidable costs alone, on the same number of workers": ratio(
            unavoidable, new
        ),
        "the same, with costs measured on one thread and divided by the number of workers": sum(alone_s)
        / WORKERS
        / new.wall,
        "images/s of pack over those of the GluonCV recipe": ratio(old, new),
        "CPU of the GluonCV recipe over that of pack": old.cpu / new.cpu,
        "threads over processes, images/s": timings[f"convert, {WORKERS} processes"].wall
        / timings[f"convert, {WORKERS} threads"].wall,
    }
    where = machine("numpy", "opencv-python", "numba", "simplejpeg", "pillow")
    lines = [f"# Packing {images} images of mhp-synth", "", table(rows)]
    lines += [f"- {name}: {value:.2f}" for name, value in ratios.items()]
    lines += [_turns(unavoidable, new)]
    epoch = statistics.median(seconds for seconds, _ in old.results) / images * 4980
    lines += [
        "",
        "Unavoidable costs are decoding, resizing and encoding the image, and encoding labels and masks to a record.",
        "Merge is measured on maps; pack merges the runs that it encodes anyway. The GluonCV recipe merges and resizes",
        f"in every epoch: for the 4,980 images of the release it takes {epoch / 60:.1f} minutes of one core per epoch",
        "on this machine. Packing does it once.",
        "",
        told(where),
        "",
    ]
    seconds = {name: {"wall_s": t.wall_s, "cpu_s": t.cpu_s} for name, t in timings.items()}
    seconds["costs"] = {name: [result[name] for result in by_cost.results] for name in COSTS}
    content = {"images": images, "machine": where, "rows": rows, "ratios": ratios, "seconds": seconds}
    save(out, "pack", content, "\n".join(lines))


def _turns(alone: Timing, pack: Timing) -> str:
    """Describe the spread of the first ratio."""
    shares = ", ".join(f"{share:.2f}" for share in sorted(turns(alone, pack)))
    return f"- the first ratio is a median over turns; all turns: {shares}; by CPU time: {alone.cpu / pack.cpu:.2f}"


if __name__ == "__main__":
    main()
