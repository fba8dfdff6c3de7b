"""Measure all peers and our own loader at one task, in turn; each runs in its own environment, created here.

Run:  python benchmarks/peers/run.py --out benchmarks/results

1. Make the data below ``--work``: --images images of mhp-synth, nearly all in the training split, packed once per
   store, and the formats that peers read (benchmarks/peer_data.py); the same for the target images
   (benchmarks/target.py).
2. Create an environment for each peer below ``--envs``, from benchmarks/peers/NAME.txt.
3. Check every variant on the target images; a variant that does not do the task is listed with its deviation.
4. Run all variants in turn, ``--rounds`` times, each in a new process: A B C, A B C.
5. Write peers.json (every run, machine, commit, versions), peers.md (medians) and peers.png to ``--out``.

A peer that cannot run here (its requirements do not install, it fails) becomes a row "not run" with the reason. Our own
loader is measured by the same code, in the environment that runs this file; ``--own NAME=COMMAND`` adds a variant that
prints the same line of JSON (run in benchmarks/, with {data} and {seconds} replaced).

Peers that allocate megabytes per image spend a fifth of their time on page faults, which their documentation does not
mention; to give them a tuned allocator, set MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=4294967296 for the
run: all processes inherit it.

``--before CHECKOUT`` replaces all of the above: it compares the loader and packing of this checkout with those of
another version of mhp (benchmarks/peers/versions.py), and writes versions.json and versions.md.

FFCV is compiled from its source package: on Debian, apt-get install -y g++ pkg-config libopencv-dev libturbojpeg0-dev.
"""

# ruff: noqa: E402

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # not this folder: its files are named after the libraries they adapt

import hashlib
import json
import shlex
import shutil
import signal
import statistics
import time
from collections.abc import Iterator
from typing import Any

import click
from harness import ROOT, machine, save, table, told
from peer_data import write_peer_data
from target import write_lists, write_target

import mhpdata
from mhpdata.storage.codec import CODECS
from mhpdata.synth.writing.folder import synthesize
from peers.plot import save_plot
from peers.variant import FailedError, Variant, call, check_variant, run_variant
from peers.versions import compare

PEERS = {
    "gluoncv": ("jpeg",),
    "torch_albumentations": ("jpeg",),
    "webdataset": ("jpeg",),
    "dali": ("jpeg",),
    "spdl": ("jpeg",),
    "grain": ("jpeg",),
    "ffcv": ("jpeg", "raw"),
}
"""Each peer and the stores it is measured with."""
ATTEMPTS = 2
"""Number of failed runs after which a variant is skipped."""
COLUMNS = ("CPU ms/image", "images/s", "peak MB")


def make_data(work: Path, images: int) -> Path:
    """Make the folder with everything to load, keeping existing data of the same number of images; return it."""
    data = work / f"data-{images}"
    if not (data / "MHP_v1" / "val_list.txt").exists():
        shutil.rmtree(data / "MHP_v1", ignore_errors=True)
        synthesize(data / "MHP_v1", images, 0, None, False, progress=True)
        write_lists(data / "MHP_v1", [f"{index + 1:04d}" for index in range(images)])
    if not (data / "target" / "MHP_v1" / "val_list.txt").exists():
        shutil.rmtree(data / "target", ignore_errors=True)
        write_target(data / "target" / "MHP_v1")
    for folder in (data, data / "target"):
        for store in CODECS:
            mhpdata.pack(folder / "MHP_v1", folder / "rec" / store, image=store)
        if not (folder / "peer").exists():
            shutil.rmtree(folder / "peer.partial", ignore_errors=True)
            write_peer_data(folder / "rec" / "jpeg", folder / "MHP_v1", folder / "peer")
    return data


