"""Compare two versions of mhp: the loader at train-768, and packing, each run in a new process, in turn.

Each round runs, for every store, ``before`` and ``after``, and both again: the second run of the same code is the noise
that a difference must exceed. Every second round runs them in the opposite order. Both read the same packs, written by
``before`` (newer code reads an older format), with the libraries of the Python that runs this file. A version is a
checkout on PYTHONPATH; each run reports the path of its code.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from harness import ROOT, machine, save, table, told
from target import write_lists, write_target

from mhpdata.synth.writing.folder import synthesize
from peers.variant import FailedError, Variant, call, check_variant, run_variant

COLUMNS = ("CPU ms/image", "images/s")
PACK = """
import sys, mhpdata
for store in sys.argv[3:]:
    mhpdata.pack(sys.argv[1], f"{sys.argv[2]}/{store}", image=store)
"""


def compare(before: Path, stores: list[str], settings: dict[str, Any], work: Path, out: Path) -> None:
    """Measure both versions and write versions.json and versions.md.

    Args:
        before: Checkout of mhp, 0.1 or later.
        stores: Stores of the packs.
        settings: Values for images, rounds, seconds, workers and dtype.
        work: Folder for the data, which is kept.
        out: Folder for the results.

    Raises:
        ClickException: A version does not do the task, or a run failed.
    """
    data = make_data(before, work / f"versions-{settings['images']}", settings["images"], stores)
    groups = {}
    for store in stores:
        how = ["--store", store, "--workers", str(settings["workers"])]
        load = [sys.executable, "-m", "peers.measure", "mhp", *how, "--dtype", settings["dtype"]]
        pack = [sys.executable, "-m", "peers.pack_once", *how, "--source", "{data}/MHP_v1"]
        groups[f"load {store}"] = [_variant(f"load {store}", load, name, code, True) for name, code in _codes(before)]
        groups[f"pack {store}"] = [_variant(f"pack {store}", pack, name, code, False) for name, code in _codes(before)]
    for variants in groups.values():
        for variant in variants[:2]:  # a check also fills the cache of compiled kernels
            if variant.checkable:
                check_variant(variant, data)
            else:
                run_variant(variant, data, 0, 0)
                variant.runs.clear()
            _refuse(variant)
    for seed in range(settings["rounds"]):
        print(f"round {seed + 1} of {settings['rounds']}", flush=True)
        for variants in groups.values():
            for variant in variants if seed % 2 == 0 else variants[::-1]:
                run_variant(variant, data, settings["seconds"], seed)
                _refuse(variant)
    report(groups, before, settings, out)


def make_data(before: Path, data: Path, images: int, stores: list[str]) -> Path:
    """Make both downloads and their packs by ``before``, keeping what exists; return the folder."""
    data.mkdir(parents=True, exist_ok=True)
    if not (data / "MHP_v1" / "val_list.txt").exists():
        shutil.rmtree(data / "MHP_v1", ignore_errors=True)
        synthesize(data / "MHP_v1", images, 0, None, False, progress=True)
        write_lists(data / "MHP_v1", [f"{index + 1:04d}" for index in range(images)])
    if not (data / "target" / "MHP_v1" / "val_list.txt").exists():
        shutil.rmtree(data / "target", ignore_errors=True)
        write_target(data / "target" / "MHP_v1")
    for folder in (data, data / "target"):
        command = [sys.executable, "-c", PACK, str(folder / "MHP_v1"), str(folder / "rec"), *stores]
        try:
            call(command, environment={"PYTHONPATH": str(before)})
        except FailedError as error:
            raise click.ClickException(f"{before}: packing failed: {error}") from error
    return data


def _codes(before: Path) -> list[tuple[str, Path]]:
    return [("before", before), ("after", ROOT), ("before again", before), ("after again", ROOT)]


def _variant(what: str, command: list[str], name: str, code: Path, checkable: bool) -> Variant:
    return Variant(f"{what}, {name}", command, True, checkable, environment={"PYTHONPATH": str(code)})


def _refuse(variant: Variant) -> None:
    """Raise ClickException for a failed run, and for a run of another checkout's code."""
    if variant.reason:
        raise click.ClickException(f"{variant.name}: {variant.reason}")
    for run in variant.runs:
        if (code := run.pop("code", variant.environment["PYTHONPATH"])) != variant.environment["PYTHONPATH"]:
            raise click.ClickException(f"{variant.name}: ran the code of {code}")  # the path itself is not recorded


def ratios(first: list[Variant], second: list[Variant], column: str) -> list[float]:
    """Return, for each round, the ratio of the mean of the second variants to that of the first."""
    means = [
        [statistics.fmean(run[column] for run in runs) for runs in zip(*(v.runs for v in side), strict=True)]
        for side in (first, second)
    ]
    return [after / before for before, after in zip(*means, strict=True)]


def rows_of(groups: dict[str, list[Variant]]) -> list[dict[str, Any]]:
    """Return a row per group and column: medians, ratios by round, and ratios of the same code."""
    rows = []
    for what, (before, after, before_again, after_again) in groups.items():
        for column in COLUMNS:
            found = ratios([before, before_again], [after, after_again], column)
            same = ratios([before], [before_again], column) + ratios([after], [after_again], column)
            row: dict[str, Any] = {"what": what, "column": column}
            row |= {"before": before.median(column), "after": after.median(column)}
            row |= {"after / before": statistics.median(found), "lowest": min(found), "highest": max(found)}
            row |= {"same code, median": statistics.median(same), "same, lowest": min(same), "same, highest": max(same)}
            rows.append(row)
    return rows


def report(groups: dict[str, list[Variant]], before: Path, settings: dict[str, Any], out: Path) -> None:
    """Write versions.json and versions.md."""
    rows, where = rows_of(groups), machine("numba", "numpy", "opencv-python", "simplejpeg")
    git = ["git", "-C", str(before), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    rounds, seconds, images = settings["rounds"], settings["seconds"], settings["images"]
    lines = [
        f"# mhp {where['commit']} (after) beside {commit} (before)",
        "",
        f"Medians of {rounds} rounds; each run is a new process, each version runs twice per round, and every",
        f"second round has the opposite order. Loading: train-768, {settings['dtype']}, {settings['workers']} workers,",
        f"{seconds:.0f} s under the clock; packing: {images} images of mhp-synth. Both load the packs of before.",
        "A ratio compares the means of both runs in a round; `same` is the second run of the same code over the first:",
        "a difference within that range is noise.",
        "",
        table(rows),
        told(where),
        "",
    ]
    runs = {v.name: {"runs": v.runs, "checked": v.checked} for group in groups.values() for v in group}
    content = {"settings": settings, "machine": where, "before": commit, "rows": rows, "variants": runs}
    save(out, "versions", content, "\n".join(lines))
