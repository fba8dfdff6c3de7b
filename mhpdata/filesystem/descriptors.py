"""Open files under descriptors above 2, never under those of the standard streams.

In a process that was started without a standard stream, or has closed one, the next file opened gets its number.
Anything that a library then writes to stdout or stderr, such as warnings of libpng, ends up in that file. As in SQLite,
/dev/null is therefore opened under each free number of the three before a file is opened, and stays open. After
``hold_standard`` has been called, this also protects files that libraries open themselves (HDF5, MXNet, Numba).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def hold_standard() -> None:
    """Open /dev/null under each free descriptor from 0 to 2, for child processes as well; takes 1 us if none is free.

    Raises:
        OSError: /dev/null cannot be opened, for example because the process has too many open files.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _hold(number)


def _hold(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, unless another thread was faster
    if opened > number:
        os.close(opened)
    else:
        os.set_inheritable(opened, True)


def open_descriptor(path: str | Path, flags: int, dir_fd: int | None = None) -> int:
    """Open a path as ``os.open`` does, under a descriptor above 2. Raises OSError."""
    hold_standard()
    return os.open(path, flags, dir_fd=dir_fd)


def open_file(path: str | Path, mode: str, **options: Any) -> IO[Any]:
    """Open a file as ``Path.open`` does, under a descriptor above 2. Raises OSError."""
    hold_standard()
    return Path(path).open(mode, **options)
