"""Regular files only: opening a FIFO waits for a writer, and a device never ends.

Whoever opens a file that somebody else has put there opens it here. What it must not be is an OSError like any other
that a file may give, so that callers have one answer to all of them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mhpdata.filesystem.descriptors import open_descriptor


def open_regular(path: str | Path) -> int:
    """The descriptor of a regular file, open for reading; links are followed.

    Raises:
        OSError: it cannot be opened, or is a FIFO, a device, a socket or a folder.
    """
    descriptor = open_descriptor(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular(path: str | Path, most: int) -> bytes:
    """All bytes of a regular file.

    Args:
        path: of the file.
        most: bytes that it may have; a larger one is not read.

    Raises:
        OSError: as of ``open_regular``, or it is too large.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""  # not most: all of that would be allocated
        if len(data) > size:  # it grows meanwhile
            data += file.read(most - size)
        if max(size, len(data)) > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
        return data
