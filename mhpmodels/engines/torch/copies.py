"""Batches on their way to a device: as tensors, normalised there, and copied while the step before is at work.

::

    loader ─ slot ─> pinned memory ─ side stream ─> device             a thread, one batch ahead
                                            event ─> the stream that computes waits for it

Pinned memory is torch's own, and used again only when the copy out of it is done; a slot of the loader is let go when
the next batch is asked for. On the CPU a tensor is the slot's own memory, and the loader knows when it is gone.

Run here: the CPU, with the thread and without; the streams on one H100 (``tests/test_torch_cuda.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mhpmodels.engines import DEVIATION, MEAN


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor: on the CPU its own memory, elsewhere a copy, which may still be under way."""
    # torch warns of memory that it may not write to, although nobody here writes
    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def normalise(images: Tensor) -> Tensor:
    """float32 (N, 3, H, W) normalised by ImageNet's mean and deviation.

    Args:
        images: uint8 (N, H, W, 3), RGB; or float32 or float16 (N, 3, H, W), normalised.
    """
    if images.dtype != torch.uint8:
        return images.float()
    mean, deviation = (torch.tensor(x, device=images.device)[:, None, None] for x in (MEAN, DEVIATION))
    return images.permute(0, 3, 1, 2).float().mul_(1 / (255 * deviation)).sub_(mean / deviation)


@dataclass(frozen=True)
class TensorBatch:
    """A batch of ``mhpdata.Loader`` as tensors on a device.

    Attributes:
        images: float32 (N, 3, H, W), normalised; float16 if the loader's are.
        labels: uint8 (N, H, W); 255 is not labelled.
        indices: int64 (N,), NumPy's, since they name samples to people.
        persons, boxes, counts: as of ``mhpdata.loader.Batch``, shapes and types too; None where the loader gives none.
    """

    images: Tensor
    labels: Tensor
    indices: NDArray[np.int64]
    persons: Tensor | None
    boxes: Tensor | None
    counts: Tensor | None


_Item = tuple[Any, TensorBatch, dict[str, int]]


class Copies:
    """A loader whose batches are tensors on a device; iterate over it as over the loader.

    Args:
        loader: as ``mhpdata.Loader``.
        device: as torch takes it.
        ahead: copy the next batch, in a thread, before it is asked for; None: where the device is a GPU.
        watched: makes a context in which the errors of a copy are raised.
    """

    def __init__(
        self,
        loader: Any,
        device: Any,
        ahead: bool | None = None,
        watched: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._loader, self._device = loader, torch.device(device)
        self._is_ahead = self._device.type != "cpu" if ahead is None else ahead
        self._watched = watched
        # one for good: memory that was used on a stream is used again there only
        self._side = torch.cuda.Stream(self._device) if self._is_ahead and self._device.type == "cuda" else None
        self._coming: Future[_Item | None] | None = None
        self._state: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self._loader)

    def name(self, index: int) -> str:
        """As of the loader."""
        return str(self._loader.name(index))

    def set_epoch(self, epoch: int) -> None:
        """As of the loader."""
        self._state = None
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """As of the loader; a batch copied ahead does not count."""
        state: dict[str, int] = self._loader.state_dict() if self._state is None else self._state
        return state

    def load_state_dict(self, state: dict[str, int]) -> None:
        """As of the loader."""
        self._loader.load_state_dict(state)
        self._state = None

    def close(self) -> None:
        """As of the loader, whose threads the batch that is being copied still needs."""
        if self._coming is not None:
            wait([self._coming])
        self._loader.close()

    def __iter__(self) -> Iterator[Any]:
        for _, tensors in self.pairs():
            yield tensors

    def pairs(self) -> Iterator[tuple[Any, TensorBatch]]:
        """The loader's own batches, each with its tensors."""
        batches = iter(self._loader)
        if not self._is_ahead:
            for batch in batches:
                yield batch, self._move(batch)
            return
        with ThreadPoolExecutor(1, "mhp-copies", self._enter) as pool:
            try:
                self._coming = pool.submit(self._take, batches)
                while (item := self._arrived()) is not None:
                    self._coming = pool.submit(self._take, batches)
                    batch, tensors, self._state = item
                    del item  # so that only the caller holds the batch
                    self._await(tensors)
                    yield batch, tensors
                    del batch, tensors
            finally:
                self._coming = None
        self._state = None

    def _enter(self) -> None:
        """The thread's device: torch begins with the first GPU, and would take memory there."""
        if self._side is not None:
            torch.cuda.set_device(self._side.device)

    def _arrived(self) -> _Item | None:
        assert self._coming is not None
        with self._watched():
            return self._coming.result()

    def _take(self, batches: Iterator[Any]) -> _Item | None:
        """The next batch, its tensors and where the loader then stands; None at the end."""
        batch = next(batches, None)
        return None if batch is None else (batch, self._move(batch), self._loader.state_dict())

    def _move(self, batch: Any) -> TensorBatch:
        arrays = (batch.labels, batch.persons, batch.boxes, batch.counts)
        with torch.cuda.stream(self._side):  # None: the current one
            images = on_device(batch.images, self._device)
            images = normalise(images) if images.dtype == torch.uint8 else images
            labels, *others = (None if a is None else on_device(a, self._device) for a in arrays)
        return TensorBatch(images, labels, batch.indices, *others)

    def _await(self, tensors: TensorBatch) -> None:
        """The stream that computes goes on when the copies are done, and its use of them is known to the allocator."""
        if self._side is None:
            return
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._side)
        for tensor in vars(tensors).values():
            if isinstance(tensor, Tensor):
                tensor.record_stream(current)


class Ahead(Copies):
    """A loader as it is, whose current batch has its tensors on the device already."""

    _current: tuple[Any, TensorBatch] | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for pair in self.pairs():
                self._current = pair
                yield pair[0]
                del pair
        finally:
            self._current = None

    def take(self, images: NDArray[Any]) -> tuple[Tensor, Tensor] | None:
        """The images and labels of the current batch on the device, if it is this one."""
        if self._current is None or self._current[0].images is not images:
            return None
        tensors = self._current[1]
        return tensors.images, tensors.labels
