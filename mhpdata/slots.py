"""Memory for batches that is used again, but never while anybody can see it.

A slot is one block of memory that holds all arrays of a batch. The arrays lent out of it hold on to a lease, and so
does every view of them, in NumPy or in a framework that shares their memory. When the last of them is gone, the lease
gives the block back. Writing 100 MB of fresh memory costs more page faults than filling it costs arithmetic; a block
that was used before costs none.
"""

from __future__ import annotations

import math
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

ALIGNMENT = 64


class _Lease:
    """What the arrays of one batch hold on to; NumPy's array interface makes it the base of them all."""

    def __init__(self, memory: np.ndarray, free: SimpleQueue[np.ndarray], most: int) -> None:
        self._memory, self._free, self._most = memory, free, most
        self.__array_interface__: dict[str, Any] = memory.__array_interface__

    def __del__(self) -> None:
        # SimpleQueue.put may be called from anywhere, the collector within another put included
        if self._free.qsize() < self._most:
            self._free.put(self._memory)


class Slots:
    """A pool of blocks.

    Args:
        most: how many unused blocks are kept; more are made when all are in use, and let go when they come back.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: SimpleQueue[np.ndarray] = SimpleQueue()
        self._size = 0
        self.made = 0

    def lend(self, *arrays: tuple[tuple[int, ...], Any]) -> list[np.ndarray]:
        """Arrays of the given (shape, dtype), each on a 64-byte boundary; what is in them is whatever was there
        before."""
        starts, size = [], 0
        for shape, dtype in arrays:
            starts.append(size)
            size += -(-math.prod(shape) * np.dtype(dtype).itemsize // ALIGNMENT) * ALIGNMENT
        self._size = max(self._size, size)  # an epoch's last batch is smaller, but the next one uses its block
        memory = self._take(self._size)
        block = np.asarray(_Lease(memory, self._free, self._most))
        block = block[-memory.ctypes.data % ALIGNMENT :]
        return [
            block[start : start + math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
            for start, (shape, dtype) in zip(starts, arrays, strict=True)
        ]

    def _take(self, size: int) -> np.ndarray:
        while True:
            try:
                memory = self._free.get_nowait()
            except Empty:
                self.made += 1
                return np.empty(size + ALIGNMENT, np.uint8)
            if memory.size >= size + ALIGNMENT:
                return memory
