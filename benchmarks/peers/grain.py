"""Grain: its MapDataset on threads, images by OpenCV. Indices are batched first, so a batch is filled in place."""

from __future__ import annotations

from collections.abc import Iterator

import grain
import numpy as np

from peers.opencv_crop import empty_batch, fill
from peers.task import BATCH, Task

STORES = ("jpeg",)
VERSIONS = ("grain", "opencv-python-headless", "numpy")
ABOUT = "threads, OpenCV; JPEG + PNG; bilinear, not antialiased"


def batches(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches endlessly."""
    names = task.names

    def load(chosen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        images, labels = empty_batch(BATCH, task.dtype)
        for row, index in enumerate(chosen):
            photo = (task.data / "jpeg" / f"{names[index]}.jpg").read_bytes()
            mask = (task.data / "png" / f"{names[index]}.png").read_bytes()
            fill(photo, mask, rng, images[row], labels[row])
        return images, labels

    dataset = grain.MapDataset.range(len(names)).seed(task.seed).shuffle().repeat().batch(BATCH).random_map(load)
    options = grain.ReadOptions(num_threads=task.workers, prefetch_buffer_size=task.workers)
    yield from dataset.to_iter_dataset(options)
