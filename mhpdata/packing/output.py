"""The folder that mhp-pack writes to: locked while a pack runs, and emptied of nothing that mhp did not write.

::

    rec/.packing/                  there while a pack is unfinished
      options.json                 what is being packed; another command must not go on with it
      train-00000.json             of finished shards (mhpdata.packing.journal)
      train-00001.rec .idx         the shard that is being written

The lock goes with the process. What is mhp's is told by name and content (mhpdata.filesystem.ours): ``.packing`` is
emptied only if its options.json is one of mhp's and every other name in it is one that mhp gives; manifest.json,
build.json and shards must begin as mhp's do.
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
from mhpdata.storage.manifest import BUILD_NAME, MAX_BYTES, NAME
from mhpdata.storage.shards.formats import begins_a_shard
from mhpdata.wording import why

FOLDER = ".packing"
_OPTIONS = "options.json"
_ADVICE = "or pass another --out"
_MARKS = {NAME: re.compile(rb'"format"\s*:\s*"mhp-packed"'), BUILD_NAME: re.compile(rb'"source_state"\s*:')}
"""What the first bytes of the two files that describe a packed folder hold."""
_PARTS = tuple(f".{name}.part" for name in _MARKS)


class Output:
    """The folder of a pack; a context manager that holds its lock.

    Args:
        out: the packed folder, which exists.
        splits: every split that the layout has; only files named after them are ever deleted.

    Raises:
        OutputError: another pack is running there, or ``out`` cannot be locked.
    """

    _locks: Sequence[int] = ()

    def __init__(self, out: Path, splits: Sequence[str]) -> None:
        self.out = out
        stem = rf"({'|'.join(splits)})-[0-9]{{5}}"
        self._ours = re.compile(rf"{stem}\.(rec|idx|h5)")
        self._unfinished = re.compile(rf"{stem}\.(rec|idx|h5|spool|json|part)|\.{stem}\.json\.part|options\.json")
        self.folder = out / FOLDER
        self._locks = locks = list[int]()
        hold_standard()
        # one call, so that an interrupt cannot lose the descriptor, and with it the lock, before it is noted
        locks.extend(map(os.open, (out,), (os.O_RDONLY,)))
        try:
            fcntl.flock(locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._unlock()
            found, remedy = "another mhp-pack is writing here", "Wait until it ends, or pass another --out."
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
        self._unlock()  # of one that was interrupted before it was entered

    def _unlock(self) -> None:
        locks, self._locks = self._locks, ()
        for lock in locks:
            os.close(lock)

    def begin(self, options: dict[str, Any], overwrite: bool) -> None:
        """Make ``out`` ready for a pack with these options: new, gone on with, or (``overwrite``) in another's place.

        Raises:
            OutputError: something else is in the folder.
        """
        key = self.folder / _OPTIONS
        unfinished = check_folder(self.folder, self._is_unfinished(), _ADVICE)
        names = {path.name for path in self.out.iterdir()} - {FOLDER}
        theirs = _read_object(key)
        if theirs == options and NAME not in names:
            self.refuse_foreign(names)
            return
        if not overwrite:
            self._refuse_others(NAME in names, theirs, options)
        foreign = sorted(n for n in names if not self._ours.fullmatch(n) and n not in (NAME, BUILD_NAME))
        foreign = sorted(names) if theirs is None and NAME not in names else foreign
        foreign = [name for name in foreign if name not in _PARTS]
        if foreign:
            found = f"holds {foreign[0]} and {len(foreign) - 1} more" if len(foreign) > 1 else f"holds {foreign[0]}"
            what = "what it holds" if len(foreign) > 1 else foreign[0]
            raise OutputError(self.out, found, "an empty folder", f"Move {what} elsewhere, or pass another --out.")
        described = self.refuse_foreign(names)
        # First of all the options: after a kill at any later point the same command goes on, and every note says
        # which options it is of.
        self.folder.mkdir(exist_ok=True)
        write_atomically(key, json.dumps(options))
        for path in unfinished:
            if path != key:
                path.unlink(missing_ok=True)
        for name in (NAME, BUILD_NAME, *described):
            (self.out / name).unlink(missing_ok=True)
        self.remove_others(set())

    def _refuse_others(self, packed: bool, theirs: dict[str, Any] | None, options: dict[str, Any]) -> None:
        """Raise OutputError for another pack in the folder, finished or not.

        Args:
            packed: there is a manifest.
            theirs: the options of an unfinished pack, if there is one.
            options: of this pack.
        """
        if packed:
            if not self.is_ours(self.out / NAME):
                raise in_the_way(self.out / NAME, _ADVICE)
            found, remedy = "holds a packed dataset", "Pass another --out to keep it, or --overwrite to replace it."
            if (_read_object(self.out / NAME) or {}).get("version") == 1:
                found += " of format 1, which every command reads"
            raise OutputError(self.out, found, "an empty folder", remedy)
        if theirs is None:
            return
        if theirs.get("version") != options["version"]:
            found = "holds an unfinished pack of another version of mhp"
            remedy = "Finish it with that version, or pass --overwrite to pack from scratch."
            raise OutputError(self.out, found, "an empty folder", remedy)
        found = f"holds an unfinished pack with other options ({_difference(theirs, options)})"
        remedy = f"Pass{_flags(theirs, options)} to resume it, or --overwrite to pack from scratch."
        raise OutputError(self.out, found, "the same options", remedy)

    def remove_others(self, keep: set[str]) -> None:
        """Delete the shards of an earlier pack that are not in ``keep``."""
        for path in self.out.iterdir():
            if self._ours.fullmatch(path.name) and path.name not in keep and self.is_ours(path):
                path.unlink()

    def end(self) -> None:
        """Remove what was kept to continue an unfinished pack; what is not mhp's in there stays."""
        with suppress(OSError):  # what cannot be removed stays: the dataset is whole
            if is_folder(self.folder):
                held = filter(self._is_unfinished(), self.folder.iterdir())
                # the options last: they say whose the others are
                remove(self.folder, sorted(held, key=lambda path: path.name == _OPTIONS))

    def read_build(self) -> dict[str, Any]:
        """The build.json of the dataset in the folder; empty where there is none."""
        return _read_object(self.out / BUILD_NAME) or {}

    def is_ours(self, path: Path) -> bool:
        """Whether a file in ``out`` is one that mhp-pack wrote, by its name and its first bytes."""
        if path.name in _MARKS:
            start = head(path)
            return start is not None and (not start or _MARKS[path.name].search(start) is not None)
        if path.name in _PARTS:
            return begins(path, b'{\n "format": "mhp-packed"', b'{\n "mhp": ')
        return self._ours.fullmatch(path.name) is not None and begins_a_shard(path)

    def _is_unfinished(self) -> Callable[[Path], bool]:
        """Whether a file in ``.packing`` is one that mhp-pack wrote: by its name, beside options of mhp's."""
        content = _read_object(self.folder / _OPTIONS) if is_folder(self.folder) else None
        known = content is not None and {"layout", "splits", "format"} <= set(content)

        def is_unfinished(path: Path) -> bool:
            if path.name == f".{_OPTIONS}.part":
                return begins(path, b'{"layout": ')
            return known and self._unfinished.fullmatch(path.name) is not None and head(path, 1) is not None

        return is_unfinished

    def refuse_foreign(self, names: Iterable[str]) -> set[str]:
        """Raise OutputError where one of these names in ``out`` is of a file that mhp writes, but the file is not.

        A shard counts as mhp's, too, where a manifest or a note of mhp's names it: it may be damaged.

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
        """The files of shards in ``out`` that a manifest of mhp's there names, damaged or not."""
        content = _read_object(self.out / NAME) if self.is_ours(self.out / NAME) else None
        try:
            shards = [shard for split in (content or {"splits": {}})["splits"].values() for shard in split["shards"]]
            named = {str(file["file"]) for shard in shards for file in shard["files"]}
        except (KeyError, TypeError, AttributeError):
            return set()  # damaged itself
        return {name for name in named if self._ours.fullmatch(name) and head(self.out / name, 1) is not None}


def read_json(path: Path) -> Any:
    """The content of a file of ours; None where there is none, or a power cut has left something else."""
    if head(path, 1) is None:
        return None
    try:
        return parse_json(read_regular(path, MAX_BYTES).decode())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _read_object(path: Path) -> dict[str, Any] | None:
    """As ``read_json``; None, too, where the content is not an object."""
    content = read_json(path)
    return content if isinstance(content, dict) else None


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    names = [name for name in ours if theirs.get(name) != ours[name]]
    return ", ".join(f"{name} {theirs.get(name)!r} instead of {ours[name]!r}" for name in names)


def _flags(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """The options of an unfinished pack as they are typed, of those that differ, each after a space."""
    said = ""
    for name in (name for name in ours if theirs.get(name) != ours[name]):
        values, flag = theirs.get(name), "split" if name == "splits" else name.replace("_", "-")
        said += "".join(f" --{flag} {value}" for value in (values if isinstance(values, list) else [values]))
    return said
