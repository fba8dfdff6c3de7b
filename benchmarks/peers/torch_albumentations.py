"""PyTorch's DataLoader with worker processes and albumentations' transforms, as in most segmentation code."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else the import queries the network for a newer version

import albumentations
import cv2
import torch
from albumentations.pytorch import ToTensorV2

from peers.task import BATCH, DEVIATION, MEAN, SCALES, SIZE, Task, endless

STORES = ("jpeg",)
VERSIONS = ("torch", "albumentations", "opencv-python-headless", "numpy")
ABOUT = "processes, albumentations on OpenCV; JPEG + PNG; bilinear, not antialiased"


class Samples(torch.utils.data.Dataset):
    """Samples by index, as two tensors."""

    def __init__(self, task: Task) -> None:
        self.data, self.names = task.data, task.names
        long_sides = list(range(int(SCALES[0] * SIZE), int(SCALES[1] * SIZE) + 1))
        transforms = [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.LongestMaxSize(long_sides, interpolation=cv2.INTER_LINEAR, p=1),
            albumentations.PadIfNeeded(SIZE, SIZE, position="top_left", border_mode=cv2.BORDER_CONSTANT, p=1),
            albumentations.RandomCrop(SIZE, SIZE, p=1),
        ]
        if task.dtype == "float32":
            transforms += [albumentations.Normalize(MEAN.tolist(), DEVIATION.tolist(), p=1), ToTensorV2()]
        self.transform = albumentations.Compose(transforms, seed=task.seed)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = self.names[index]
        image = cv2.cvtColor(cv2.imread(str(self.data / "jpeg" / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        labels = cv2.imread(str(self.data / "png" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        done = self.transform(image=image, mask=labels)
        return torch.as_tensor(done["image"]), torch.as_tensor(done["mask"])


def batches(task: Task) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches endlessly."""
    samples = Samples(task)
    yield from torch.utils.data.DataLoader(
        samples,
        BATCH,
        sampler=_Endless(len(samples), task.seed),
        num_workers=task.workers,
        worker_init_fn=_one_thread,
        persistent_workers=True,
        prefetch_factor=2,
        drop_last=True,
    )


class _Endless(torch.utils.data.Sampler):
    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __iter__(self) -> Iterator[int]:
        return endless(self.count, self.seed)


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
