"""Run one peer, in its own environment (NumPy and the peer's requirements), and print one line of JSON.

    cd benchmarks; python -m peers.measure spdl --data DATA --seconds 10
    cd benchmarks; python -m peers.measure spdl --data DATA --check DATA/target/peer
    cd benchmarks; python -m peers.measure ffcv --data DATA --prepare

The clock starts when a batch has been received and stops at the first batch after ``--seconds``; importing, compiling
and warming up come before. CPU time covers the process, its threads and its child processes, living and ended. Memory
is measured before and after the timed interval: the largest sum, over the process and its children, of memory that
cannot be dropped (proportional shares of anonymous and shared pages; ``all MB`` also counts mapped files). The form of
the last batch is checked after the clock has stopped. ``--check`` runs the test of peers/check.py instead.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from peers.check import CROPS, WrongError, check_form, check_target
from peers.task import BATCH, Task

TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.1


def version_of(library: str) -> str:
    """Return a library's version; for mhp, that of the running code, installed or not."""
    if library != "mhp":
        return metadata.version(library)
    return str(importlib.import_module("mhpdata").__version__)


def main() -> int:
    """Parse the arguments, run the peer and print the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", default="jpeg")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "uint8"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batches", type=int, default=4, help="minimum number of timed batches")
    parser.add_argument("--warmup", type=int, default=8, help="untimed batches before the clock")
    parser.add_argument("--after", type=int, default=16, help="untimed batches after the clock, for the memory")
    parser.add_argument("--prepare", action="store_true", help="write the peer's own store, if it has one")
    parser.add_argument("--check", action="store_true", help="check the crops of the target images in --data")
    asked = parser.parse_args()
    adapter = importlib.import_module(f"peers.{asked.peer}")
    if asked.prepare:
        getattr(adapter, "prepare", lambda data: None)(asked.data)
        return 0
    task = Task(asked.data.absolute(), asked.store, asked.workers, asked.dtype, asked.seed)
    try:
        run = check(adapter, task) if asked.check else measure(adapter, task, asked)
    except WrongError as error:
        run = {"wrong": str(error)}
    row = {"peer": asked.peer, "store": task.store, "dtype": task.dtype, "workers": task.workers, **run}
    row["about"] = adapter.ABOUT.format(store={"jpeg": "JPEG", "raw": "raw"}.get(task.store, task.store))
    row["versions"] = {"python": sys.version.split()[0], **{n: version_of(n) for n in adapter.VERSIONS}}
    row["code"] = getattr(adapter, "CODE", "")
    print(json.dumps(row), flush=True)
    return "wrong" in run


def measure(adapter: ModuleType, task: Task, asked: argparse.Namespace) -> dict[str, Any]:
    """Time one run and return its figures.

    Raises:
        WrongError: The last batch does not have the task's form.
    """
    memory = Memory()
    begun = time.perf_counter()
    iterator = adapter.batches(task)
    batch = next(iterator)  # peers fork their workers here, so no thread may run yet
    first = time.perf_counter() - begun
    with memory:
        for _ in range(asked.warmup - 1):
            batch = next(iterator)
    count, cpu, begun = 0, tree_cpu(), time.perf_counter()
    while count < asked.batches or time.perf_counter() - begun < asked.seconds:
        batch = next(iterator)
        count += 1
    wall, cpu = time.perf_counter() - begun, tree_cpu() - cpu
    arrays = [array.copy() for array in as_arrays(adapter, batch)]
    del batch
    with memory:
        for _ in range(asked.after):
            batch = next(iterator)  # noqa: F841  held as a training step would
    check_form(*arrays, task.dtype)
    images = count * BATCH
    return {
        "images": images,
        "wall_s": wall,
        "cpu_s": cpu,
        "CPU ms/image": 1e3 * cpu / images,
        "images/s": images / wall,
        "peak MB": memory.private / 1e3,
        "all MB": memory.all / 1e3,
        "start to first batch s": first,
    }


def check(adapter: ModuleType, task: Task) -> dict[str, Any]:
    """Check the peer's crops of the target images.

    Raises:
        WrongError: The crops do not follow the task.
    """
    batches = itertools.islice(adapter.batches(task), CROPS // BATCH)
    copies = [tuple(array.copy() for array in as_arrays(adapter, batch)) for batch in batches]
    return {"checked": check_target(copies, task.dtype)}


def as_arrays(adapter: ModuleType, batch: Any) -> list[Any]:
    """Return images and labels of a batch as NumPy arrays."""
    import numpy as np

    convert = getattr(adapter, "arrays", lambda batch: [np.asarray(array) for array in batch])
    return convert(batch)


def tree_cpu() -> float:
    """Return the CPU seconds of this process and its children, living (to 1/100 s) and ended."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for process in descendants():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += sum(map(int, fields[11:15])) / TICK  # utime, stime, cutime, cstime
    return seconds


def descendants() -> Iterator[int]:
    """Yield the ids of all living descendants of this process."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    waiting = [os.getpid()]
    while waiting:
        children = parents.get(waiting.pop(), [])
        yield from children
        waiting += children


class Memory:
    """Context manager that samples the memory of this process and its children.

    Attributes:
        private: Peak kB of anonymous and shared-memory pages.
        all: Peak kB of these and of mapped files.
    """

    def __init__(self) -> None:
        self.private = self.all = 0

    def __enter__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(SAMPLE_S)
            private = everything = 0
            for process in [os.getpid(), *descendants()]:
                try:
                    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                share = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Pss")}
                everything += share["Pss"]
                private += share["Pss_Anon"] + share["Pss_Shmem"]
            self.private, self.all = max(self.private, private), max(self.all, everything)


if __name__ == "__main__":
    sys.exit(main())
