"""Reuse a thread's arrays from image to image, which saves allocations and page faults.

The thread's next call of ``empty`` with the same name overwrites an array: do not keep it.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import numpy.typing as npt


class Scratch(threading.local):
    """Per-thread buffers by name, which grow to the largest size requested."""

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}

    def empty(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Return an uninitialised uint8 array of this shape, C-contiguous."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].reshape(shape)
