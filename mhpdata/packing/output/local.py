"""Lock and prepare the folder that mhp pack writes to, and delete only files that mhp wrote.

::

    rec/.packing/                  exists while a pack is unfinished
      options.json                 options of the pack; a command with other options must not resume it
      train-00000.json             notes on finished shards (mhpdata.packing.journal)
      train-00001.rec .idx         the shard that is being written

A pack that replaces another one keeps its finished shards in ``.packing``, too: the other one stays whole until all are
there; then it is deleted, and they get their final names.

The lock ends with the process. Files of mhp are recognised by name and content (mhpdata.filesystem.ours): ``.packing``
is emptied only if its options.json was written by mhp and all other names in it are names that mhp uses; manifest.json,
build.json and shards must begin as those of mhp do.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mhpdata.errors import ManifestError, OutputError, is_outside
from mhpdata.filesystem.atomic import sync_file, sync_folder, write_atomically
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.filesystem.locks import lock_folder
from mhpdata.filesystem.ours import begins, check_folder, head, in_the_way, is_folder, remove
from mhpdata.packing.output.contents import (
    ADVICE,
    FOLDER,
    MARKS,
    OPTIONS,
    PARTS,
    Wanted,
    named_shards,
    read_json,
    read_object,
    refuse_for_tasks,
    refuse_packed,
    refuse_unfinished,
)
from mhpdata.storage.manifest import BUILD_NAME, NAME, Manifest, read_manifest
from mhpdata.storage.packed import ShardFile
from mhpdata.storage.shards.file import hash_file
from mhpdata.storage.shards.formats import begins_a_shard

_UNNAMED = tuple(f".{name}.part" for name in MARKS)


class Output:
    """Folder of a pack; a context manager that holds its lock.

    Args:
        out: Packed folder, which exists.
        splits: All splits of the layout; only shards named after them are ever deleted.
        lock: Whether to lock it; without the lock, nothing in it may be written or deleted.

    Raises:
        OutputError: Another pack is running there, or ``out`` cannot be locked.
    """

    _locks: Sequence[int] = ()

    def __init__(self, out: Path, splits: Sequence[str], lock: bool = True) -> None:
        self.out = out
        stem = rf"({'|'.join(splits)})-[0-9]{{5}}"
        self._ours = re.compile(rf"{stem}\.(rec|idx|h5)")
        self._unfinished = re.compile(rf"{stem}\.(rec|idx|h5|spool|json|part)|\.{stem}\.json\.part|options\.json")
        self.folder = out / FOLDER
        self._waits = False  # whether published shards wait in .packing, since another pack is in out
        self._waiting: set[str] = set()
        self._locks = locks = list[int]()
        if not lock:
            return
        hold_standard()
        # a single call, so that an interrupt cannot lose the descriptor, and with it the lock, before it is stored
        locks.extend(map(os.open, (out,), (os.O_RDONLY,)))
        try:
            lock_folder(locks[0], out, "mhp pack")
        except OutputError:
            self._unlock()
            raise

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unlock()

    def __del__(self) -> None:
        self._unlock()  # if an interrupt prevented __enter__

    def _unlock(self) -> None:
        locks, self._locks = self._locks, ()
        for lock in locks:
            os.close(lock)

    def begin(self, wanted: Wanted) -> None:
        """Prepare ``out`` for a pack: new, resumed, or instead of another one. Raises OutputError for other content."""
        options, overwrite, *_ = wanted
        key = self.folder / OPTIONS
        unfinished = check_folder(self.folder, self._is_unfinished(), ADVICE)
        names = {path.name for path in self.out.iterdir()} - {FOLDER, PARTS}
        theirs = read_object(key)
        self._waits = NAME in names
        if theirs == options and (overwrite or NAME not in names):
            self._refuse_foreign(names)
            return
        if not overwrite and NAME in names:
            if not self.is_ours(self.out / NAME):
                raise in_the_way(self.out / NAME, ADVICE)
            refuse_packed(self.out, read_object(self.out / NAME), wanted)
        if not overwrite and theirs is not None:
            refuse_unfinished(self.out, theirs, options)
        foreign = sorted(n for n in names if not self._ours.fullmatch(n) and n not in (NAME, BUILD_NAME))
        foreign = sorted(names) if theirs is None and NAME not in names else foreign
        foreign = [name for name in foreign if name not in _UNNAMED]
        if foreign:
            found = f"holds {foreign[0]} and {len(foreign) - 1} more" if len(foreign) > 1 else f"holds {foreign[0]}"
            what = "these files" if len(foreign) > 1 else str(self.out / foreign[0])
            raise OutputError(self.out, found, "an empty folder", f"Move {what} elsewhere, or pass another --out.")
        self._refuse_foreign(names)
        # Write the options first: after a kill at any later point, the same command can resume.
        self.folder.mkdir(exist_ok=True)
        write_atomically(key, json.dumps(options))
        for path in unfinished:
            if path != key:
                path.unlink(missing_ok=True)
        if not self._waits:
            self._remove_others(set())

    def _remove_others(self, keep: set[str]) -> None:
        """Delete an earlier pack, its manifest first, but no shards in ``keep``."""
        described = self._refuse_foreign({NAME, BUILD_NAME, *keep})
        for name in (NAME, BUILD_NAME, *sorted(described - keep)):
            (self.out / name).unlink(missing_ok=True)
        for path in self.out.iterdir():
            if self._ours.fullmatch(path.name) and path.name not in keep and self.is_ours(path):
                path.unlink()

    def end(self, manifest: Manifest) -> None:
        """Remove the files that resume a pack, which is finished now; files that mhp did not write stay."""
        with suppress(OSError):  # files that cannot be removed do no harm: the dataset is complete
            if is_folder(self.folder):
                held = filter(self._is_unfinished(), self.folder.iterdir())
                # the options last: they identify the other files as those of mhp
                remove(self.folder, sorted(held, key=lambda path: path.name == OPTIONS))

    def refuse_for_tasks(self) -> None:
        """Raise OutputError if ``out`` holds something else than parts of tasks."""
        names = sorted({path.name for path in self.out.iterdir()} - {PARTS})
        other = names[0] if names and not (self.out / PARTS).exists() else ""
        refuse_for_tasks(self.out, NAME in names, bool(other) and FOLDER in names, other)

    def manifest(self) -> Manifest | None:
        """Return the manifest of a complete pack in ``out``; None if there is none. Raises ManifestError."""
        if not (self.out / NAME).exists() or (self.out / NAME).is_symlink():
            return None
        try:
            manifest = read_manifest(self.out)
        except ManifestError as error:
            if is_outside(error) or self.is_ours(self.out / NAME):
                raise
            return None  # a manifest.json that mhp did not write, which begin refuses
        files = [(self.out / file.file, file.bytes) for file in manifest.files]
        return manifest if all(path.is_file() and path.stat().st_size == size for path, size in files) else None

    def read_note(self, name: str) -> Any:
        """Return the content of a note on a finished shard; None if there is none."""
        return read_json(self.folder / name)

    def write_note(self, name: str, content: dict[str, Any]) -> None:
        """Write a note on a shard that was published; a power cut may lose it."""
        write_atomically(self.folder / name, json.dumps(content), sync=False)

    def publish(self, files: Sequence[ShardFile]) -> dict[str, str]:
        """Sync the files of a shard, and give them their final names or let them wait; return their ETags: none."""
        for file in files:
            sync_file(self.folder / file.file)
        self._refuse_foreign({file.file for file in files})
        if self._waits:
            self._waiting.update(file.file for file in files)
            return {}
        for file in files:
            (self.folder / file.file).replace(self.out / file.file)
        return {}

    def is_whole(self, file: ShardFile, tag: str) -> bool:
        """Return whether a shard's file has the bytes that were written; ``tag`` is its ETag, if it has one."""
        if _has_bytes(self.out / file.file, file):
            return True
        waits = _has_bytes(self.folder / file.file, file)
        self._waiting.update({file.file} if waits else ())
        return waits

    def complete(self, build: str, manifest: Manifest) -> None:
        """Delete an earlier pack, name the shards that wait, then write build.json, and the manifest last."""
        self._remove_others({file.file for file in manifest.files})
        for name in sorted(self._waiting):
            (self.folder / name).replace(self.out / name)
        sync_folder(self.out)
        write_atomically(self.out / BUILD_NAME, build)
        write_atomically(self.out / NAME, manifest.to_json())

    def read_build(self) -> dict[str, Any]:
        """Return the build.json of the dataset in the folder; empty if there is none."""
        return read_object(self.out / BUILD_NAME) or {}

    def is_ours(self, path: Path) -> bool:
        """Return whether mhp pack wrote a file in ``out``, by its name and its first bytes."""
        if path.name in MARKS:
            start = head(path)
            return start is not None and (not start or MARKS[path.name].search(start) is not None)
        if path.name in _UNNAMED:
            return begins(path, b'{\n "format": "mhp-packed"', b'{\n "mhp": ')
        return self._ours.fullmatch(path.name) is not None and begins_a_shard(path)

    def _is_unfinished(self) -> Callable[[Path], bool]:
        """Return a function that tells by name whether mhp pack wrote a file in ``.packing``."""
        content = read_object(self.folder / OPTIONS) if is_folder(self.folder) else None
        known = content is not None and {"layout", "splits", "format"} <= set(content)

        def is_unfinished(path: Path) -> bool:
            if path.name == f".{OPTIONS}.part":
                return begins(path, b'{"layout": ')
            return known and self._unfinished.fullmatch(path.name) is not None and head(path, 1) is not None

        return is_unfinished

    def _refuse_foreign(self, names: Iterable[str]) -> set[str]:
        """Raise OutputError if a file in ``out`` with one of these names has a name that mhp uses, but is not mhp's.

        A shard that a manifest or a note of mhp names counts as mhp's even if it is damaged.

        Returns:
            The files that a manifest there names.
        """
        described = self._described()
        for name in sorted(names):
            path = self.out / name
            if name in described or not os.path.lexists(path) or self.is_ours(path):
                continue
            noted = head(self.folder / f"{path.stem}.json", 1) is not None and head(path, 1) is not None
            if name in (*MARKS, *_UNNAMED) or (self._ours.fullmatch(name) and not noted):
                raise in_the_way(path, ADVICE)
        return described

    def _described(self) -> set[str]:
        """Return the shards' files in ``out`` that a manifest of mhp there names, damaged or not."""
        named = named_shards(read_object(self.out / NAME) if self.is_ours(self.out / NAME) else None)
        return {name for name in named if self._ours.fullmatch(name) and head(self.out / name, 1) is not None}


def _has_bytes(path: Path, file: ShardFile) -> bool:
    """Return whether a regular file has the size and SHA-256 of a shard's file."""
    return head(path, 1) is not None and path.stat().st_size == file.bytes and hash_file(path).sha256 == file.sha256
