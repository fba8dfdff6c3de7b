"""Check that two checkouts of mhp write the same records and hand out the same batches, byte for byte.

Run:  python benchmarks/digests.py --before CHECKOUT          (a checkout of 0.1, or of any later version)

1. Generate a synthetic download in the form of LV-MHP v1, with images so small that some records hold the source JPEG.
2. Pack it with each checkout: every store in both containers, every overlap rule, whole and resized. This file reads
   the records by docs/format.md alone, so manifests and shard cuts may differ.
3. Load the packs of ``--before`` with each checkout (so the newer code reads an older format), and its own packs with
   ``--after``: every store, container and vector level of this machine, views and outputs as in CASES.
4. Print "equal" and the number of digests, or the names of the digests that differ; then the exit status is 1.

The libraries are those of the Python that runs this file; PYTHONPATH selects the checkout.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import itertools
import json
import os
import pkgutil
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
MAGIC = 0xCED7230A
TAKES_LEVEL = re.compile(r"^from mhpdata[.\w]* import [^\n]*\bLEVEL\b", re.M)
"""Matches modules that pass the level of vector instructions to kernels."""
PACKS: dict[str, dict[str, Any]] = {
    **{
        f"{image} {format}": {"image": image, "format": format, "size": 96}
        for image in ("jpeg", "yuv420", "raw")
        for format in ("recordio", "hdf5")
    },
    **{
        f"overlap {rule}": {"overlap": rule, "image": "yuv420", "size": 96}
        for rule in ("last", "smallest", "nearest", "ignore")
    },
    "whole jpeg": {"image": "jpeg", "size": 0},
    "long side": {"image": "raw", "size": 100, "size_of": "long"},
}
TRAIN = {"kind": "TrainCrop", "size": 64, "base_size": 80}
CASES: dict[str, dict[str, Any]] = {
    "train": {"view": TRAIN, "output": {}},
    "train, persons, uint8": {"view": TRAIN, "output": {"persons": True, "dtype": "uint8"}},
    "train, float16, two ranks": {
        "view": TRAIN, "output": {"dtype": "float16"}, "share": {"rank": 1, "world_size": 2},
    },
    "train, blur, gray, persons": {
        "view": {**TRAIN, "blur_prob": 1.0, "gray_prob": 0.5}, "output": {"persons": True},
    },
    "train, sides stay, padding 0": {
        "view": {**TRAIN, "flip_prob": 1.0, "swap_sides": False, "pad_label": 0}, "output": {},
    },
    "train, very small and large": {"view": {**TRAIN, "scales": [0.05, 4.0]}, "output": {"persons": True}},
    "train, rare classes": {"view": TRAIN, "output": {}, "mix": {"sample": "rare"}},
    "train, overlap nearest": {"view": TRAIN, "output": {"persons": True, "overlap": "nearest"}},
    "train, overlap ignore": {"view": TRAIN, "output": {"persons": True, "overlap": "ignore"}},
    "centre": {"view": {"kind": "CentreCrop", "size": 72}, "output": {"persons": True}},
    "centre, larger": {"view": {"kind": "CentreCrop", "size": 150}, "output": {"dtype": "uint8"}},
    "whole": {"view": {"kind": "Whole"}, "output": {"persons": True}, "batch_size": 1},
}  # fmt: skip
LOADED = [name for name, options in PACKS.items() if "overlap" not in options]
ARRAYS = ("images", "labels", "persons", "boxes", "counts", "indices")
EPOCHS = 2


# --- records, read from docs/format.md


def records(shard: Path) -> Iterator[bytes]:
    """Yield the payloads of a .rec or .h5 file, in order."""
    if shard.suffix == ".h5":
        import h5py

        with h5py.File(shard, "r") as file:
            data, offsets = file["records"][()].tobytes(), file["offsets"][()].tolist()
        yield from (data[begin:end] for begin, end in itertools.pairwise(offsets))
        return
    data, offset, pieces = shard.read_bytes(), 0, list[bytes]()
    while offset < len(data):
        magic, word = struct.unpack_from("<II", data, offset)
        assert magic == MAGIC, f"{shard}: no magic at {offset}"
        flag, length = word >> 29, word & ((1 << 29) - 1)
        pieces.append(data[offset + 8 : offset + 8 + length])
        offset += 8 + (length + 3) // 4 * 4
        if flag in (0, 3):
            yield struct.pack("<I", MAGIC).join(pieces)
            pieces = []


def record_digests(rec: Path) -> dict[str, str]:
    """Return {split and number: SHA-256} for every record of a packed folder."""
    found, counts = {}, dict[str, int]()
    for shard in sorted([*rec.glob("*.rec"), *rec.glob("*.h5")]):
        split = shard.name.rpartition("-")[0]
        for record in records(shard):
            number = counts[split] = counts.get(split, -1) + 1
            found[f"{split} {number}"] = hashlib.sha256(record).hexdigest()
    return found


# --- runs with a checkout on PYTHONPATH


def pack_all(source: Path, out: Path) -> dict[str, str]:
    """Pack the download with all options; return the digests of all records."""
    import mhpdata

    found = {}
    for name, options in PACKS.items():
        rec = out / name.replace(" ", "_")
        mhpdata.pack(source, rec, workers=2, **options)
        found |= {f"record: {name}: {key}": digest for key, digest in record_digests(rec).items()}
    return found


def load_all(packs: Path) -> dict[str, str]:
    """Load all packs in all cases; return the digests of all batches."""
    from peers.mhp import open_loader

    found = {}
    for level in levels():
        for name in LOADED:
            for case, options in CASES.items():
                how = {"batch_size": 4, "seed": 7, "threads": 2, "drop_last": False, **options}
                loader = open_loader(packs / name.replace(" ", "_"), "train", **how)
                for epoch in range(EPOCHS):
                    for number, batch in enumerate(loader):
                        digest = hashlib.sha256()
                        for field in ARRAYS:
                            array = getattr(batch, field)
                            about = None if array is None else (array.dtype.str, array.shape)
                            digest.update(f"{field} {about}".encode() + (b"" if array is None else array.tobytes()))
                        key = f"batch: level {level}: {name}: {case}: epoch {epoch} batch {number}"
                        found[key] = digest.hexdigest()
                loader.close()
    return found


def levels() -> Iterator[int]:
    """Yield every level of vector instructions of this machine, from scalar loops up, and set it while it is in use."""
    import mhpdata

    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(mhpdata.__path__, "mhpdata.")]
    taking = [module for module in modules if TAKES_LEVEL.search(inspect.getsource(module))]
    names = [module.__name__ for module in taking]
    assert len(taking) > 1, f"only {names} match TAKES_LEVEL: extend it to the other modules that pass a level"
    most = taking[0].LEVEL
    for level in range(most + 1):
        for module in taking:
            module.LEVEL = level
        yield level


def child(source: Path, work: Path, packs: list[Path]) -> None:
    """Write ``work``/digests.json: digests of the records packed there, and of the batches of ``packs``."""
    import mhpdata

    assert Path(mhpdata.__file__).is_relative_to(os.environ["PYTHONPATH"]), mhpdata.__file__
    found = pack_all(source, work / "packs")
    for folder in packs:
        found |= _named(folder, load_all(folder))
    (work / "digests.json").write_text(json.dumps(found))


def _named(packs: Path, found: dict[str, str]) -> dict[str, str]:
    return {f"packs of {packs.parent.name}: {key}": digest for key, digest in found.items()}


# --- the comparison


def run_child(code: Path, source: Path, work: Path, packs: list[Path]) -> dict[str, str]:
    """Return the digests of a checkout, computed in a new process."""
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": ""}
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(source), str(work), *map(str, packs)]
    subprocess.run(command, env=environment, check=True)
    return dict(json.loads((work / "digests.json").read_text()))


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """List the keys that differ or are missing; batches of both packs are compared with those of before's own packs."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        if key.startswith("packs of after: "):
            twin = before.get(key.replace("packs of after: ", "packs of before: ", 1))
        else:
            twin = before.get(key)
        if twin != after.get(key):
            state = "missing after" if key not in after else "missing before" if twin is None else "differs"
            found.append(f"{key}: {state}")
    return found


@click.command()
@click.option("--before", required=True, type=click.Path(exists=True, path_type=Path), help="Checkout to compare with.")
@click.option(
    "--after",
    default=ROOT,
    type=click.Path(exists=True, path_type=Path),
    help="Checkout to compare; this one by default.",
)
@click.option("--images", default=12, show_default=True, help="Number of images of mhp-synth.")
def main(before: Path, after: Path, images: int) -> None:
    """Compare the records and batches of two checkouts."""
    from mhpdata.synth.writing.folder import synthesize

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        synthesize(work / "MHP_v1", images=images, seed=0, scale=0.3)
        packs = {name: work / name / "packs" for name in ("before", "after")}
        first = run_child(before.absolute(), work / "MHP_v1", work / "before", [packs["before"]])
        second = run_child(after.absolute(), work / "MHP_v1", work / "after", list(packs.values()))
    found = differences(first, second)
    counts = ", ".join(f"{sum(name in key for key in second)} {name}" for name in ("record: ", "batch: "))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(found)} of them differ" if found else "equal", f"({counts.replace(': ', ' digests')})")
    sys.exit(bool(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]), [Path(folder) for folder in sys.argv[4:]])
    else:
        main()
