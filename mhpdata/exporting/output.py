"""Folder of an export: lock it, resume it, write files atomically, and never replace files that mhp did not write.

::

    out/.exporting/               exists while an export is unfinished
      export.json                 what is exported; another export must not resume it
      train-00003.KEY             the rows of a block of samples
      train-00003.json            the note on a finished block: its files and persons; written last
    out/export.json               written last: a folder without it is not a complete export

An export begins in a new or empty folder, so whatever it finds there under the names of the form is its own. A block
whose note names files of other sizes is made again. The lock ends with the process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from mhpdata.errors import OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.atomic import replacing, write_atomically
from mhpdata.filesystem.descriptors import hold_standard, open_descriptor
from mhpdata.filesystem.locks import lock_folder
from mhpdata.filesystem.ours import check_folder, create, head, in_the_way, is_folder, remove
from mhpdata.filesystem.regular import read_regular

NAME = "export.json"
WORK = ".exporting"
_ADVICE = "or pass another --out"
_BLOCK = re.compile(r"\.?[A-Za-z0-9_-]{1,64}-[0-9]{5,}\.[a-z]+(\.part)?")
_MAX = 1 << 26
_PARTS = (f".{NAME}.part", ".README.txt.part")


class Output:
    """Folder of an export; a context manager that holds its lock.

    Args:
        out: The folder; created if it is missing.

    Raises:
        OutputError: Another export is running there, or the folder cannot be made or locked.
        OSError: The system refuses to write.
    """

    def __init__(self, out: Path) -> None:
        if os.path.lexists(out) and not out.is_dir():
            raise OutputError(out, "is not a folder", "a new or empty folder", "Choose another --out.")
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.work = out, out / WORK
        hold_standard()
        self._lock = open_descriptor(out, os.O_RDONLY)
        try:
            lock_folder(self._lock, out, "mhp export")
        except OutputError:
            os.close(self._lock)
            raise

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def begin(self, about: dict[str, Any], folders: Iterable[str]) -> dict[str, Any] | None:
        """Prepare the folder for an export: new or resumed.

        Args:
            about: Description of the export, as export.json repeats it.
            folders: Folders of the form.

        Returns:
            The content of export.json if the folder already holds this export; otherwise None.

        Raises:
            OutputError: The folder holds something else.
        """
        done = read_object(self.out / NAME)
        if done is not None and {key: done.get(key) for key in about} == about:
            self.end()
            return done
        held = sorted(path.name for path in self.out.iterdir())
        if read_object(self.work / NAME) != about:
            if NAME in held or read_object(self.work / NAME) is not None:
                state = "an export" if NAME in held else "an unfinished export"
                remedy = f"Choose another --out, or remove {self.out} if it is no longer needed."
                raise OutputError(self.out, f"holds {state} of other data or options", "a new or empty folder", remedy)
            if set(held) - {WORK}:
                remedy = f"Choose another --out, or move {held[0]} elsewhere."
                raise OutputError(self.out, f"holds {held[0]}", "a new or empty folder", remedy)
            check_folder(self.work, lambda path: path.name == f".{NAME}.part", _ADVICE)
        self.work.mkdir(exist_ok=True)
        check_folder(self.work, _is_unfinished, _ADVICE)
        write_atomically(self.work / NAME, dump(about))
        for folder in folders:
            path = self.out
            for part in PurePosixPath(folder).parts:
                path = path / part
                if os.path.lexists(path) and not is_folder(path):
                    raise in_the_way(path, _ADVICE)
                path.mkdir(exist_ok=True)
        return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the export. Raises OutputError if a link or folder has its name, OSError."""
        path = self.out / name
        if os.path.lexists(path) and head(path, 1) is None:
            raise in_the_way(path, _ADVICE)
        with replacing(path) as part, create(part) as file:
            file.write(data)

    def path(self, name: str) -> Path:
        """Return the path of a file of the export. Raises OutputError if a link or folder has its name."""
        path = self.out / name
        if os.path.lexists(path) and head(path, 1) is None:
            raise in_the_way(path, _ADVICE)
        return path

    def has(self, sizes: dict[str, int]) -> bool:
        """Return whether all files of a note are there, at their sizes."""
        for name, size in sizes.items():
            try:
                found = os.lstat(self.out / name)
            except FileNotFoundError:
                return False
            if found.st_size != size or head(self.out / name, 1) is None:
                return False
        return True

    def end(self) -> None:
        """Remove the files that resume an unfinished export; others stay."""
        with suppress(OSError):
            if is_folder(self.work):
                held = [path for path in self.work.iterdir() if _is_unfinished(path) and not path.is_symlink()]
                remove(self.work, sorted(held, key=lambda path: path.name == NAME))


def _is_unfinished(path: Path) -> bool:
    """Return whether mhp export writes a file of this name in the folder of an unfinished export."""
    return (path.name in (NAME, *_PARTS) or _BLOCK.fullmatch(path.name) is not None) and head(path, 1) is not None


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is no such file, or a power cut has damaged it."""
    try:
        if head(path, 1) is None:
            return None
        content = parse_json(read_regular(path, _MAX).decode())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def dump(content: dict[str, Any]) -> str:
    """Return an object as JSON text, one line per key."""
    rows = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"
