"""DALI on the CPU: decode, resize the crop's region, mirror by a negative size, normalise and pad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from nvidia.dali import fn, math, pipeline_def, types

from peers.task import BATCH, DEVIATION, MEAN, SCALES, SIZE, Task

STORES = ("jpeg",)
VERSIONS = ("nvidia-dali-cuda120", "numpy")
ABOUT = "its own threads and kernels; JPEG + PNG; bilinear, not antialiased"
ANTIALIAS = False


@pipeline_def(batch_size=BATCH, device_id=None, prefetch_queue_depth=2, exec_dynamic=False)
def train_768(task: Task) -> tuple[Any, Any]:
    """Define the pipeline."""
    photos, _ = _files(task, "jpeg", "jpg")
    masks, _ = _files(task, "png", "png")
    size = fn.cast(fn.peek_image_shape(photos)[0:2], dtype=types.FLOAT)
    long_side = fn.random.uniform(range=[SCALES[0] * SIZE, SCALES[1] * SIZE])
    scaled = math.floor(size * (long_side / fn.reductions.max(size)) + 0.5)
    shown = math.min(scaled, float(SIZE))
    start = math.floor(fn.random.uniform(range=[0.0, 1.0], shape=[2]) * (scaled - shown + 1))
    region = {"roi_start": start / scaled, "roi_end": (start + shown) / scaled, "roi_relative": True}
    flip = fn.cast(fn.random.coin_flip(), dtype=types.FLOAT)
    region["size"] = shown * fn.stack(fn.constant(fdata=1.0, shape=[]), 1.0 - 2.0 * flip)

    image = fn.decoders.image(photos, use_fast_idct=True, jpeg_fancy_upsampling=False)
    image = fn.resize(image, interp_type=types.INTERP_LINEAR, antialias=ANTIALIAS, **region)
    window = {"crop": (SIZE, SIZE), "crop_pos_x": 0.0, "crop_pos_y": 0.0, "out_of_bounds_policy": "pad"}
    if task.dtype == "float32":
        black = (-MEAN / DEVIATION).tolist()
        image = fn.crop_mirror_normalize(
            image, mean=(255 * MEAN).tolist(), std=(255 * DEVIATION).tolist(), fill_values=black, **window
        )
    else:
        image = fn.crop(image, **window)
    labels = fn.decoders.image(masks, output_type=types.GRAY)
    labels = fn.resize(labels, interp_type=types.INTERP_NN, **region)
    return image, fn.crop(labels, **window)


def _files(task: Task, folder: str, suffix: str) -> tuple[Any, Any]:
    """Read files; readers with the same seed have the same order."""
    names = [str(task.data / folder / f"{name}.{suffix}") for name in task.names]
    return fn.readers.file(files=names, random_shuffle=True, seed=task.seed + 1, initial_fill=256, name=folder)


def batches(task: Task) -> Iterator[tuple[Any, Any]]:
    """Yield batches endlessly."""
    pipeline = train_768(task, num_threads=task.workers, seed=task.seed + 1)
    pipeline.build()
    while True:
        yield pipeline.run()


def arrays(batch: tuple[Any, Any]) -> list[np.ndarray]:
    """Return a batch as NumPy arrays."""
    images, labels = (np.array(tensors.as_tensor()) for tensors in batch)
    return [images, labels.squeeze(-1)]
