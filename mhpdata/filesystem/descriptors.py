"""Open files under descriptors of their own, never under 0, 1 or 2.

A process that was started without a standard stream, or has closed one, gives its number to the next file that it
opens. Whatever a library then writes to stdout or stderr, such as libpng its warnings, lands in that file. So each of
the three that is free is given to /dev/null before a file is opened, and stays with it: SQLite's rule. It holds for
what libraries open themselves (HDF5, MXNet, Numba), too, once ``hold_standard`` has been called.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def hold_standard() -> None:
    """Open /dev/null under each of descriptors 0 to 2 that is free, for child processes as well; 1 us where none is.

    Raises:
        OSError: /dev/null cannot be opened, as where the process may open no more files.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _hold(number)


def _hold(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, unless another thread was faster
    if opened > number:
        os.close(opened)
    else:
        os.set_inheritable(opened, True)


def open_descriptor(path: str | Path, flags: int, dir_fd: int | None = None) -> int:
    """``os.open``, for a descriptor above 2. Raises OSError."""
    hold_standard()
    return os.open(path, flags, dir_fd=dir_fd)


def open_file(path: str | Path, mode: str, **options: Any) -> IO[Any]:
    """``Path.open``, for a descriptor above 2. Raises OSError."""
    hold_standard()
    return Path(path).open(mode, **options)
