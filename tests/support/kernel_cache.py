"""Keep the tests' kernels in a cache of their own: tests also compile kernels with their bounds checked.

Importing this sets NUMBA_CACHE_DIR, which children inherit.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mhp-numba-{os.getuid()}"))
