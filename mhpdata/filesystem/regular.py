"""Open regular files only: opening a FIFO would wait for a writer, and reading a device may never end.

Every file that mhp did not write itself is opened here. A path that is not a regular file raises OSError, like any
other file that cannot be read, so callers handle all of them in one way.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mhpdata.filesystem.descriptors import open_descriptor


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading and return its descriptor; links are followed.

    Raises:
        OSError: The file cannot be opened, or is a FIFO, device, socket or folder.
    """
    descriptor = open_descriptor(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular(path: str | Path, most: int) -> bytes:
    """Return all bytes of a regular file.

    Args:
        path: Path of the file.
        most: Maximum size in bytes; a larger file is not read.

    Raises:
        OSError: As for ``open_regular``, or the file is larger than ``most``.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""  # not most, which read would allocate in full
        if len(data) > size:  # the file is growing
            data += file.read(most - size)
        if max(size, len(data)) > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
        return data