def make_environment(envs: Path, peer: str) -> Path:
    """Return the peer's Python; create its environment, again if its requirements have changed.

    Raises:
        FailedError: The environment cannot be created here.
    """
    requirements = HERE / f"{peer}.txt"
    folder, ready = envs / peer, envs / peer / ".ready"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not ready.exists() or ready.read_text() != digest:
        print(f"making {folder} from {requirements.name}", flush=True)
        envs.mkdir(parents=True, exist_ok=True)
        call([sys.executable, "-m", "venv", "--clear", str(folder)], 3600)
        log = envs / f"{peer}.log"
        call([str(folder / "bin/python"), "-m", "pip", "install", "-r", str(requirements)], 3600, log)
        ready.write_text(digest)
    return folder / "bin/python"


def peer_variants(envs: Path, data: Path, names: list[str], workers: int, dtype: str) -> Iterator[Variant]:
    """Yield the variants of each peer, after making its environment and stores."""
    for peer in names:
        variants = [Variant(peer if len(PEERS[peer]) == 1 else f"{peer} {store}", []) for store in PEERS[peer]]
        try:
            python = str(make_environment(envs, peer))
            for folder in (data / "peer", data / "target" / "peer"):
                call([python, "-m", "peers.measure", peer, "--data", str(folder), "--prepare"])
        except FailedError as error:
            for variant in variants:
                variant.reason = str(error)
        else:
            for variant, store in zip(variants, PEERS[peer], strict=True):
                how = ["--store", store, "--workers", str(workers), "--dtype", dtype]
                variant.command = [python, "-m", "peers.measure", peer, *how]
        yield from variants


def own_variants(stores: list[str], workers: int, dtype: str, given: tuple[str, ...]) -> Iterator[Variant]:
    """Yield our variants: one per store, and those of --own."""
    for store in stores:
        how = ["--store", store, "--workers", str(workers), "--dtype", dtype]
        yield Variant(f"mhp {store}", [sys.executable, "-m", "peers.measure", "mhp", *how], own=True)
    for text in given:
        name, equals, command = text.partition("=")
        if not equals:
            raise click.UsageError(f"--own: found {text!r}, expected NAME=COMMAND.")
        yield Variant(name, shlex.split(command), own=True, checkable=False)


def rows_of(variants: list[Variant]) -> list[dict[str, Any]]:
    """Return rows of medians, with the ratio of each row's CPU time to that of our rows."""
    ours = [variant for variant in variants if variant.own and variant.runs]
    rows = []
    for variant in sorted(variants, key=lambda v: (v.own, -v.median("CPU ms/image") if v.runs else -1e9)):
        row: dict[str, Any] = {"loader": variant.name}
        if not variant.runs:
            row |= dict.fromkeys([*COLUMNS, "CPU spread", *(f"x {own.name}" for own in ours)], "")
            row["what"] = f"not run: {variant.reason}"
            rows.append(row)
            continue
        row |= {column: variant.median(column) for column in COLUMNS}
        cpu = [run["CPU ms/image"] for run in variant.runs]
        row["CPU spread"] = (max(cpu) - min(cpu)) / statistics.median(cpu)
        row |= {f"x {own.name}": row["CPU ms/image"] / own.median("CPU ms/image") for own in ours}
        failed = f"; {len(variant.runs)} runs only: {variant.reason}" if variant.reason else ""
        rows.append({**row, "what": variant.runs[-1].get("about", "") + failed})
    return rows


