"""Memory for batches that is used again, but never while anybody can see it.

A slot is one block of memory that holds all arrays of a batch. The arrays lent out of it hold on to a lease, and so
does every view of them, in NumPy or in a framework that shares their memory. When the last of them is gone, the lease
gives the block back. Writing 100 MB of fresh memory costs more page faults than filling it costs arithmetic; a block
that was used before costs none.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from typing import Any

import numpy as np

ALIGNMENT = 64


class _Lease:
    """What the arrays of one batch hold on to; NumPy's array interface makes it the base of them all."""

    ticket: _Ticket

    def __init__(self, memory: np.ndarray) -> None:
        self.__array_interface__: dict[str, Any] = memory.__array_interface__


class _Ticket(weakref.ref[_Lease]):
    """A lease's way back: held by the lease, and handed to the pool when the lease dies.

    The pool takes it by ``deque.append``, the reference's callback: no Python code runs there, which an interrupt could
    cut short (and lose itself, as Python prints and forgets what is raised in ``__del__``).
    """

    memory = np.empty(0, np.uint8)  # too small for any batch, until it has its own


class Slots:
    """A pool of blocks.

    Args:
        most: how many unused blocks are kept; more are made when all are in use, and let go when they come back.
    """

    def __init__(self, most: int) -> None:
        self._free: deque[_Ticket] = deque(maxlen=most)
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
