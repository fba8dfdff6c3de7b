"""Names for the arrays that kernels take; how many axes they have stands in each docstring.

All are C-contiguous, aligned and writable: a kernel is compiled for one layout (mhpdata.jit).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Int16s: TypeAlias = NDArray[np.int16]
UInt16s: TypeAlias = NDArray[np.uint16]
Int32s: TypeAlias = NDArray[np.int32]
UInt32s: TypeAlias = NDArray[np.uint32]
Int64s: TypeAlias = NDArray[np.int64]
UInt64s: TypeAlias = NDArray[np.uint64]
Float32s: TypeAlias = NDArray[np.float32]