def report(variants: list[Variant], settings: dict[str, Any], out: Path) -> None:
    """Write peers.json, peers.md and peers.png."""
    rows, where = rows_of(variants), machine("numba", "numpy")
    cells = [{k: v.replace("|", "/") if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    versions = {v.name: v.runs[-1]["versions"] for v in variants if v.runs and "versions" in v.runs[-1]}
    lines = [
        f"# Loaders at train-768, {settings['dtype']}, {settings['workers']} workers",
        "",
        f"Medians of {settings['rounds']} runs of {settings['seconds']:.0f} s, all variants in turn, on the",
        f"{settings['pictures']} training images of mhp-synth --images {settings['images']} --seed 0.",
        "CPU time is of all threads and processes.",
        "Peak MB is memory that cannot be dropped (anonymous and shared pages); `x` is a row's CPU time over ours.",
        "Each loader was checked on target images, whose crops show scale, position, flip, padding, normalisation and",
        "the alignment of labels and image.",
        "",
        table(cells),
        *(f"- {name}: {', '.join(f'{k} {v}' for k, v in found.items())}" for name, found in versions.items()),
        "",
        told(where),
        "",
    ]
    for run in (run for variant in variants for run in variant.runs):
        run.pop("code", None)  # the path of our own code, which only a comparison of two checkouts needs
    runs = {v.name: {"runs": v.runs, "checked": v.checked, "reason": v.reason} for v in variants}
    name = "peers" if settings["dtype"] == "float32" else f"peers-{settings['dtype']}"
    save(out, name, {"settings": settings, "machine": where, "rows": rows, "variants": runs}, "\n".join(lines))
    save_plot(out / f"{name}.json")


@click.command(context_settings={"show_default": True})
@click.option(
    "--out", default=str(ROOT / "benchmarks/results"), type=click.Path(path_type=Path), help="Folder for results."
)
@click.option(
    "--work", default=str(ROOT / "build/peers"), type=click.Path(path_type=Path), help="Folder for data; kept."
)
@click.option(
    "--envs", default=str(ROOT / ".venv/peers"), type=click.Path(path_type=Path), help="Folder for environments; kept."
)
@click.option("--images", default=242, help="Number of images of mhp-synth; all but two are in the training split.")
@click.option("--rounds", default=5)
@click.option("--seconds", default=3.0, help="Timed seconds per run.")
@click.option("--workers", default=2, help="Threads or processes of each loader.")
@click.option("--dtype", default="float32", type=click.Choice(["float32", "uint8"]))
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    help="Peer to measure; may be repeated.  [default: all]",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    type=click.Choice(list(CODECS)),
    help="Own store to measure; may be repeated.  [default: all]",
)
@click.option("--before", type=click.Path(exists=True, path_type=Path), help="Checkout to compare with instead.")
@click.option("--own", "own", multiple=True, metavar="NAME=COMMAND", help="Additional variant of ours.")
def main(out: Path, work: Path, envs: Path, images: int, rounds: int, seconds: float, workers: int, dtype: str,
         peers: tuple[str, ...], stores: tuple[str, ...], before: Path | None,
         own: tuple[str, ...]) -> None:  # fmt: skip
    """Measure all peers and our own loader."""
    begun = time.perf_counter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that children are ended, too
    out, work, envs = out.absolute(), work.absolute(), envs.absolute()
    if before is not None:
        settings = {"images": images, "rounds": rounds, "seconds": seconds, "workers": workers, "dtype": dtype}
        compare(before.absolute(), list(stores or CODECS), settings, work, out)
        return
    data = make_data(work, images)
    variants = list(peer_variants(envs, data, list(peers or PEERS), workers, dtype))
    variants += own_variants(list(stores or CODECS), workers, dtype, own)
    for variant in variants:
        if variant.checkable and not variant.reason:
            check_variant(variant, data)
        print(f"{variant.name:24} {variant.reason or 'checked ' + json.dumps(variant.checked)}", flush=True)
    for seed in range(rounds):
        print(f"round {seed + 1} of {rounds}, {time.perf_counter() - begun:.0f} s so far", flush=True)
        for variant in variants:
            if variant.failures < ATTEMPTS and not (variant.reason and not variant.failures):
                run_variant(variant, data, seconds, seed)
    pictures = len((data / "peer" / "names.txt").read_text().split())
    settings = {"images": images, "pictures": pictures, "rounds": rounds, "seconds": seconds}
    report(variants, {**settings, "workers": workers, "dtype": dtype}, out)


if __name__ == "__main__":
    main()
