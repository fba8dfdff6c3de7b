"""WebDataset: tar shards read in order, a shuffle buffer, PyTorch's worker processes, images by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import webdataset

from peers.opencv_crop import empty_batch, fill
from peers.task import BATCH, Task

STORES = ("jpeg",)
VERSIONS = ("webdataset", "torch", "opencv-python-headless", "numpy")
ABOUT = "processes, OpenCV; JPEG + PNG in tar shards; bilinear, not antialiased"


def batches(task: Task) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches endlessly; a worker fills a batch in place, which reaches the consumer through shared memory."""
    shards = sorted(map(str, (task.data / "tar").glob("*.tar")))

    def collate(samples: list[dict[str, bytes]]) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = empty_batch(len(samples), task.dtype)
        rng = _generator(task.seed)
        for row, sample in enumerate(samples):
            fill(sample["jpg"], sample["png"], rng, images[row], labels[row])
        return torch.from_numpy(images), torch.from_numpy(labels)

    dataset = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), nodesplitter=None, seed=task.seed)
        .repeat()
        .shuffle(64)
        .batched(BATCH, collation_fn=collate, partial=False)
    )
    yield from torch.utils.data.DataLoader(
        dataset, None, num_workers=task.workers, worker_init_fn=_one_thread, prefetch_factor=2, persistent_workers=True
    )


_generators: dict[int, np.random.Generator] = {}


def _generator(seed: int) -> np.random.Generator:
    """Return the random generator of this worker process."""
    worker = torch.utils.data.get_worker_info()
    return _generators.setdefault(seed, np.random.default_rng([seed, worker.id if worker else 0]))


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
