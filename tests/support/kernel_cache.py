"""Give the tests' kernels a separate cache, as tests also compile kernels with bounds checks.

Importing this sets NUMBA_CACHE_DIR, which children inherit.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mhp-numba-{os.getuid()}"))
