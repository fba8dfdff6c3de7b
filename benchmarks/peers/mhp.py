"""Our own loader, measured as the peers are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import mhpdata
from peers.task import BATCH, SIZE, Task

STORES = ("jpeg", "yuv420", "raw")
VERSIONS = ("mhp", "numba", "numpy", "simplejpeg")
ABOUT = "threads; packed shards; bilinear, antialiased; left and right labels swapped on a flip"


def batches(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches."""
    loader = mhpdata.Loader(
        task.data.parent / "rec" / task.store,
        "train",
        batch_size=BATCH,
        base_size=SIZE,
        crop_size=SIZE,
        seed=task.seed,
        threads=task.workers,
        dtype=task.dtype,
        blur_prob=0.0,
        drop_last=True,
    )
    epoch = 0
    while True:
        loader.set_epoch(epoch)
        for batch in loader:
            yield batch.images, batch.labels
        epoch += 1
