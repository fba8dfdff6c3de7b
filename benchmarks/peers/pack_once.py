"""Time one pack of a download by the imported mhp; print one line of JSON.

    cd benchmarks; python -m peers.pack_once --source MHP_v1 --store jpeg --workers 2

An untimed pack of the same download runs first, so that kernels are compiled and files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import mhpdata
from peers.measure import tree_cpu
from peers.mhp import CODE


def main() -> None:
    """Parse the arguments, pack twice and print the second run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--store", default="jpeg")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    images = len(list((asked.source / "images").iterdir()))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2):
            cpu, begun = tree_cpu(), time.perf_counter()
            mhpdata.pack(asked.source, Path(folder, str(number)), image=asked.store, workers=asked.workers)
            wall, cpu = time.perf_counter() - begun, tree_cpu() - cpu
        packed = sum(len(mhpdata.open(Path(folder, "1"), split)) for split in ("train", "val", "test"))
    assert packed == images, f"{packed} packed of {images}"
    row = {"images": images, "wall_s": wall, "cpu_s": cpu, "CPU ms/image": 1e3 * cpu / images}
    print(json.dumps({**row, "images/s": images / wall, "code": CODE}), flush=True)


if __name__ == "__main__":
    main()
