"""Measure the first run on a machine, for two checkouts: CPU time to the first batch, and to compile for mhp-pack.

Run:  python benchmarks/cold_start.py --before ../mhp-old --after . --out benchmarks/results

Both checkouts need an environment with their dependencies (``--python``, below each checkout). Every run is a new
process with an empty kernel cache; the checkouts alternate. Tasks:

    first batch     open a pack of mhp-synth, 8 images of 768 x 768, float32, with labels; per store
    pack            48 small images, all resized (so none is stored verbatim), then the same with the cache filled;
                    the difference is the cost of compiling

CPU seconds are user and system time of all processes involved, from the start of Python; "longest" is that of the
process that takes the most. Both checkouts must give the same batch and the same shards.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told

HEAD = """Median CPU seconds (user and system) of new processes with an empty kernel cache, two checkouts in turn: to
the first batch of a loader, and to compile the kernels of mhp-pack for images that are all resized."""
STORES = ("yuv420", "jpeg")
SYNTH = """
import sys
try:
    from mhpdata.synth.writing.folder import synthesize
except ImportError:
    from mhpdata.synth.folder import synthesize
synthesize(sys.argv[1], int(sys.argv[2]), 0, None, False, scale=0.25)
"""
PACK = """
import glob, hashlib, sys, mhpdata
source, out, image = sys.argv[1:]
mhpdata.pack(source, out, image=image, size=128, workers=2)
result = hashlib.sha256(b"".join(open(path, "rb").read() for path in sorted(glob.glob(out + "/*.rec")))).hexdigest()
"""
BATCH = """
import hashlib, sys, mhpdata
loader = mhpdata.Loader(sys.argv[1], "train", batch_size=8, threads=2)
batch = next(iter(loader))
result = hashlib.sha256(batch.images.tobytes() + batch.labels.tobytes()).hexdigest()
del batch
loader.close()
"""
COUNTED = """
import json, resource
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([result, *(u.ru_utime + u.ru_stime for u in used)]))
"""


class Checkout:
    """A checkout and the Python that runs it."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self._python = folder.resolve(), folder.resolve() / python

    def run(self, code: str, cache: Path, *arguments: object) -> str:
        """Run code with the checkout's packages; return its output."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "NUMBA_CACHE_DIR": str(cache)}
        command = [str(self._python), "-c", code, *map(str, arguments)]
        done = subprocess.run(command, env=environment, cwd=cache.parent, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{self.folder}: {done.stderr}")
        return done.stdout

    def measure(self, code: str, cache: Path, *arguments: object) -> dict[str, Any]:
        """Run code; return its result, and the CPU seconds of all processes and of the longest (children as one)."""
        result, own, children = json.loads(self.run(code + COUNTED, cache, *arguments).splitlines()[-1])
        return {"result": result, "all": own + children, "longest": max(own, children)}


def first_batch(checkout: Checkout, packed: Path) -> dict[str, Any]:
    """Measure the first batch with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        return checkout.measure(BATCH, Path(folder) / "cache", packed)


def packing(checkout: Checkout, source: Path) -> dict[str, Any]:
    """Measure a pack with an empty cache, minus the same pack with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (
            checkout.measure(PACK, Path(folder) / "cache", source, Path(folder) / name, "jpeg")
            for name in ("cold", "warm")
        )
    assert cold["result"] == warm["result"], "the shards depend on the state of the kernel cache"
    return {"result": cold["result"], **{key: cold[key] - warm[key] for key in ("all", "longest")}}


def as_row(task: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of a task's runs and their ratios."""
    results = {run["result"] for run in (*before, *after)}
    row: dict[str, Any] = {"task": task}
    for key in ("all", "longest"):
        old, new = (statistics.median(run[key] for run in runs) for runs in (before, after))
        row |= {f"before, {key} CPU s": old, f"after, {key} CPU s": new, f"{key}, ratio": new / old}
    return row | {"same result": len(results) == 1}


@click.command()
@click.option("--before", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--after", default=".", show_default=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--python", default=".venv/b/bin/python", show_default=True, help="Path of Python below each checkout.")
@click.option("--images", default=48, show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(before: Path, after: Path, python: str, images: int, runs: int, out: Path) -> None:
    """Measure both checkouts and write a table."""
    checkouts = {"before": Checkout(before, python), "after": Checkout(after, python)}
    with tempfile.TemporaryDirectory() as folder:
        root, source = Path(folder), Path(folder) / "MHP_v1"
        checkouts["after"].run(SYNTH, root / "cache", source, images)
        for name, checkout in checkouts.items():
            for store in STORES:
                checkout.run(PACK, root / name, source, root / f"{name}-{store}", store)
        tasks = {
            **{f"first batch, {store}": lambda c, n, s=store: first_batch(c, root / f"{n}-{s}") for store in STORES},
            f"pack, {images} images": lambda c, n: packing(c, source),
        }
        found: dict[str, dict[str, list[dict[str, Any]]]] = {task: {"before": [], "after": []} for task in tasks}
        for run in range(runs):
            for task, measure in tasks.items():
                for name, checkout in checkouts.items():
                    print(f"run {run + 1} of {runs}: {task}, {name}", flush=True)
                    found[task][name].append(measure(checkout, name))
    rows = [as_row(task, **both) for task, both in found.items()]
    where, commits = machine("numpy", "numba", "llvmlite"), {name: _commit(c) for name, c in checkouts.items()}
    text = f"# A cold start\n\n{HEAD}\n\n{table(rows)}\n{told(commits)}, {told(where)}\n"
    save(out, "cold_start", {"machine": where, "commits": commits, "rows": rows, "runs": found}, text)


def _commit(checkout: Checkout) -> str:
    git = ["git", "-C", str(checkout.folder), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
