"""Cost of a sample by stage, of a cold disk and of the first batch, and the memory of the loader.

Run:  python benchmarks/loader_parts.py --images 240 --out benchmarks/results

The task is train-768 as in benchmarks/loader.py, on one thread. Stages are measured sample by sample (CPU time of the
thread, means of an epoch, median of --runs epochs). Cold: the shards' pages are dropped from the system's cache before
the epoch. First batch and private memory (not backed by files) are those of a new process with compiled kernels.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from harness import machine, save, table, told

import mhpdata
from mhpdata.drawing import image as render
from mhpdata.drawing import labels as maps
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.vectors.instructions import LEVEL
from mhpdata.loading import sampling
from mhpdata.loading.loader import Loader
from mhpdata.loading.making import place_in
from mhpdata.loading.mixture import Mixture
from mhpdata.loading.region import Reading
from mhpdata.loading.slots import Slots
from mhpdata.settings.views import TrainCrop
from mhpdata.storage.codec import CODECS
from mhpdata.synth.writing.folder import synthesize

CHILD = """
import json, sys, time
from pathlib import Path
import mhpdata
loader = mhpdata.Loader(sys.argv[1], "train", view=mhpdata.TrainCrop(blur_prob=0.0), threads=int(sys.argv[2]))
begun = time.perf_counter()
for i, batch in enumerate(loader):
    if i == 0:
        first = time.perf_counter() - begun
    held = batch
peak = sum(
    int(line.split()[1]) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()
    if line.startswith("Anonymous:")
)
print(json.dumps({"first batch s": first, "private MB": peak / 1e3}))
"""


def parts(folder: Path, runs: int) -> dict[str, float]:
    """Return the microseconds per image of each stage, in the order in which a thread runs them."""
    view, data, norm = TrainCrop(blur_prob=0.0), Mixture([(folder, "train")]), render.normalisation()
    one, reading, scratch = data.handle(0), Reading(), DrawScratch()
    regions, count = one.regions, len(data)
    images, labels = Slots(1).lend(((16, 3, 768, 768), np.float32), ((16, 768, 768), np.uint8))
    seconds: dict[str, list[float]] = {}

    def clock(name: str, run: Callable[..., Any], *arguments: Any) -> Any:
        begun = time.thread_time()
        result = run(*arguments)
        spent[name] = spent.get(name, 0.0) + time.thread_time() - begun
        return result

    nobody = labels[0, :0].reshape(-1)
    for run in range(runs + 1):
        spent: dict[str, float] = {}
        draws = sampling.draws(0, run, np.arange(count))
        for i in range(count):
            found = regions.find(i)
            placement = place_in(view, found.size, draws[i])
            out, flat = images[i % 16].reshape(-1).view(np.uint8), labels[i % 16].reshape(-1)
            picture = clock("read, decode", regions.picture, i, found, placement, reading)
            clock("draw image", render.draw_image, LEVEL, *picture, placement, 0, norm, out, scratch)
            runs_of = clock("read runs", regions.runs, i, found, reading)
            most = one.classes, found.persons
            drawn = (runs_of, found.size, placement, one.mapped, 255, most, flat, nobody, scratch)
            clock("draw labels", maps.draw_labels, LEVEL, *drawn)
        for name, total in spent.items() if run else ():
            seconds.setdefault(name, []).append(total / count)
    data.close()
    return {f"{name} us": 1e6 * statistics.median(times) for name, times in seconds.items()}


def cold(folder: Path, threads: int) -> dict[str, float]:
    """Return the images per second of an epoch with the shards in the system's cache, and of one without."""
    loader = Loader(folder, "train", view=TrainCrop(blur_prob=0.0), threads=threads)
    found = {}
    for epoch, name in enumerate(("", "warm images/s", "cold images/s")):
        if name.startswith("cold"):
            for path in sorted(folder.iterdir()):
                file = os.open(path, os.O_RDONLY)
                os.fsync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)
        loader.set_epoch(epoch)
        begun = time.perf_counter()
        count = sum(len(batch.indices) for batch in loader)
        found[name] = count / (time.perf_counter() - begun)
    loader.close()
    return {name: value for name, value in found.items() if name}


def child(folder: Path, threads: int) -> dict[str, float]:
    """Return first-batch time and private memory of a new process."""
    command = [sys.executable, "-c", CHILD, str(folder), str(threads)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out))


@click.command()
@click.option("--images", default=240, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
@click.option("--runs", default=5, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(images: int, out: Path, runs: int, threads: int) -> None:
    """Measure all stores and write a table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "MHP_v1"
        synthesize(source, images, 0, None, False, progress=True)
        for store in CODECS:
            packed = Path(name) / store
            mhpdata.pack(source, packed, image=store)
            child(packed, threads)
            rows.append({"store": store, **parts(packed, runs), **cold(packed, threads), **child(packed, threads)})
    where = machine("numpy", "numba", "simplejpeg")
    about = f"{__doc__.split('Run:')[0].strip()} Number of threads for the last four columns: {threads}."
    text = f"# The loader, stage by stage\n\n{about}\n\n"
    save(out, "loader_parts", {"machine": where, "rows": rows}, f"{text}{table(rows)}\n{told(where)}\n")


if __name__ == "__main__":
    main()
