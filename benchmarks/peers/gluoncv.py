"""GluonCV's recipe: its MHP v1 dataset on the downloaded folder, MXNet's DataLoader with worker processes.

All work is GluonCV's own, in every epoch: merging the masks of an image, resizing the short side to 768, augmentation
by Pillow, normalisation by MXNet. Its random blur is off, since the task has none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import mxnet
from gluoncv.data import MHPV1Segmentation
from mxnet import gluon
from mxnet.gluon.data.vision import transforms
from PIL import Image

from peers.task import BATCH, DEVIATION, MEAN, SIZE, Task, endless

STORES = ("jpeg",)
VERSIONS = ("gluoncv", "mxnet", "pillow", "numpy")
ABOUT = "processes, GluonCV recipe on the raw folder; bilinear, antialiased; float32 labels"


def batches(task: Task) -> Iterator[tuple[mxnet.nd.NDArray, mxnet.nd.NDArray]]:
    """Yield batches endlessly."""
    Image.Image.filter = lambda self, filter: self  # disables the blur
    mxnet.random.seed(task.seed)
    random.seed(task.seed)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN.tolist(), DEVIATION.tolist())])
    to_uint8 = lambda image: image.astype("uint8")  # noqa: E731  (the dataset returns float32 levels)
    dataset = MHPV1Segmentation(
        str(task.data / "raw"),
        "train",
        transform=normalise if task.dtype == "float32" else to_uint8,
        base_size=SIZE,
        crop_size=SIZE,
    )
    order = _Long(len(dataset), task.seed)
    loader = gluon.data.DataLoader(
        dataset, BATCH, sampler=order, last_batch="discard", num_workers=task.workers, timeout=600
    )
    for images, labels in loader:
        images.wait_to_read()
        labels.wait_to_read()
        yield images, labels


class _Long(gluon.data.Sampler):
    """Shuffled passes, more than any run needs, because MXNet requires a length."""

    PASSES = 1000

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __iter__(self) -> Iterator[int]:
        order = endless(self.count, self.seed)
        return (next(order) for _ in range(len(self)))

    def __len__(self) -> int:
        return self.count * self.PASSES


def arrays(batch: tuple[mxnet.nd.NDArray, mxnet.nd.NDArray]) -> list:
    """Return a batch as NumPy arrays."""
    return [array.asnumpy() for array in batch]
