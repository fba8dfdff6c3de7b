"""How every Numba kernel is compiled: without the GIL, kept on disk where there is a place for it.

Where neither the package's folder nor the user's cache can be written, a kernel is compiled anew in each process: some
seconds, and no error. NUMBA_CACHE_DIR names another place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function over arrays; bounds are checked only where NUMBA_BOUNDSCHECK=1 asks for it."""
    try:
        compiled: Function = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba: "cannot cache function: no locator available"
        compiled = njit(nogil=True)(function)
    return compiled
