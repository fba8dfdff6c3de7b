"""Copy batches to a device as tensors, prefetching the next batch while a step runs, and normalise them there.

::

    loader ─ slot ─> pinned memory ─ side stream ─> device             a thread, one batch ahead
                                            event ─> the compute stream waits for it

torch owns the pinned memory and reuses it only after the copy has finished. A slot of the loader is released when the
next batch is requested. On the CPU a tensor shares the slot's memory, and the loader detects when it is freed. The
loader's position is that of the last batch delivered; a prefetched batch does not count. Tested on the CPU, and on one
H100 (``tests/engines/test_torch_cuda.py``).
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

from mhpdata.errors import EngineError, OptionError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.named import Named
from mhpdata.options import in_words
from mhpdata.processes.pool import Pool, ended
from mhpdata.processes.task import Task
from mhpdata.wording import counted


def find_device(device: Any) -> torch.device:
    """Return a device by torch's name for it.

    Raises:
        OptionError: torch knows no such device.
        EngineError: torch does not see this GPU.
    """
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        remedy = 'Pass "cuda" for a GPU, "cuda:1" for the second one, or "cpu".'
        raise OptionError("device", in_words(device), "a device of torch", remedy) from error
    if found.type != "cuda":
        return found
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (found.index or 0) >= seen:
        remedy = 'Pass "cpu". If the machine has it, install torch for its version of CUDA (pytorch.org/get-started).'
        raise EngineError("device", f"{found}, but torch {torch.__version__} sees {counted(seen, 'GPU')}", "", remedy)
    return found


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor that shares its memory on the CPU; elsewhere, as a copy that may be asynchronous."""
    # torch warns about read-only memory, although nothing here writes to it
    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def normalise(images: Tensor) -> Tensor:
    """Return images as float32 (N, 3, H, W), normalised by ImageNet's mean and deviation.

    Args:
        images: uint8 (N, H, W, 3), RGB; or float32 or float16 (N, 3, H, W), already normalised.
    """
    if images.dtype != torch.uint8:
        return images.float()
    mean, deviation = (torch.tensor(x, device=images.device)[:, None, None] for x in (MEAN, DEVIATION))
    return images.permute(0, 3, 1, 2).float().mul_(1 / (255 * deviation)).sub_(mean / deviation)


