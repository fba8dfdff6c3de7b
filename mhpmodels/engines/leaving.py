"""End the process; at once where a group of processes is broken and the interpreter's own end would abort it.

After a lost rank, torch's gloo threads still drop the tensors of the failed operation, for which they take the GIL. If
Python is finalising by then, it ends such a thread inside a C++ destructor, and that calls std::terminate: the process
has told its error, but ends with SIGABRT (-6) instead of its status. Measured with torch 2.13.0 and Python 3.11, where
gloo's threads wait for the GIL as on a busy machine (tests/support/torch_ranks.py): 6 of 12 processes that lost their
peer ended so by sys.exit, and 0 of 112 by ``leave``.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn

_broken = False


def mark_broken() -> None:
    """Note that this process has lost another of its group: threads of a library may be in any state."""
    global _broken
    _broken = True


def leave(status: int) -> NoReturn:
    """End the process with a status, 0..255.

    Where the group is broken, the functions that atexit knows are called (they close files and pools, and end logging)
    and the standard streams are flushed, but nothing is finalised: no destructor of a library runs.

    Raises:
        SystemExit: with the status, where no group is broken.
    """
    if not _broken:
        sys.exit(status)
    atexit._run_exitfuncs()  # Python has no public name for it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
