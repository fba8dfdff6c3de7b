"""Measure half a million records: time to open a packed folder, and memory of its names and offsets.

Run:  python benchmarks/scale.py --out benchmarks/results

One small record of mhp-synth is stored under 20 times as many names as MHP v2 has, in shards of 10,000. A new process
opens the folder and begins a shuffled epoch. Private memory is not backed by files; the rows of a folder of 1,000
records are the baseline.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from harness import machine, save, table, told

import mhpdata
from mhpdata.storage.content import record_digest, split_content
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.storage.manifest import NAME, Manifest, read_manifest
from mhpdata.storage.packed import PackedSplit, Shard, ShardFile
from mhpdata.storage.record import encode_record, number_record
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.formats import SUFFIXES
from mhpdata.synth.writing.folder import synthesize

CHILD = """
import json, sys, time
from pathlib import Path
import mhpdata, mhpdata.loading.loader, mhpdata.storage.shards.hdf5
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1e3
begun = time.perf_counter()
split = mhpdata.open(sys.argv[1], "train")
opened = time.perf_counter() - begun
split[len(split) - 1]
split.close()
del split
begun = time.perf_counter()
view = mhpdata.TrainCrop(64, base_size=64, blur_prob=0.0)
loader = mhpdata.Loader(sys.argv[1], "train", batch_size=4, view=view, threads=1)
made = time.perf_counter() - begun
begun = time.perf_counter()
batch = next(iter(loader))
first = time.perf_counter() - begun
print(json.dumps({"open s": opened, "loader s": made, "first batch s": first, "private MB": private()}))
"""


def write_folder(small: Path, out: Path, records: int, per_shard: int) -> None:
    """Write a packed folder whose train split holds the first record of ``small`` ``records`` times."""
    manifest = read_manifest(small)
    format = str(manifest.options["format"])
    template = mhpdata.open(small, "train").record(0)
    out.mkdir()
    written, contents = [], []
    classes = manifest.splits["train"].shards[0].classes[0]
    for start in range(0, records, per_shard):
        names = tuple(f"{i}" for i in range(start, min(start + per_shard, records)))
        stem = out / f"train-{start // per_shard:05d}"
        writer = formats.writer(format, stem)
        for i, name in enumerate(names, start):
            data = encode_record(replace(template, name=name))
            number_record(data, i)
            contents.append(record_digest(data))
            writer.write(data)
        paths = [stem.with_suffix(suffix) for suffix in SUFFIXES[format]]
        hashes = zip(paths, writer.close(), strict=True)
        files = tuple(ShardFile(p.name, h.size, h.sha256, h.blocks) for p, h in hashes)
        photos = Digests(template.source_sha256 * len(names))
        sources = Digests(template.source_sha256[:SOURCE_BYTES] * len(names), SOURCE_BYTES)
        written.append(Shard(files, names, photos, sources, (classes,) * len(names)))
    statistics = manifest.splits["train"].statistics
    splits = {"train": PackedSplit(tuple(written), statistics, content=split_content(contents))}
    whole: Manifest = replace(manifest, splits=splits, skipped=(), duplicates=())
    (out / NAME).write_text(whole.to_json(), encoding="utf-8")


def opened(folder: Path, runs: int) -> dict[str, float]:
    """Return medians over new processes, after one that warms kernels and files."""
    command = [sys.executable, "-c", CHILD, str(folder)]
    found = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)
    ]
    return {name: statistics.median(run[name] for run in found[1:]) for name in found[0]}


@click.command()
@click.option(
    "--records", default=503_060, show_default=True, help="Number of records; MHP v2 has 25,153 in train and val."
)
@click.option("--runs", default=5, show_default=True)
@click.option("--out", default="benchmarks/results", show_default=True, type=click.Path(path_type=Path))
def main(records: int, runs: int, out: Path) -> None:
    """Measure both formats and write a table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "MHP_v1"
        synthesize(source, 12, 0, None, False, progress=False, scale=0.1)
        for format in ("recordio", "hdf5"):
            small = Path(name) / f"small-{format}"
            mhpdata.pack(source, small, size=32, format=format)
            for count in (1_000, records):
                folder = Path(name) / f"{format}-{count}"
                write_folder(small, folder, count, 10_000)
                size = (folder / NAME).stat().st_size / 1e6
                rows.append({"format": format, "records": count, "manifest MB": size, **opened(folder, runs + 1)})
    where = machine("numpy", "numba", "h5py")
    what = __doc__.partition("out benchmarks/results")[2].strip()
    line = told(where)
    text = f"# Half a million records\n\n{what}\n\n{table(rows)}\n{line}\n"
    save(out, "scale", {"machine": where, "rows": rows}, text)


if __name__ == "__main__":
    main()
