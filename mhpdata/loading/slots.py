"""Pool the memory of batches: a block is reused only after the last view of it is gone.

A slot is one block of memory that holds all arrays of a batch. The arrays hold a reference to a lease, as does every
view of them, in NumPy or in a framework that shares their memory; when the last of them is gone, the lease returns the
block. Page faults in 100 MB of fresh memory cost more than the arithmetic that fills it; a reused block has none.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from typing import Any

import numpy as np

ALIGNMENT = 64


class _Lease:
    """Owner of the memory of one batch, and through NumPy's array interface the base of all its arrays."""

    ticket: _Ticket

    def __init__(self, memory: np.ndarray) -> None:
        self.__array_interface__: dict[str, Any] = memory.__array_interface__


class _Ticket(weakref.ref[_Lease]):
    """Weak reference to a lease, which returns the memory to the pool when the lease dies.

    Its callback is ``deque.append``, so no Python code runs then: an interrupt could stop such code halfway and would
    itself be lost, since Python discards exceptions raised in callbacks and in ``__del__``.
    """

    memory = np.empty(0, np.uint8)  # too small for any batch; lend replaces it


class Slots:
    """Pool of memory blocks.

    Args:
        most: Number of unused blocks to keep. More are allocated while all are in use, and freed when returned.

    Attributes:
        made: Number of blocks allocated so far.
    """

    def __init__(self, most: int) -> None:
        self._free: deque[_Ticket] = deque(maxlen=most)
        self._size = 0
        self.made = 0

    def lend(self, *arrays: tuple[tuple[int, ...], Any]) -> list[np.ndarray]:
        """Return uninitialised arrays of the given (shape, dtype), each on a 64-byte boundary."""
        starts, size = [], 0
        for shape, dtype in arrays:
            starts.append(size)
            size += -(-math.prod(shape) * np.dtype(dtype).itemsize // ALIGNMENT) * ALIGNMENT
        self._size = max(self._size, size)  # so that a full batch can reuse the block of an epoch's smaller last one
        memory = self._take(self._size)
        lease = _Lease(memory)
        ticket = _Ticket(lease, self._free.append)
        ticket.memory = memory
        lease.ticket = ticket
        del ticket
        block = np.asarray(lease)
        block = block[-memory.ctypes.data % ALIGNMENT :]
        return [
            block[start : start + math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
            for start, (shape, dtype) in zip(starts, arrays, strict=True)
        ]

    def _take(self, size: int) -> np.ndarray:
        while True:
            try:
                memory = self._free.pop().memory
            except IndexError:
                self.made += 1
                return np.empty(size + ALIGNMENT, np.uint8)
            if memory.size >= size + ALIGNMENT:
                return memory
