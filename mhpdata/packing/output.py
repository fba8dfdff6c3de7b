"""Lock and prepare the folder that mhp pack writes to, and delete only files that mhp wrote.

::

    rec/.packing/                  exists while a pack is unfinished
      options.json                 options of the pack; a command with other options must not resume it
      train-00000.json             notes on finished shards (mhpdata.packing.journal)
      train-00001.rec .idx         the shard that is being written

The lock ends with the process. Files of mhp are recognised by name and content (mhpdata.filesystem.ours): ``.packing``
is emptied only if its options.json was written by mhp and all other names in it are names that mhp uses; manifest.json,
build.json and shards must begin as those of mhp do.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import write_atomically
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.filesystem.ours import begins, check_folder, head, in_the_way, is_folder, remove
from mhpdata.filesystem.regular import read_regular
from mhpdata.options import differences, recorded
from mhpdata.packing.summary import why_not
from mhpdata.storage.manifest import BUILD_NAME, MAX_BYTES, NAME
from mhpdata.storage.shards.formats import begins_a_shard
from mhpdata.wording import why

FOLDER = ".packing"
PARTS = ".tasks"
"""Folder of the parts that tasks write (mhpdata.packing.tasks.parts)."""
_OPTIONS = "options.json"
_ADVICE = "or pass another --out"
_MARKS = {NAME: re.compile(rb'"format"\s*:\s*"mhp-packed"'), BUILD_NAME: re.compile(rb'"source_state"\s*:')}
"""Patterns in the first bytes of the two files that describe a packed folder."""
_PARTS = tuple(f".{name}.part" for name in _MARKS)


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
        self._locks = locks = list[int]()
        if not lock:
            return
        hold_standard()
        # a single call, so that an interrupt cannot lose the descriptor, and with it the lock, before it is stored
        locks.extend(map(os.open, (out,), (os.O_RDONLY,)))
        try:
            fcntl.flock(locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._unlock()
            found, remedy = "another mhp pack is writing here", "Wait until it ends, or pass another --out."
            if not isinstance(error, BlockingIOError):
                found = f"cannot be locked ({why(error)})"
                remedy = (
                    "Pass an --out on a file system that supports locks, such as a local disk (mount NFS with locks)."
                )
            raise OutputError(out, found, "", remedy) from error

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

    def begin(self, options: dict[str, Any], overwrite: bool, skip: bool = False) -> None:
        """Prepare ``out`` for a pack with these options: new, resumed, or (``overwrite``) instead of another pack.

        Args:
            options: Layout, splits, options and format version of the pack.
            overwrite: Whether to replace another pack.
            skip: Whether the pack skips damaged entries.

        Raises:
            OutputError: The folder holds something else.
        """
        key = self.folder / _OPTIONS
        unfinished = check_folder(self.folder, self._is_unfinished(), _ADVICE)
        names = {path.name for path in self.out.iterdir()} - {FOLDER, PARTS}
        theirs = _read_object(key)
        if theirs == options and NAME not in names:
            self.refuse_foreign(names)
            return
        if not overwrite:
            self._refuse_others(NAME in names, theirs, options, skip)
        foreign = sorted(n for n in names if not self._ours.fullmatch(n) and n not in (NAME, BUILD_NAME))
        foreign = sorted(names) if theirs is None and NAME not in names else foreign
        foreign = [name for name in foreign if name not in _PARTS]
        if foreign:
            found = f"holds {foreign[0]} and {len(foreign) - 1} more" if len(foreign) > 1 else f"holds {foreign[0]}"
            what = "these files" if len(foreign) > 1 else str(self.out / foreign[0])
            raise OutputError(self.out, found, "an empty folder", f"Move {what} elsewhere, or pass another --out.")
        described = self.refuse_foreign(names)
        # Write the options first: after a kill at any later point, the same command can resume.
        self.folder.mkdir(exist_ok=True)
        write_atomically(key, json.dumps(options))
        for path in unfinished:
            if path != key:
                path.unlink(missing_ok=True)
        for name in (NAME, BUILD_NAME, *described):
            (self.out / name).unlink(missing_ok=True)
        self.remove_others(set())

    def _refuse_others(self, packed: bool, theirs: dict[str, Any] | None, options: dict[str, Any], skip: bool) -> None:
        """Raise OutputError for another pack in the folder, finished or not.

        Args:
            packed: Whether the folder holds a manifest.
            theirs: Options of an unfinished pack; None if there is none.
            options: Options of this pack.
            skip: Whether this pack skips damaged entries.
        """
        if packed:
            if not self.is_ours(self.out / NAME):
                raise in_the_way(self.out / NAME, _ADVICE)
            found, remedy = why_not(_read_object(self.out / NAME) or {}, options, skip)
            raise OutputError(self.out, found, "", remedy)
        if theirs is None:
            return
        if theirs.get("version") != options["version"]:
            found = "holds an unfinished pack of another version of mhp"
            remedy = "Finish it with that version, or pass --overwrite to pack from scratch."
            raise OutputError(self.out, found, "an empty folder", remedy)
        found = f"holds an unfinished pack with other options ({differences(theirs, options)})"
        remedy = f"Pass {recorded(theirs, options)} to resume it, or --overwrite to pack from scratch."
        raise OutputError(self.out, found, "", remedy)

    def remove_others(self, keep: set[str]) -> None:
        """Delete the shards of an earlier pack that are not in ``keep``."""
        for path in self.out.iterdir():
            if self._ours.fullmatch(path.name) and path.name not in keep and self.is_ours(path):
                path.unlink()

    def end(self) -> None:
        """Remove the files that resume an unfinished pack; files that mhp did not write stay."""
        with suppress(OSError):  # files that cannot be removed do no harm: the dataset is complete
            if is_folder(self.folder):
                held = filter(self._is_unfinished(), self.folder.iterdir())
                # the options last: they identify the other files as those of mhp
                remove(self.folder, sorted(held, key=lambda path: path.name == _OPTIONS))

    def read_build(self) -> dict[str, Any]:
        """Return the build.json of the dataset in the folder; empty if there is none."""
        return _read_object(self.out / BUILD_NAME) or {}

    def is_ours(self, path: Path) -> bool:
        """Return whether mhp pack wrote a file in ``out``, by its name and its first bytes."""
        if path.name in _MARKS:
            start = head(path)
            return start is not None and (not start or _MARKS[path.name].search(start) is not None)
        if path.name in _PARTS:
            return begins(path, b'{\n "format": "mhp-packed"', b'{\n "mhp": ')
        return self._ours.fullmatch(path.name) is not None and begins_a_shard(path)

    def _is_unfinished(self) -> Callable[[Path], bool]:
        """Return a function that tells by name whether mhp pack wrote a file in ``.packing``."""
        content = _read_object(self.folder / _OPTIONS) if is_folder(self.folder) else None
        known = content is not None and {"layout", "splits", "format"} <= set(content)

        def is_unfinished(path: Path) -> bool:
            if path.name == f".{_OPTIONS}.part":
                return begins(path, b'{"layout": ')
            return known and self._unfinished.fullmatch(path.name) is not None and head(path, 1) is not None

        return is_unfinished

    def refuse_foreign(self, names: Iterable[str]) -> set[str]:
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
            if name in (*_MARKS, *_PARTS) or (self._ours.fullmatch(name) and not noted):
                raise in_the_way(path, _ADVICE)
        return described

    def _described(self) -> set[str]:
        """Return the shards' files in ``out`` that a manifest of mhp there names, damaged or not."""
        content = _read_object(self.out / NAME) if self.is_ours(self.out / NAME) else None
        try:
            shards = [shard for split in (content or {"splits": {}})["splits"].values() for shard in split["shards"]]
            named = {str(file["file"]) for shard in shards for file in shard["files"]}
        except (KeyError, TypeError, AttributeError):
            return set()  # the manifest is damaged
        return {name for name in named if self._ours.fullmatch(name) and head(self.out / name, 1) is not None}


def read_json(path: Path) -> Any:
    """Return the content of a JSON file that mhp wrote; None if it is missing, or damaged by a power cut."""
    if head(path, 1) is None:
        return None
    try:
        return parse_json(read_regular(path, MAX_BYTES).decode())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _read_object(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file as ``read_json`` does; None also if the content is not an object."""
    content = read_json(path)
    return content if isinstance(content, dict) else None
