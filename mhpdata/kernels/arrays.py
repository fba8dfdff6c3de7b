"""Type aliases for the arrays that kernels take; the docstring of each kernel gives the shapes.

All arrays are C-contiguous, aligned and writable: a kernel is compiled for one layout (mhpdata.kernels.jit).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Shorts: TypeAlias = NDArray[np.int16]
ShortWords: TypeAlias = NDArray[np.uint16]
Words: TypeAlias = NDArray[np.uint32]
Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]
LongWords: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
