"""Measure the speed of a loader on this machine: images/s and CPU time per image, relative to a memcpy.

The baseline is a memcpy of one image's output (7.08 MB for float32, 768 x 768); runs of both alternate, since machines
drift. Compiling kernels, starting threads and the first check of each record are not timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.loading.loader import Loader
from mhpdata.options import check_range
from mhpdata.settings.share import Share


def bench_loader(
    folder: str | Path,
    split: str = "train",
    threads: Sequence[int] = (1, 2),
    runs: int = 5,
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return one row for the memcpy and one per number of threads.

    Args:
        folder, split, options: As for Loader.
        threads: Numbers of threads to measure.
        runs: Timed epochs per number of threads, alternating; one untimed epoch comes first.
        report: Called with a line of progress before each stage.

    Returns:
        Rows with ``variant``, ``images/s``, ``wall us/image``, ``CPU us/image`` (medians), ``CPU us/image, least``,
        ``x memcpy`` (of the medians), ``first batch ms``.

    Raises:
        OptionError: There are no samples to measure with, ``threads`` is empty, or ``runs`` is out of range.
    """
    check_range("runs", runs, 1, 1 << 20)
    if not threads:
        raise OptionError("threads", "none", "numbers of threads", "Pass at least one, such as threads=(1, 2).")
    tell = report or (lambda _: None)
    loaders = {}
    first_batch = {}
    for count in threads:
        tell(f"warming up, {count} threads")
        loader = Loader(folder, split, threads=count, **{"share": Share(every=True), **options})
        if not _drain(loader):
            loader.close()
            remedy = "Pass another --split (mhp verify lists their sizes), and omit --limit or pass one above 0."
            raise OptionError(f"{folder}, {split}", "no samples", "at least one", remedy)
        loader.set_epoch(0)
        begun = time.perf_counter()
        iterator = iter(loader)
        next(iterator, None)
        first_batch[count] = time.perf_counter() - begun
        del iterator
        loaders[f"{count} threads"] = loader
    copy = _copier(next(iter(loaders.values())))
    seconds: dict[str, list[tuple[float, float, int]]] = {}
    for run in range(runs):
        tell(f"run {run + 1} of {runs}")
        seconds.setdefault("memcpy", []).append(_clock(copy))
        for name, loader in loaders.items():
            loader.set_epoch(run + 1)
            seconds.setdefault(name, []).append(_clock(partial(_drain, loader)))
    floor = statistics.median(cpu / count for _, cpu, count in seconds["memcpy"])
    rows = []
    for name, times in seconds.items():
        wall = statistics.median(w / count for w, _, count in times)
        cpu = statistics.median(c / count for _, c, count in times)
        rows.append(
            {
                "variant": name,
                "images/s": 1 / wall,
                "wall us/image": 1e6 * wall,
                "CPU us/image": 1e6 * cpu,
                "CPU us/image, least": 1e6 * min(c / count for _, c, count in times),
                "x memcpy": cpu / floor,
                "first batch ms": 1e3 * first_batch[int(name.split()[0])] if name != "memcpy" else float("nan"),
            }
        )
    return rows


def _drain(loader: Loader) -> int:
    count = 0
    for batch in loader:
        count += len(batch.indices)
    return count


def _copier(loader: Loader) -> Callable[[], int]:
    """Return a function that copies one image once per sample of the loader, into as many slots as the loader uses."""
    batch = next(iter(loader))
    image = batch.images[0].copy()
    slots = np.zeros((3 * loader.batch_size, *image.shape), image.dtype)
    count = max(96, len(loader) * loader.batch_size)

    def copy() -> int:
        for i in range(count):
            slots[i % len(slots)] = image
        return count

    copy()
    return copy


def _clock(run: Callable[[], int]) -> tuple[float, float, int]:
    wall, cpu = time.perf_counter(), time.process_time()
    count = run()
    return time.perf_counter() - wall, time.process_time() - cpu, count


def iterate(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the rows as lines to print."""
    yield f"{'':12}{'images/s':>10}{'wall us':>9}{'CPU us':>9}{'least':>9}{'x memcpy':>10}{'first batch':>13}"
    for row in rows:
        first = "" if row["variant"] == "memcpy" else f"{row['first batch ms']:.0f} ms"
        yield (
            f"{row['variant']:12}{row['images/s']:10.0f}{row['wall us/image']:9.0f}{row['CPU us/image']:9.0f}"
            f"{row['CPU us/image, least']:9.0f}{row['x memcpy']:10.2f}{first:>13}"
        )
