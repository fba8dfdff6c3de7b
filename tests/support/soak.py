"""Run the loader at full speed and hold random batches: check that memory is constant and nothing is overwritten.

Run:  python tests/support/soak.py --seconds 3600 --out benchmarks/results

Some batches of a packed folder are held for a random while and compared with their checksum when they are released;
some are made again by a loader with one thread and must be equal. The memory of the process is recorded. Every few
epochs the iteration stops in the middle and resumes in a new loader.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from loading import open_loader

import mhpdata


def private_mb() -> float:
    """Return the memory of this process that is not backed by files."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Shared_Dirty:"))) / 1e3


def checksum(batch: Any) -> int:
    """Return a checksum of all arrays of a batch."""
    total = 0
    for array in (batch.images, batch.labels, batch.indices):
        total = zlib.crc32(array, total)
    return total


def soak(folder: Path, seconds: float, seed: int = 0, hold: int = 4, epochs: int = 2, **options: Any) -> dict[str, Any]:
    """Load until the time limit, at least ``epochs``; return the figures.

    Raises:
        AssertionError: A held batch changed, or a batch made again differs.
    """
    rng = random.Random(seed)
    settings = {"batch_size": 16, "seed": seed, **options}
    loader, single = open_loader(folder, **settings), open_loader(folder, **{**settings, "threads": 1})
    held: list[tuple[int, Any, int]] = []
    memory: list[float] = []
    counts = {"batches": 0, "images": 0, "held": 0, "made again": 0, "resumed": 0}
    begun, cpu = time.monotonic(), time.process_time()
    epoch = 0
    while epoch < epochs or time.monotonic() - begun < seconds:
        leave = rng.randrange(len(loader)) if rng.random() < 0.2 else -1
        again = rng.randrange(len(loader))
        position = 0
        iterator = iter(loader)
        while (batch := next(iterator, None)) is not None:
            counts["batches"] += 1
            counts["images"] += len(batch.indices)
            if rng.random() < 0.1 and len(held) < hold:
                held.append((counts["batches"] + rng.randrange(1, 60), batch, checksum(batch)))
                counts["held"] += 1
            for due, kept, before in [h for h in held if h[0] <= counts["batches"]]:
                assert checksum(kept) == before, f"a held batch has changed, epoch {epoch}"
                held = [h for h in held if h[0] != due or h[1] is not kept]
            if position == again:
                begun_at = {"epoch": epoch, "position": position * settings["batch_size"]}
                single.load_state_dict({**loader.state_dict(), **begun_at})
                other = next(iter(single))
                assert checksum(other) == checksum(batch), f"not what one thread makes, epoch {epoch}, batch {position}"
                del other
                counts["made again"] += 1
            if position == leave:
                state = loader.state_dict()
                del batch
                iterator.close()
                loader.close()
                loader = open_loader(folder, **settings)
                loader.load_state_dict(state)
                iterator = iter(loader) if loader.epoch == epoch else iter(())  # stop after the last batch
                counts["resumed"] += 1
                leave = -1
            position += 1
        epoch += 1
        memory.append(private_mb())
    for _, kept, before in held:
        assert checksum(kept) == before, "a held batch has changed"
    loader.close()
    single.close()
    hours = (time.monotonic() - begun) / 3600
    quarter = max(1, len(memory) // 4)
    first, last = memory[quarter : 2 * quarter] or memory, memory[-quarter:]
    return {
        **counts,
        "epochs": epoch,
        "hours": hours,
        "CPU hours": (time.process_time() - cpu) / 3600,
        "images/s": counts["images"] / hours / 3600,
        "MB, second quarter": sum(first) / len(first),
        "MB, last quarter": sum(last) / len(last),
        "most MB": max(memory),
    }


def main() -> int:
    """Make the data, run the soak test and write the figures."""
    from mhpdata.synth.writing.folder import synthesize

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--store", default="jpeg,yuv420", help="each gets its share of the time")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "MHP_v1"
        synthesize(source, asked.images, 0, None, False, progress=True)
        for store in asked.store.split(","):
            packed = Path(folder) / store
            mhpdata.pack(source, packed, image=store)
            share = asked.seconds / len(asked.store.split(","))
            rows.append({"store": store, **soak(packed, share, split="train", size=768, base_size=768)})
            print(json.dumps(rows[-1]), flush=True)
    if asked.out:
        where = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        (asked.out / "soak.json").write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