class TensorBatch(Named):
    """A batch of ``mhpdata.Loader`` as tensors on a device. A mapping: ``batch["images"]`` is ``batch.images``.

    Attributes:
        images: float32 (N, 3, H, W), normalised; float16 if the loader's images are.
        labels: uint8 (N, H, W), 255 for unlabelled pixels; None if the split has no labels.
        indices: int64 (N,), as in ``mhpdata.Batch``.
        persons, boxes, counts, masks, targets: same shapes and types as in ``mhpdata.Batch``; None unless the loader
            returns them.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    persons: Tensor | None
    boxes: Tensor | None
    counts: Tensor | None
    masks: Tensor | None
    targets: Tensor | None

    def to(self, device: Any, non_blocking: bool = False) -> TensorBatch:
        """Return the batch with all tensors on a device, as ``Tensor.to``."""
        return TensorBatch({name: tensor.to(device, non_blocking=non_blocking) for name, tensor in self.items()})

    def pin_memory(self) -> TensorBatch:
        """Return the batch in pinned memory, from which a GPU copies without waiting."""
        return TensorBatch({name: tensor.pin_memory() for name, tensor in self.items()})


_Item = tuple[Any, TensorBatch, tuple[int, int, bool]]


class Copies:
    """A loader whose batches are tensors on a device; it has the same interface as the wrapped loader.

    Args:
        loader: a loader with the interface of ``mhpdata.Loader``.
        device: a torch device.
        ahead: prefetch the next batch in a thread; None to prefetch on GPUs only.
        watched: function that returns a context manager; errors of a copy are raised inside it.
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
        # one stream for all batches, because the allocator reuses memory only on the same stream
        self._side = torch.cuda.Stream(self._device) if self._is_ahead and self._device.type == "cuda" else None
        self._pool: weakref.ref[Pool] | None = None  # the iteration in progress holds it

    def __len__(self) -> int:
        return len(self._loader)

    @property
    def epoch(self) -> int:
        """The epoch of the next batch."""
        return self.state_dict()["epoch"]

    @property
    def sampler(self) -> Copies:
        """The object itself: Lightning calls ``sampler.set_epoch(epoch)`` when an epoch begins."""
        return self

    @property
    def batch_sampler(self) -> None:
        """None: Lightning reads this attribute of a validation loader that has a sampler."""
        return None

    def name(self, index: int) -> str:
        """Return the name of a sample, as the loader's ``name``."""
        return str(self._loader.name(index))

    def set_epoch(self, epoch: int) -> None:
        """Start the next iteration at an epoch, as the loader's ``set_epoch``."""
        self._halt()
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """Return the loader's state after the last batch delivered; a prefetched batch does not count."""
        state: dict[str, int] = self._loader.state_dict()
        return state

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore a state, as the loader's ``load_state_dict``."""
        self._halt()
        self._loader.load_state_dict(state)

    def close(self) -> None:
        """Finish the copy in progress, which needs the loader's threads, and close the loader."""
        self._halt()
        self._loader.close()

    def __iter__(self) -> Iterator[Any]:
        for _, tensors in self.pairs():
            yield tensors

    def pairs(self) -> Iterator[tuple[Any, TensorBatch]]:
        """Yield the loader's batches, each with its tensors."""
        self._halt()
        if not self._is_ahead:
            for batch in self._loader:
                yield batch, self._move(batch)
            return
        batches, read, delivered = self._loader.read_ahead()
        at = delivered.at
        epoch = at[0]
        with Pool(1, "mhp-copies", self._desk, ended) as pool:
            self._pool = weakref.ref(pool)
            coming = pool.submit(self._take, batches, read)
            while at[0] == epoch:
                if (item := self._arrived(coming)) is None:  # the epoch has no batches
                    delivered.at = read.at
                    return
                batch, tensors, at = item
                del item  # only the caller may hold the batch
                if at[0] == epoch:
                    coming = pool.submit(self._take, batches, read)
                else:  # the last batch
                    del coming
                    pool.close()
                self._await(tensors)
                delivered.at = at
                yield batch, tensors
                del batch, tensors

    def _halt(self) -> None:
        """End the prefetching of an iteration in progress."""
        pool = None if self._pool is None else self._pool()
        if pool is not None:
            pool.close()

    @contextmanager
    def _desk(self) -> Iterator[None]:
        """Set the thread's device: torch's default is the first GPU, where it would allocate memory."""
        if self._side is not None:
            torch.cuda.set_device(self._side.device)
        yield

    def _arrived(self, coming: Task[_Item | None]) -> _Item | None:
        with self._watched():
            return coming.result()

    def _take(self, batches: Iterator[Any], read: Any) -> _Item | None:
        """Return the next batch, its tensors and the position after it; None at the end."""
        batch = next(batches, None)
        return None if batch is None else (batch, self._move(batch), read.at)

    def _move(self, batch: Any) -> TensorBatch:
        names = ("labels", "indices", "persons", "boxes", "counts", "masks", "targets")
        arrays = [getattr(batch, name, None) for name in names]
        with torch.cuda.stream(self._side):  # None: the current one
            images = on_device(batch.images, self._device)
            images = normalise(images) if images.dtype == torch.uint8 else images
            return TensorBatch(images, *(None if a is None else on_device(a, self._device) for a in arrays))

    def _await(self, tensors: TensorBatch) -> None:
        """Make the compute stream wait for the copies, and tell the allocator that it uses them."""
        if self._side is None:
            return
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._side)
        for tensor in tensors.values():
            tensor.record_stream(current)


class Ahead(Copies):
    """A loader that yields its batches unchanged and keeps the current batch's tensors on the device."""

    _current: tuple[Any, TensorBatch] | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for pair in self.pairs():
                self._current = pair
                yield pair[0]
                del pair
        finally:
            self._current = None

    def take(self, images: NDArray[Any]) -> TensorBatch | None:
        """Return the current batch on the device; None unless ``images`` belongs to it."""
        if self._current is None or self._current[0].images is not images:
            return None
        return self._current[1]
