"""Numbers, arrays and what the system says in sentences for people: 1 group, 2 groups."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhpdata.errors import MhpError, OutputError

AS_MAP = "Pass a two-dimensional array, turned into bytes with .astype('uint8')."
"""What to do about an array that is no map of labels or persons."""


def as_map(array: Any, most: int, name: str) -> str:
    """What to do about an array that is no map, or one without pixels or with a side above ``most``.

    Args:
        name: of the map, such as "mask".
    """
    if array.dtype != "uint8" or array.ndim != 2:
        return AS_MAP
    if array.size == 0:
        return f"It is empty: pass a {name} of the photo's height and width, which are at least 1."
    return f"It has a side above {most}: scale or crop the photo and its masks to at most {most} a side."


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what is counted, as "1 group", "0 groups", or with ``many`` given "2 entries"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def printable(line: str) -> str:
    """One line for a terminal or a log: line ends, escape codes, marks of direction and bytes of no encoding, as names
    of files may hold them, are written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def array_in_words(array: Any) -> str:
    """What an array is, as "an array of int64 (480, 640)"."""
    return f"an array of {array.dtype} {array.shape}"


def error_in_words(error: BaseException) -> str:
    """What a reader's error says, for people who know no Python."""
    if isinstance(error, MhpError):
        return f"{error.place}: {error.found}" + (f"; expected {error.expected}" if error.expected else "")
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from line {error.lineno}, column {error.colno} on"
    if isinstance(error, UnicodeDecodeError):
        return "bytes that are no UTF-8 text"
    if isinstance(error, RecursionError):
        return "brackets nested too deep"
    if isinstance(error, KeyError):
        return f"{error.args[0] if error.args else 'a field'} is missing"
    if isinstance(error, TypeError | AttributeError):
        return f"a value of the wrong kind: {error}"
    if isinstance(error, OSError):
        return why(error)
    return str(error) or type(error).__name__


def why(error: OSError) -> str:
    """What the system said of a file, for brackets: "No space left on device"."""
    if error.errno == errno.ENXIO:  # of a socket, "No such device or address"
        return "not a regular file"
    return error.strerror or str(error)


def to_read(error: OSError, path: object, otherwise: str) -> str:
    """What to do about a file or folder that cannot be read.

    Args:
        error: as the system gave it, or ``mhpdata.filesystem.regular``.
        path: of the file, as the user would name it.
        otherwise: where the reason says nothing of the path, as of a disk that fails.
    """
    if isinstance(error, FileNotFoundError):
        return f"There is nothing of this name: correct the path {path}."
    if isinstance(error, PermissionError):
        return f"Give yourself permission to read it: chmod u+rX {_closed(str(path))}."
    if isinstance(error, NotADirectoryError):
        return f"{_file_in(str(path)) or 'A folder in this path'} is a file, no folder: correct the path {path}."
    if error.errno == errno.ELOOP:
        return f"A link in the path {path} leads back to itself: replace it by what it should lead to, or delete it."
    if error.errno == errno.ENAMETOOLONG:
        return f"No file can have so long a name: correct the path {path}."
    if is_no_file(error):
        return (
            f"What is there is a folder, pipe or device: pass the path of a file, or move this away and put the file "
            f"at {path}."
        )
    return otherwise


def to_open(error: OSError, path: object, what: str) -> str:
    """What to do about a file that an option names and that cannot be read; ``what`` it should be follows "the path
    of"."""
    if is_no_file(error):
        return f"It is a folder, pipe or device: pass the path of {what}."
    return to_read(error, path, f"Pass the path of {what}.")


def to_replace(error: OSError, path: object, otherwise: str) -> str:
    """What to do about a file that cannot be read and that no option names itself; as ``to_read``."""
    if is_no_file(error):
        return f"It is a folder, pipe or device: move it away, and put the file {Path(str(path)).name} in its place."
    return to_read(error, path, otherwise)


def is_no_file(error: OSError) -> bool:
    """Whether what is to be read is there, and a folder, pipe or device."""
    return isinstance(error, IsADirectoryError) or error.errno in (errno.EINVAL, errno.ENXIO)


def to_write(error: OSError, path: object, after: str = "run the same command again") -> str:
    """What to do about a file or folder that cannot be written; ``after`` follows "then"."""
    folder = Path(str(path)).parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room on the disk of {folder}, then {after}."
    if isinstance(error, FileNotFoundError):
        return f"Make the folder, mkdir -p {folder}, then {after}."
    if isinstance(error, NotADirectoryError | FileExistsError):
        file = _file_in(str(path)) or "A part of this path"
        return f"{file} is a file, in which no folder can be made: move it away, or choose another path; then {after}."
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder: move it away, then {after}."
    if error.errno == errno.EROFS:
        return f"The disk of {folder} is read-only: choose a path on another disk, then {after}."
    if isinstance(error, PermissionError):
        shut = _closed(str(path))
        if shut == str(path):
            shut = shut if Path(shut).is_file() and not os.access(shut, os.W_OK) else str(folder)
        return f"Give yourself permission to write there (chmod u+rwX {shut}), or choose another path; then {after}."
    if error.errno == errno.EFBIG:
        return f"Allow larger files (ulimit -f unlimited), or choose a path on another disk; then {after}."
    if error.errno == errno.EMFILE:
        return f"Allow more open files (ulimit -n 4096), then {after}."
    if error.errno == errno.ENAMETOOLONG:
        return f"Choose a shorter name, then {after}."
    if error.errno == errno.ELOOP:
        return f"A link in the path {path} leads back to itself: delete it, then {after}."
    return f"Check the disk of {folder} (dmesg tells its errors), or choose a path on another one; then {after}."


@contextmanager
def writing(out: object, after: str) -> Iterator[None]:
    """What the system refuses while we write becomes an OutputError: of the file that it names, or of ``out``.

    Args:
        out: the folder that is written to.
        after: as of ``to_write``.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        place = error.filename or out
        raise OutputError(place, f"cannot be written ({why(error)})", "", to_write(error, place, after)) from error


def _above(path: str) -> list[str]:
    """The folders that a path leads through, from the outermost on, and the path."""
    return [*map(str, reversed(Path(path).parents)), path]


def _closed(path: str) -> str:
    """The first folder on the way to a path that we may not enter; else the path."""
    return next((one for one in _above(path)[:-1] if Path(one).is_dir() and not os.access(one, os.X_OK)), path)


def _file_in(path: str) -> str:
    """The part of a path that is a file, though it should be a folder; nothing where there is none."""
    return next((one for one in _above(path) if Path(one).exists() and not Path(one).is_dir()), "")
