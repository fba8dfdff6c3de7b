"""Batches on their way to a device: as tensors, normalised there, and copied while the step before is at work.

::

    loader ─ slot ─> pinned memory ─ side stream ─> device             a thread, one batch ahead
                                            event ─> the stream that computes waits for it

Pinned memory is torch's own, and used again only when the copy out of it is done; a slot of the loader is let go when
the next batch is asked for. On the CPU a tensor is the slot's own memory, and the loader knows when it is gone.

What is copied ahead is not handed out: the state is that of the last batch that was.

Run here: the CPU, with the thread and without; the streams on one H100 (``tests/engines/test_torch_cuda.py``).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.named import Named
from mhpdata.pool import Pool, ended
from mhpdata.task import Task


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


class TensorBatch(Named):
    """A batch of ``mhpdata.Loader`` as tensors on a device. A mapping: ``batch["images"]`` is ``batch.images``.

    Attributes:
        images: float32 (N, 3, H, W), normalised; float16 if the loader's are.
        labels: uint8 (N, H, W); 255 is not labelled; None where the split has no labels.
        indices: int64 (N,), see ``mhpdata.Batch``.
        persons, boxes, counts: as of ``mhpdata.Batch``, shapes and types too; None where the loader gives none.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    persons: Tensor | None
    boxes: Tensor | None
    counts: Tensor | None

    def to(self, device: Any, non_blocking: bool = False) -> TensorBatch:
        """Return the batch with all tensors on a device, as ``Tensor.to`` moves them."""
        return TensorBatch({name: tensor.to(device, non_blocking=non_blocking) for name, tensor in self.items()})

    def pin_memory(self) -> TensorBatch:
        """Return the batch in pinned memory, from which a GPU copies without waiting."""
        return TensorBatch({name: tensor.pin_memory() for name, tensor in self.items()})


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
        self._pool: weakref.ref[Pool] | None = None  # the iteration in progress holds it
        # while one copies ahead: the state of what was handed out, and whether anything was
        self._stands: tuple[dict[str, int], bool] | None = None

    def __len__(self) -> int:
        return len(self._loader)

    @property
    def epoch(self) -> int:
        """The epoch of the next batch that is handed out."""
        return self.state_dict()["epoch"]

    @property
    def sampler(self) -> Copies:
        """Itself: Lightning calls ``sampler.set_epoch(epoch)`` when an epoch begins."""
        return self

    @property
    def batch_sampler(self) -> None:
        """None: Lightning asks a validation loader that has a sampler for this one, too."""
        return None

    def name(self, index: int) -> str:
        """As of the loader."""
        return str(self._loader.name(index))

    def set_epoch(self, epoch: int) -> None:
        """As of the loader."""
        self._settle()
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """As of the loader; a batch copied ahead does not count."""
        state: dict[str, int] = self._loader.state_dict() if self._stands is None else self._stands[0]
        return state

    def load_state_dict(self, state: dict[str, int]) -> None:
        """As of the loader."""
        self._halt()
        self._loader.load_state_dict(state)
        self._stands = None

    def close(self) -> None:
        """As of the loader, whose threads the batch that is being copied still needs."""
        self._halt()
        self._loader.close()

    def __iter__(self) -> Iterator[Any]:
        for _, tensors in self.pairs():
            yield tensors

    def pairs(self) -> Iterator[tuple[Any, TensorBatch]]:
        """The loader's own batches, each with its tensors."""
        self._settle()
        batches = iter(self._loader)
        if not self._is_ahead:
            for batch in batches:
                yield batch, self._move(batch)
            return
        state = self._loader.state_dict()
        self._stands, epoch = (state, False), state["epoch"]
        with Pool(1, "mhp-copies", self._desk, ended) as pool:
            self._pool = weakref.ref(pool)
            coming = pool.submit(self._take, batches)
            while state["epoch"] == epoch:
                if (item := self._arrived(coming)) is None:  # an epoch without batches is over
                    self._stands = None
                    return
                batch, tensors, state = item
                del item  # so that only the caller holds the batch
                if state["epoch"] == epoch:
                    coming = pool.submit(self._take, batches)
                else:  # the last one
                    del coming
                    pool.close()
                self._await(tensors)
                self._stands = (state, True) if state["epoch"] == epoch else None  # the loader itself stands there
                yield batch, tensors
                del batch, tensors

    def _halt(self) -> None:
        """End the copying of an iteration in progress."""
        pool = None if self._pool is None else self._pool()
        if pool is not None:
            pool.close()

    def _settle(self) -> None:
        """End an iteration in progress that copies ahead; the loader then stands where what was handed out left it."""
        self._halt()
        if self._stands is not None:
            state, handed_out = self._stands
            if handed_out:
                self._loader.set_epoch(state["epoch"])
            else:
                self._loader.load_state_dict(state)
            self._stands = None

    @contextmanager
    def _desk(self) -> Iterator[None]:
        """The thread's device: torch begins with the first GPU, and would take memory there."""
        if self._side is not None:
            torch.cuda.set_device(self._side.device)
        yield

    def _arrived(self, coming: Task[_Item | None]) -> _Item | None:
        with self._watched():
            return coming.result()

    def _take(self, batches: Iterator[Any]) -> _Item | None:
        """The next batch, its tensors and where the loader then stands; None at the end."""
        batch = next(batches, None)
        return None if batch is None else (batch, self._move(batch), self._loader.state_dict())

    def _move(self, batch: Any) -> TensorBatch:
        arrays = (batch.labels, batch.indices, batch.persons, batch.boxes, batch.counts)
        with torch.cuda.stream(self._side):  # None: the current one
            images = on_device(batch.images, self._device)
            images = normalise(images) if images.dtype == torch.uint8 else images
            return TensorBatch(images, *(None if a is None else on_device(a, self._device) for a in arrays))

    def _await(self, tensors: TensorBatch) -> None:
        """The stream that computes goes on when the copies are done, and its use of them is known to the allocator."""
        if self._side is None:
            return
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._side)
        for tensor in tensors.values():
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
