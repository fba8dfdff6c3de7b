"""Arrays that a thread uses again for the next image, so that megabytes are not allocated and faulted in anew for each.

What ``empty`` hands out is overwritten by the same thread's next call with that name: never keep it.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import numpy.typing as npt


class Scratch(threading.local):
    """Memory of each thread's own, by name; it grows to the largest that was asked for."""

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}

    def empty(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """An uninitialised uint8 array of this shape, C-contiguous."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].reshape(shape)
