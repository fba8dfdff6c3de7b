"""Shared by all benchmarks: warm up outside the clock, run the variants in turn, record the machine.

A variant is a function without arguments; its result is checked after the clock has stopped. Variants are interleaved
(A B C, A B C, ...), because a machine's speed drifts: compare rows of one run, as ratios.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import mhpdata

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Timing:
    """Seconds and results of the runs of one variant."""

    wall_s: list[float]
    cpu_s: list[float]
    results: list[Any]

    @property
    def wall(self) -> float:
        """Median wall-clock seconds."""
        return statistics.median(self.wall_s)

    @property
    def cpu(self) -> float:
        """Median CPU seconds of all threads and of children that have ended."""
        return statistics.median(self.cpu_s)


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def interleave(variants: dict[str, Callable[[], Any]], runs: int = 5) -> dict[str, Timing]:
    """Run each variant once outside the clock, then ``runs`` times all of them in turn."""
    for variant in variants.values():
        variant()
    results: dict[str, list[Any]] = {name: [] for name in variants}
    wall: dict[str, list[float]] = {name: [] for name in variants}
    cpu: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(runs):
        for name, variant in variants.items():
            before, begun = _cpu(), time.perf_counter()
            result = variant()
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(_cpu() - before)
            results[name].append(result)
    return {name: Timing(wall[name], cpu[name], results[name]) for name in variants}


def turns(first: Timing, second: Timing) -> list[float]:
    """Return the ratio of the wall-clock time of ``first`` to that of ``second``, turn by turn.

    The runs of a turn directly follow each other, so a drift of the machine's speed affects both.
    """
    return [a / b for a, b in zip(first.wall_s, second.wall_s, strict=True)]


def ratio(first: Timing, second: Timing) -> float:
    """Return the median of ``turns``."""
    return statistics.median(turns(first, second))


def machine(*libraries: str) -> dict[str, str]:
    """Describe a measurement: processor, cores, system, commit, date, and the versions of mhp and of libraries."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = lines[0] if lines else model
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    changed = [*git, "status", "--porcelain", "--untracked-files=no", ":!benchmarks/results"]
    dirty = subprocess.run(changed, capture_output=True, text=True, check=False).stdout
    commit = (commit.strip() or "unknown") + ("-dirty" if dirty else "")
    versions = {"mhp": mhpdata.__version__} | {name: metadata.version(name) for name in libraries}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = {"cpu": model, "cores": str(cores), "system": platform.platform(), "python": platform.python_version()}
    return {**system, "commit": commit, "date": time.strftime("%Y-%m-%d"), **versions}


def told(values: dict[str, Any]) -> str:
    """Format settings and machine as one line of a report."""
    return ", ".join(f"{key} {value}" for key, value in values.items())


def table(rows: list[dict[str, Any]]) -> str:
    """Format rows as a Markdown table; floats with three significant digits."""
    head = list(rows[0])
    cells = [[f"{row[k]:.3g}" if isinstance(row.get(k), float) else str(row.get(k, "")) for k in head] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def save(folder: Path, name: str, content: dict[str, Any], text: str) -> None:
    """Write ``name``.json (all figures) and ``name``.md (the report)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / f"{name}.md").write_text(text)
    print(text)
    print(f"Written: {folder / name}.json, {folder / name}.md")


def as_row(timing: Timing, images: int) -> dict[str, float]:
    """Return the usual columns of a variant that processed ``images`` images."""
    spread = (max(timing.wall_s) - min(timing.wall_s)) / timing.wall
    return {
        "images/s": images / timing.wall,
        "wall ms/image": 1e3 * timing.wall / images,
        "CPU ms/image": 1e3 * timing.cpu / images,
        "spread of wall": spread,
    }


__all__ = ["ROOT", "Timing", "as_row", "asdict", "interleave", "machine", "ratio", "save", "table", "told", "turns"]
