"""Measure the loader by store and number of threads, relative to a memcpy of as many bytes.

Run:  python benchmarks/loader.py --images 240 --out benchmarks/results

One folder from mhp-synth is packed once per store. The task is train-768 (random flip, long side 384 to 1536, padding,
random crop of 768, float32, labels; no blur) in shuffled batches of 16; all variants run in turn, after a warm-up. Rows
hold medians; CPU time is of all threads. Further rows give the cost of each option on the yuv420 store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told

import mhpdata
from mhpdata import CentreCrop, Output, TrainCrop
from mhpdata.measuring.bench import bench_loader
from mhpdata.storage.codec import CODECS
from mhpdata.synth.writing.folder import synthesize

NO_BLUR = TrainCrop(blur_prob=0.0)
OPTIONS: dict[str, dict[str, Any]] = {
    "float16": {"output": Output(dtype="float16")},
    "uint8": {"output": Output(dtype="uint8")},
    "blur": {"view": TrainCrop(blur_prob=1.0)},
    "gray": {"view": TrainCrop(blur_prob=0.0, gray_prob=1.0)},
    "persons": {"output": Output(persons=True)},
    "person targets": {"output": Output(persons="targets")},
    "overlap last": {"output": Output(overlap="last")},
    "transform": {"output": Output(transform=lambda image, labels, persons, rng: None)},
    "crop 480": {"view": TrainCrop(480, base_size=480, blur_prob=0.0)},
    "crop 473": {"view": TrainCrop(473, base_size=473, blur_prob=0.0)},
    "val": {"view": CentreCrop()},
    "check always": {"check": "always"},
}


@click.command()
@click.option("--images", default=240, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
@click.option("--runs", default=5, show_default=True)
@click.option("--threads", default="1,2", show_default=True)
def main(images: int, out: Path, runs: int, threads: str) -> None:
    """Measure all variants and write a table."""
    counts = [int(n) for n in threads.split(",")]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "MHP_v1"
        synthesize(source, images, 0, None, False, progress=True)
        for image in CODECS:
            packed = Path(folder) / image
            mhpdata.pack(source, packed, image=image)
            megabytes = sum(f.bytes for f in mhpdata.open(packed, "train").manifest.files) / images / 1e6
            for row in bench_loader(packed, threads=counts, runs=runs, report=print, view=NO_BLUR):
                rows.append({"store": image, "MB/image": megabytes, "options": "", **row})
        for name, options in OPTIONS.items():
            for row in bench_loader(
                Path(folder) / "yuv420", threads=[1], runs=runs, report=print, **{"view": NO_BLUR, **options}
            ):
                rows.append({"store": "yuv420", "MB/image": "", "options": name, **row})
    where = machine("numpy", "numba", "simplejpeg")
    text = f"# The loader\n\n{table(rows)}\n{told(where)}\n"
    save(out, "loader", {"machine": where, "rows": rows}, text)


if __name__ == "__main__":
    main()
