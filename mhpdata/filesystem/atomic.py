"""Write files that are whole under their name, or not there at all.

The rule: a file is written under a temporary name in the same folder and renamed when it is whole. A rename is one step
for the system, so neither a reader nor a kill ever sees half a file.

One scheme of temporary names, for files and folders alike (``NAME`` is the final name)::

    .NAME.part           written by one process at a time: the same command run again replaces what a kill left
    .NAME.OWNER.part     several processes may write at once, on several machines; OWNER is 32 random hex digits

mhp 0.1 also wrote ``.part-NAME`` and ``.NAME.PID.part``; ``parse_part`` recognises them, so that leftovers of its
killed processes are still removed. A leftover is removed only where its content is mhp's, too
(mhpdata.filesystem.ours).

Who syncs: a rename survives a kill, but after a power cut a name may come back with no content. So a file is synced
before its rename, and its folder after it, where the name is a promise that outlives the command: a manifest, the
options of an unfinished pack, a shard, a checkpoint, a table of a run. What is cheap to write again, or checked before
it is trusted, is not synced: a prediction, a figure, a shard's note, a bundle, a synthetic dataset.
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
"""Seconds after which a temporary name of several writers is a leftover: writing a file takes a moment."""
_LONGEST = 200
"""Bytes of a final name that its temporary name repeats; file systems take 255. A longer one is hashed."""
_PART = re.compile(r"\.(?P<name>.+?)(\.(?P<owner>[0-9a-f]{32}|[0-9]+))?\.part", re.DOTALL)
_PART_01 = re.compile(r"\.part-(?P<name>.+)", re.DOTALL)


def part_of(path: Path, shared: bool = False) -> Path:
    """Return the temporary name of a file or folder, in the same folder.

    Args:
        path: The final path.
        shared: Whether several processes may write this file at once; each call then returns another name.
    """
    name = os.fsencode(path.name)
    kept = path.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()
    return path.with_name(f".{kept}.{uuid.uuid4().hex}.part" if shared else f".{kept}.part")


def parse_part(name: str) -> tuple[str, str] | None:
    """Split a temporary name into the final name and its owner; the reverse of ``part_of``, for names of 0.1 as well.

    Args:
        name: The name of a file or folder, without its folder.

    Returns:
        The final name (64 hex digits for a long one) and the owner ("" where the name has none); None for a name that
        is not temporary.
    """
    found = _PART.fullmatch(name) or _PART_01.fullmatch(name)
    return (found["name"], found.groupdict().get("owner") or "") if found else None


@contextmanager
def replacing(path: Path, shared: bool = False, sync: bool = False) -> Iterator[Path]:
    """Yield the temporary path to write; rename it to ``path`` when the block ends, remove it when the block raises.

    Args:
        path: The final path. What is there is replaced; the caller says first whether it may be.
        shared: As for ``part_of``.
        sync: Whether file and folder are to survive a power cut; see the module.

    Raises:
        OutputError: A link, a folder or the like has the temporary name.
        OSError: The system refuses.
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
    r"""Write a file so that its name shows either all of ``data`` or what was there before.

    Args:
        path: The file; a regular file there is replaced.
        data: Bytes, or text that is encoded as UTF-8 as it is (``\n`` stays ``\n``).
        sync: As for ``replacing``.

    Raises:
        OutputError: A link, a folder or the like has the name, or the temporary one.
        OSError: The system refuses.
    """
    if os.path.lexists(path) and head(path, 1) is None:
        raise in_the_way(path)
    with replacing(path, sync=sync) as part, create(part) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut. Raises OSError."""
    _sync(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder, such as one just given by a rename, survive a power cut. Raises OSError."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = open_descriptor(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
