"""Write files atomically: a file is complete under its name, or missing.

A file is written under a temporary name in the same folder and renamed when it is complete. A rename is atomic, so
readers never see half a file, and a kill never leaves one.

One scheme of temporary names, for files and folders alike (``NAME`` is the final name)::

    .NAME.part           written by one process at a time; re-running the command replaces a leftover
    .NAME.OWNER.part     several processes may write at once, on several machines; OWNER is 32 random hex digits

mhp 0.1 also wrote ``.part-NAME`` and ``.NAME.PID.part``; ``parse_part`` recognises them, so that leftovers of its
killed processes are still removed. A leftover is removed only if its content is mhp's as well
(mhpdata.filesystem.ours).

Syncing: a rename survives a kill, but after a power failure a name may exist without content. Files that later commands
rely on are therefore synced before the rename, and their folder after it: a manifest, the options of an unfinished
pack, a shard, a checkpoint, a table of a run. Files that are cheap to write again, or checked before use, are not
synced: a prediction, a figure, a shard's note, a bundle, a synthetic dataset.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.ours import clear, create, head, in_the_way

ABANDONED_S = 3600
"""Age in seconds from which a temporary file of several writers is a leftover: writing a file takes a moment."""
_LONGEST = 200
"""Maximum bytes of a final name that its temporary name repeats; file systems allow 255. A longer name is hashed."""
_PART = re.compile(r"\.(?P<name>.+?)(\.(?P<owner>[0-9a-f]{32}|[0-9]+))?\.part", re.DOTALL)
_PART_01 = re.compile(r"\.part-(?P<name>.+)", re.DOTALL)


def part_of(path: Path, shared: bool = False) -> Path:
    """Return the temporary name of a file or folder, in the same folder.

    Args:
        path: The final path.
        shared: Whether several processes may write this file at once; each call then returns a different name.
    """
    name = os.fsencode(path.name)
    kept = path.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()
    return path.with_name(f".{kept}.{uuid.uuid4().hex}.part" if shared else f".{kept}.part")


def parse_part(name: str) -> tuple[str, str] | None:
    """Split a temporary name into the final name and its owner; the reverse of ``part_of``, for names of 0.1 as well.

    Args:
        name: The name of a file or folder, without its folder.

    Returns:
        The final name (64 hex digits for a long one) and the owner ("" if there is none); None for a name that
        is not temporary.
    """
    match = _PART.fullmatch(name) or _PART_01.fullmatch(name)
    return (match["name"], match.groupdict().get("owner") or "") if match else None


@contextmanager
def replacing(path: Path, shared: bool = False, sync: bool = False) -> Iterator[Path]:
    """Yield the temporary path to write; rename it to ``path`` when the block ends, remove it when the block raises.

    Args:
        path: The final path. An existing file is replaced; the caller checks first whether it may be.
        shared: As for ``part_of``.
        sync: Whether file and folder must survive a power failure; see the module docstring.

    Raises:
        OutputError: A link, folder or other special file has the temporary name.
        OSError: The system refuses to write.
    """
    part = part_of(path, shared)
    clear(part)
    try:
        yield part
        if sync:
            sync_file(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def write_atomically(path: Path, data: str | bytes, sync: bool = True) -> None:
    r"""Write a file atomically: readers see either all of ``data`` or the previous file.

    Args:
        path: The file; a regular file there is replaced.
        data: Bytes, or text, which is encoded as UTF-8 without translating line ends (``\n`` stays ``\n``).
        sync: As for ``replacing``.

    Raises:
        OutputError: A link, folder or other special file has the name, or the temporary name.
        OSError: The system refuses to write.
    """
    if os.path.lexists(path) and head(path, 1) is None:
        raise in_the_way(path)
    with replacing(path, sync=sync) as part, create(part) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power failure. Raises OSError."""
    _sync(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder, such as that of a renamed file, survive a power failure. Raises OSError."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
