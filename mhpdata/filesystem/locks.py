"""Lock an output folder, so that two commands do not write to it at once.

The lock (flock) belongs to the open folder and ends with the process, whatever ends it: nothing stale is left.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mhpdata.errors import OutputError
from mhpdata.wording import why


def lock_folder(descriptor: int, out: Path, command: str, under: Path | None = None) -> None:
    """Lock an open folder until its descriptor is closed.

    Args:
        descriptor: Descriptor of the folder.
        out: Path that --out names, for errors.
        command: Name of the command that writes there.
        under: Path under which the folder must still be found; another command may have renamed it since it was opened.

    Raises:
        OutputError: Another command has locked the folder, or its disk does not support locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if under is not None and not (
            os.path.lexists(under) and os.path.samestat(os.fstat(descriptor), os.lstat(under))
        ):
            raise BlockingIOError
    except BlockingIOError as error:
        remedy = "Wait until it ends, or pass another --out."
        raise OutputError(out, f"another {command} is writing here", "", remedy) from error
    except OSError as error:
        remedy = "Pass an --out on a file system that supports locks, such as a local disk (mount NFS with locks)."
        raise OutputError(out, f"cannot be locked ({why(error)})", "", remedy) from error
