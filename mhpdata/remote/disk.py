"""Keep blocks of objects on a local disk, shared by all processes of a machine and never above a limit.

::

    DIR/mhp-blocks/used                  bytes of all blocks, as text; locked while blocks are added or removed
    DIR/mhp-blocks/3f/3f9a...            a block, named by its SHA-256, which is all that identifies it
    DIR/mhp-blocks/3f/.3f9a....part      a block that a process is fetching; locked by that process

A block gets its name by a rename, after its digest was compared, so a killed process leaves no wrong byte. Its space is
reserved before it is fetched. If space runs out, the blocks that were used least recently (by their time of change) are
removed. Only files of these names are ever removed. Locks (flock) end with the process that holds them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import parse_part, part_of
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.ours import in_the_way, is_folder
from mhpdata.wording import writing

FOLDER, LEDGER = "mhp-blocks", "used"
AGAIN = "run the command again"
_NAME = re.compile("[0-9a-f]{64}")
_SLACK = 20
"""Fraction of the limit that an eviction frees at least, so that it need not search the folder for every block."""
_TOUCH_S, _WAIT_S, _POLL_S = 60.0, 120.0, 0.01


class _Kept(NamedTuple):
    used_ns: int
    size: int
    path: str


class BlockDisk:
    """A folder of blocks.

    Args:
        folder: Folder of the cache; created if missing. Other files in it stay as they are.
        limit: Maximum bytes of all blocks.
        block: Maximum bytes of a block.

    Raises:
        OutputError: The folder cannot be created or used.
    """

    def __init__(self, folder: Path, limit: int, block: int) -> None:
        self.folder, self._limit, self._block = folder / FOLDER, limit, block
        self._touched: dict[bytes, float] = {}
        with writing(folder, AGAIN):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not is_folder(self.folder):
                raise in_the_way(self.folder, "or pass another --cache")
            with self._ledger():
                pass

    def read(self, digest: bytes, offset: int, out: memoryview) -> bool:
        """Fill ``out`` from a block; return False if the block is not here."""
        path = self._path(digest)
        try:
            descriptor = open_descriptor(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            whole = os.preadv(descriptor, [out], offset) == len(out)
            now = time.monotonic()
            if whole and now - self._touched.get(digest, -_TOUCH_S) >= _TOUCH_S:
                self._touched[digest] = now
                with contextlib.suppress(PermissionError):  # a block of another user
                    os.utime(descriptor)
        finally:
            os.close(descriptor)
        return whole

    def has(self, digest: bytes) -> bool:
        """Return whether a block is here."""
        return self._path(digest).exists()

    def remove(self, digest: bytes) -> None:
        """Remove a block, if it is here, because its bytes are wrong."""
        path = self._path(digest)
        with self._ledger() as ledger, contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            ledger.add(-size)

    def fetch(
        self, digest: bytes, size: int, download: Callable[[], memoryview], stop: Callable[[], bool]
    ) -> memoryview | None:
        """Fetch a block that is not here, and keep it.

        Args:
            digest, size: SHA-256 of the block, and its length.
            download: Returns its bytes, after comparing their digest.
            stop: Returns True once nobody waits for the block any more.

        Returns:
            The bytes; None if another process has fetched the block meanwhile.

        Raises:
            OutputError: The block cannot be written.
            MhpError: From ``download``.
        """
        path, deadline = self._path(digest), time.monotonic() + _WAIT_S
        part = part_of(path)
        with writing(self.folder, AGAIN):
            while (descriptor := self._reserve(path, part, size)) is None:
                if path.exists():
                    return None
                if time.monotonic() > deadline or stop():
                    break
                time.sleep(_POLL_S)
        if descriptor is None or descriptor < 0:  # another process takes too long, or there is no space at all
            return download()
        try:
            data = download()
            with writing(self.folder, AGAIN):
                os.ftruncate(descriptor, 0)
                view = data
                while len(view):
                    view = view[os.write(descriptor, view) :]
                with self._ledger():  # an eviction must see it under one name, to count it
                    part.rename(path)
        except BaseException:
            with self._ledger() as ledger:
                part.unlink(missing_ok=True)
                ledger.add(-size)
            raise
        finally:
            _unlock(descriptor)
        return data

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.folder / name[:2] / name

    def _reserve(self, path: Path, part: Path, size: int) -> int | None:
        """Reserve space for a block.

        Returns:
            The locked descriptor of its temporary file; -1 if there is no space for it; None if the block is here, or
            another thread or process is fetching it.
        """
        with self._ledger() as ledger:
            if path.exists():
                return None
            part.parent.mkdir(exist_ok=True)
            descriptor = open_descriptor(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
            if not _lock(descriptor, wait=False):
                os.close(descriptor)
                return None
            if not _is_at(descriptor, part):  # it has got its final name since it was opened
                _unlock(descriptor)
                return None
            used = ledger.used
            if used is None or used + size > self._limit:
                used = self._evict(size, part)
            if used + size > self._limit:
                part.unlink()
                _unlock(descriptor)
                ledger.write(used)
                return -1
            ledger.write(used + size)
            return descriptor

    def _evict(self, size: int, mine: Path) -> int:
        """Remove the blocks that were used least recently, until there is space for ``size`` bytes more.

        Returns:
            The bytes of the blocks that are kept; each block that is being fetched counts as a whole one.
        """
        kept, used = list[_Kept](), 0
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            try:
                state = path.lstat()
            except FileNotFoundError:
                continue
            unfinished = parse_part(path.name)
            if not stat.S_ISREG(state.st_mode) or path == mine:
                continue
            if _NAME.fullmatch(path.name):
                kept.append(_Kept(state.st_mtime_ns, state.st_size, str(path)))
                used += state.st_size
            elif unfinished is not None and _NAME.fullmatch(unfinished[0]) and not _abandoned(path):
                used += self._block
        most = self._limit - size
        if used > most:
            most -= self._limit // _SLACK
        for block in sorted(kept):
            if used <= most:
                break
            Path(block.path).unlink(missing_ok=True)
            used -= block.size
        return used

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[_Ledger]:
        """Lock the ledger; nothing is added or removed meanwhile, in any process."""
        path = self.folder / LEDGER
        descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            if not _lock(descriptor, wait=True):
                raise OutputError(path, "cannot be locked", "", "Pass a --cache on a local disk.")
            yield _Ledger(descriptor)
        finally:
            _unlock(descriptor)


class _Ledger:
    """The number of bytes of all blocks, in a locked file. A killed process may leave a number that is too large."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def used(self) -> int | None:
        """The number; None if it is unknown, in a new cache or a damaged one."""
        text = os.pread(self._descriptor, 32, 0)
        return int(text) if re.fullmatch(rb"[0-9]{20}\n", text) else None

    def write(self, used: int) -> None:
        os.pwrite(self._descriptor, b"%020d\n" % max(used, 0), 0)

    def add(self, size: int) -> None:
        if (used := self.used) is not None:
            self.write(used + size)


def _lock(descriptor: int, wait: bool) -> bool:
    """Lock a file; return False if another one holds the lock and ``wait`` is False."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    """Unlock and close a file; a forked child may have a copy of the descriptor, which would keep the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _abandoned(part: Path) -> bool:
    """Remove a temporary file whose process was killed; return whether it was one."""
    try:
        descriptor = open_descriptor(part, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return True
    free = _lock(descriptor, wait=False)
    if free:
        part.unlink(missing_ok=True)
        _unlock(descriptor)
    else:
        os.close(descriptor)
    return free
