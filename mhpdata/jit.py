"""How every Numba kernel is compiled: without the GIL, kept on disk where there is a place for it.

Where neither the package's folder nor the user's cache can be written, a kernel is compiled anew in each process: some
seconds, and no error. NUMBA_CACHE_DIR names another place.

Numba takes a kernel from the cache as long as the kernel's own file is the same, whatever became of the kernels in
other files that it calls and that were compiled into it. After ``git pull`` that would be old code, and other pixels.
So here all files of mhpdata with kernels count as one: a change in any of them compiles all anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., Any])


def _digest() -> str:
    """Of all files of this package that have kernels or steps of kernels, and of whether bounds are checked."""
    digest = hashlib.sha256(repr(config.BOUNDSCHECK).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_bytes()
        if b"numba" in text or b"@kernel" in text or b"step(" in text:
            digest.update(b"%d %s" % (len(text), text))
    return digest.hexdigest()


_DIGEST = _digest()


def kernel(function: Function) -> Function:
    """Compile a function over arrays; bounds are checked only where NUMBA_BOUNDSCHECK=1 asks for it."""
    try:
        compiled: Function = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba: "cannot cache function: no locator available"
        return njit(nogil=True)(function)  # type: ignore[no-any-return]
    # Numba has no public name for what a cache is compared by; with NUMBA_DISABLE_JIT there is no cache
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = file._source_stamp, _DIGEST
    return compiled
