"""Whether two checkouts of mhp write the same records and hand out the same batches, byte for byte.

Run:  python benchmarks/digests.py --before CHECKOUT          (a checkout of 0.1, or of any later version)

1. One synthetic download, as LV-MHP v1 and cut into small photos, so that some records hold the source's own JPEG.
2. Each checkout packs it: every store in both containers, every overlap rule, whole and resized. Records are read by
   the code here, from docs/format.md alone, so manifests and shard cuts may differ.
3. Each checkout's loader reads the packs of ``--before`` (so an older format is read by the newer code) and its own:
   every store, container and vector level of this machine, views and outputs as in CASES.
4. "equal", and how many digests; or the names of those that differ, and exit status 1.

The libraries are those of the Python that runs this file; a checkout is what PYTHONPATH names.
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
"""The modules that hand the level of vector instructions to kernels."""
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
PARTS = ("images", "labels", "persons", "boxes", "counts", "indices")
EPOCHS = 2


# --- records, read from docs/format.md


def records(shard: Path) -> Iterator[bytes]:
    """The payloads of a .rec or .h5 file, in order."""
    if shard.suffix == ".h5":
        import h5py

        with h5py.File(shard, "r") as file:
            data, offsets = file["records"][()].tobytes(), file["offsets"][()].tolist()
        yield from (data[begin:end] for begin, end in itertools.pairwise(offsets))
        return
    data, place, parts = shard.read_bytes(), 0, list[bytes]()
    while place < len(data):
        magic, word = struct.unpack_from("<II", data, place)
        assert magic == MAGIC, f"{shard}: no magic at {place}"
        part, length = word >> 29, word & ((1 << 29) - 1)
        parts.append(data[place + 8 : place + 8 + length])
        place += 8 + (length + 3) // 4 * 4
        if part in (0, 3):
            yield struct.pack("<I", MAGIC).join(parts)
            parts = []


def record_digests(rec: Path) -> dict[str, str]:
    """{split and number: SHA-256} of every record of a packed folder."""
    found, counts = {}, dict[str, int]()
    for shard in sorted([*rec.glob("*.rec"), *rec.glob("*.h5")]):
        split = shard.name.rpartition("-")[0]
        for record in records(shard):
            number = counts[split] = counts.get(split, -1) + 1
            found[f"{split} {number}"] = hashlib.sha256(record).hexdigest()
    return found


# --- what runs with a checkout on PYTHONPATH


def pack_all(source: Path, out: Path) -> dict[str, str]:
    """Pack the download in all ways; the digests of all records."""
    import mhpdata

    found = {}
    for name, options in PACKS.items():
        rec = out / name.replace(" ", "_")
        mhpdata.pack(source, rec, workers=2, **options)
        found |= {f"record: {name}: {key}": digest for key, digest in record_digests(rec).items()}
    return found


def load_all(packs: Path) -> dict[str, str]:
    """The digests of all batches of all cases."""
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
                        for part in PARTS:
                            array = getattr(batch, part)
                            about = None if array is None else (array.dtype.str, array.shape)
                            digest.update(f"{part} {about}".encode() + (b"" if array is None else array.tobytes()))
                        key = f"batch: level {level}: {name}: {case}: epoch {epoch} batch {number}"
                        found[key] = digest.hexdigest()
                loader.close()
    return found


def levels() -> Iterator[int]:
    """Every level of vector instructions that this machine has, from the plain loops on; set while it is handed out."""
    import mhpdata

    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(mhpdata.__path__, "mhpdata.")]
    taking = [module for module in modules if TAKES_LEVEL.search(inspect.getsource(module))]
    names = [module.__name__ for module in taking]
    assert len(taking) > 1, f"only {names} take a level: teach TAKES_LEVEL how the others do"
    most = taking[0].LEVEL
    for level in range(most + 1):
        for module in taking:
            module.LEVEL = level
        yield level


def child(source: Path, work: Path, packs: list[Path]) -> None:
    """Write digests.json below ``work``: of records packed there, and of batches of these packs."""
    import mhpdata

    assert Path(mhpdata.__file__).is_relative_to(os.environ["PYTHONPATH"]), mhpdata.__file__
    found = pack_all(source, work / "packs")
    for place in packs:
        found |= {f"{key}": digest for key, digest in _named(place, load_all(place)).items()}
    (work / "digests.json").write_text(json.dumps(found))


def _named(packs: Path, found: dict[str, str]) -> dict[str, str]:
    return {f"packs of {packs.parent.name}: {key}": digest for key, digest in found.items()}


# --- the comparison


def run_child(code: Path, source: Path, work: Path, packs: list[Path]) -> dict[str, str]:
    """The digests of a checkout, found by a process of its own."""
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": ""}
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(source), str(work), *map(str, packs)]
    subprocess.run(command, env=environment, check=True)
    return dict(json.loads((work / "digests.json").read_text()))


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs, or is missing on one side; both packs' batches are compared with those of before's own packs."""
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
@click.option("--before", required=True, type=click.Path(exists=True, path_type=Path), help="A checkout.")
@click.option("--after", default=ROOT, type=click.Path(exists=True, path_type=Path), help="Another; by default this.")
@click.option("--images", default=12, show_default=True, help="Images of mhp-synth.")
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
    kinds = ", ".join(f"{sum(kind in key for key in second)} {kind}" for kind in ("record: ", "batch: "))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(found)} of them differ" if found else "equal", f"({kinds.replace(': ', ' digests')})")
    sys.exit(bool(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]), [Path(place) for place in sys.argv[4:]])
    else:
        main()
