"""SPDL: its thread pipeline, images by OpenCV. One thread fills a batch in place, so nothing is stacked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from spdl.pipeline import PipelineBuilder

from peers.opencv_crop import empty_batch, fill
from peers.task import BATCH, Task, endless

STORES = ("jpeg",)
VERSIONS = ("spdl_core", "opencv-python-headless", "numpy")
ABOUT = "threads, OpenCV; JPEG + PNG; bilinear, not antialiased"


def batches(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches endlessly."""
    names = task.names

    def indices() -> Iterator[tuple[int, list[int]]]:
        order, number = endless(len(names), task.seed), 0
        while True:
            yield number, [next(order) for _ in range(BATCH)]
            number += 1

    def load(item: tuple[int, list[int]]) -> tuple[np.ndarray, np.ndarray]:
        number, chosen = item
        rng = np.random.default_rng([task.seed, number])
        images, labels = empty_batch(BATCH, task.dtype)
        for row, index in enumerate(chosen):
            photo = (task.data / "jpeg" / f"{names[index]}.jpg").read_bytes()
            mask = (task.data / "png" / f"{names[index]}.png").read_bytes()
            fill(photo, mask, rng, images[row], labels[row])
        return images, labels

    builder = PipelineBuilder().add_source(indices()).pipe(load, concurrency=task.workers).add_sink(2)
    with (pipeline := builder.build(num_threads=task.workers)).auto_stop():
        yield from pipeline.get_iterator()
