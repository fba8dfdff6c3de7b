"""The folder of compiled kernels: its location, atomic writes, and the removal of outdated files.

::

    NUMBA_CACHE_DIR, else mhpdata/__pycache__, else the user's cache folder
      └── mhp-kernels
           └── 0123456789abcdef           hash of all kernel sources, see mhpdata.kernels.cache
                ├── kernels.emit-89ab….kernel    one signature of one function for one processor
                ├── compiling.lock               held by the process that compiles, see mhpdata.kernels.compiling
                └── ...

If no folder can be written, kernels are compiled in every process and one warning per process names the folders (logger
``mhpdata``); no command fails for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from numba import config

from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import ABANDONED_S, replacing
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.ours import create
from mhpdata.wording import printable, why

FOLDER = "mhp-kernels"
SUFFIX = ".kernel"
LOCK = "compiling.lock"
_KEPT = 8
"""Number of folders of other sources to keep, for a second checkout or a run with bounds checks."""


def folders(digest: str) -> list[Path]:
    """List the folders for kernels of these sources, the first to try first; NUMBA_CACHE_DIR alone if it is set."""
    if config.CACHE_DIR:
        return [Path(config.CACHE_DIR, FOLDER, digest[:16])]
    parents = [Path(__file__).parent / "__pycache__"]
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        parents.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    return [folder / FOLDER / digest[:16] for folder in parents]


class Writer:
    """Writes files into the first writable folder; once there is none, warns and stops writing."""

    def __init__(self) -> None:
        self.off = False
        self._tidied: set[Path] = set()

    def write(self, folders: list[Path], name: str, content: bytes) -> None:
        """Write a file atomically; a failure is a warning, one per process."""
        if self.off:
            return
        failed = []
        for folder in folders:
            try:
                self._write(folder / name, content)
                return
            except OSError as error:
                failed.append(printable(f"{folder} ({why(error)})"))
            except OutputError as error:
                failed.append(printable(f"{folder} ({error.found})"))
        self.off = True
        logging.getLogger("mhpdata").warning(
            "Compiled kernels cannot be written to %s, so every process compiles them again, which takes ten "
            "seconds or more. Set NUMBA_CACHE_DIR to a writable folder on a disk with 100 MB free.",
            " or ".join(failed),
        )

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in self._tidied:
            self._tidied.add(path.parent)
            _tidy(path.parent)
        with replacing(path, shared=True, sync=True) as part, create(part) as file:
            file.write(content)


def open_lock(folders: list[Path]) -> tuple[Path, int] | None:
    """Open the lock file of the first writable folder; return the folder and a descriptor, or None if none is."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            return folder, open_descriptor(folder / LOCK, flags)
    return None


def _tidy(folder: Path) -> None:
    """Delete leftovers of killed processes in this folder, and all but the latest folders of other sources.

    Only files with the names that mhp gives are deleted, and folders that are then empty. A process that still uses a
    deleted folder compiles its kernels again and creates the folder again.
    """
    with contextlib.suppress(OSError):
        os.utime(folder)
        for part in folder.glob(f"*{SUFFIX}.*.part"):
            if time.time() - part.stat().st_mtime > ABANDONED_S:
                part.unlink()
        others = [path for path in folder.parent.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name)]
        others = [path for path in others if path != folder and path.is_dir() and not path.is_symlink()]
        for old in sorted(others, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            for file in _ours(old):
                file.unlink()
            with contextlib.suppress(OSError):  # it contains other files
                old.rmdir()


def _ours(folder: Path) -> Iterator[Path]:
    for pattern in (f"*{SUFFIX}", f"*{SUFFIX}.*.part", LOCK):
        yield from folder.glob(pattern)
