"""Measure the peak memory of packing 25,000 images, compared with 1,000.

Run:  python benchmarks/pack_memory.py --out benchmarks/results

The images are small ones of mhp-synth under many names, each with its own JPEG comment, so that no two files are equal;
the masks are links to the same files. mhp-pack runs as a command, with all its stages: scan, decode, merge, resize,
encode, hash, manifest. Its peak is the maximum resident set size that the system reports when the process has ended,
which includes mapped files; packs of different length run in turn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told

from mhpdata.storage.manifest import read_manifest
from mhpdata.synth.writing.folder import synthesize

DIFFERENT = 250


def write_source(small: Path, out: Path, images: int) -> Path:
    """Write a download of ``images`` images: those of ``small``, repeated with a number in a JPEG comment."""
    for name in ("images", "annotations"):
        (out / name).mkdir(parents=True)
    photos = sorted((small / "images").iterdir())
    masks: dict[str, list[Path]] = {photo.stem: [] for photo in photos}
    for path in sorted((small / "annotations").iterdir()):
        masks[path.name.partition("_")[0]].append(path)
    names = [f"{i:06d}" for i in range(1, images + 1)]
    for i, name in enumerate(names):
        photo = photos[i % len(photos)]
        data = photo.read_bytes()
        comment = b"\xff\xfe" + (2 + len(name)).to_bytes(2, "big") + name.encode()
        (out / "images" / f"{name}.jpg").write_bytes(data[:2] + comment + data[2:])
        for mask in masks[photo.stem]:
            os.link(mask, out / "annotations" / f"{name}_{mask.name.partition('_')[2]}")
    tested = images // 5
    (out / "train_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[:-tested]))
    (out / "test_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[-tested:]))
    return out


def packed(source: Path, out: Path, size: int, workers: int) -> dict[str, float]:
    """Run mhp-pack; return its seconds, CPU seconds and peak memory."""
    flags = f"--src {source} --out {out} --size {size} --workers {workers}"
    begun = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "mhptools.pack", *flags.split()], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"mhp-pack ended with {child.returncode}.")
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "CPU seconds": used.ru_utime + used.ru_stime, "peak MB": used.ru_maxrss / 1024}


@click.command()
@click.option("--images", default=25_000, show_default=True, help="Number of images; MHP v2 has 25,403.")
@click.option("--scale", default=0.3, show_default=True, help="Factor for the image sides; 1 is the size of MHP v1.")
@click.option("--size", default=256, show_default=True, help="--size of mhp-pack.")
@click.option("--workers", default=2, show_default=True, help="--workers of mhp-pack.")
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(images: int, scale: float, size: int, workers: int, out: Path) -> None:
    """Measure all packs and write a table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        small = work / "small"
        synthesize(small, DIFFERENT, 0, None, False, progress=True, scale=scale)
        counts = (1_000, images // 5, images)
        sources = {count: write_source(small, work / f"source-{count}", count) for count in counts}
        for count, source in sources.items():
            found = packed(source, work / f"rec-{count}", size, workers)
            manifest = read_manifest(work / f"rec-{count}")
            assert sum(split.records for split in manifest.splits.values()) == count
            written = sum(file.bytes for file in manifest.files) / 1e6
            rows.append({"images": count, **found, "images/s": count / found["seconds"], "MB written": written})
    where = machine("numpy", "numba", "opencv-python")
    what = __doc__.partition("out benchmarks/results")[2].strip()
    line = told(where)
    text = f"# Memory of a long pack\n\n{what} Images at {scale:g} of the size of MHP v1, --size {size}, "
    text += f"--workers {workers}.\n\n{table(rows)}\n{line}\n"
    save(out, "pack_memory", {"machine": where, "rows": rows}, text)


if __name__ == "__main__":
    main()
