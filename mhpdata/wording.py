"""Wording of numbers, arrays and system errors for messages."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mhpdata.errors import MhpError, OutputError, RemoteError

AS_MAP = "Pass a two-dimensional uint8 array; convert with .astype('uint8')."
"""Remedy for an array that is not a map of labels or persons."""
UNCHANGED = "already complete; nothing was written."
"""First words of a command that finds its output complete."""


def as_map(array: Any, most: int, name: str) -> str:
    """Return the remedy for an array that is not a uint8 map, is empty, or has a side above ``most``.

    Args:
        array: The array that was passed.
        most: Longest side allowed, in pixels.
        name: Name of the map, such as "mask".
    """
    if array.dtype != "uint8" or array.ndim != 2:
        return AS_MAP
    if array.size == 0:
        return f"Pass a {name} with the height and width of the image, each at least 1."
    return f"Scale or crop the image and its masks to at most {most} pixels per side."


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 group", "0 groups", or with ``many`` given "2 entries"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def either(choices: Iterable[object]) -> str:
    """Return choices in words: "train", "train or val", "train, val or test"."""
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


def has(number: int) -> str:
    """Return the verb for a number of things: "has" for one, otherwise "have"."""
    return "has" if number == 1 else "have"


def printable(line: str) -> str:
    """Return one line that is safe for a terminal or a log: escape line ends, escape codes, direction marks and
    undecodable bytes, all of which file names may contain."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def array_in_words(array: Any) -> str:
    """Describe an array, as "an array of int64 (480, 640)"."""
    return f"an array of {array.dtype} {array.shape}"


def error_in_words(error: BaseException) -> str:
    """Describe a reader's error without Python terms."""
    if isinstance(error, MhpError):
        return f"{error.place}: {error.found}" + (f"; expected {error.expected}" if error.expected else "")
    if isinstance(error, json.JSONDecodeError):
        return f"invalid JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    if isinstance(error, RecursionError):
        return "brackets nested too deeply"
    if isinstance(error, KeyError):
        return f"{error.args[0] if error.args else 'a field'} is missing"
    if isinstance(error, TypeError | AttributeError):
        return f"a value of the wrong type: {error}"
    if isinstance(error, OSError):
        return why(error)
    return str(error) or type(error).__name__


def why(error: OSError) -> str:
    """Return the system's reason, to stand in brackets: "No space left on device"."""
    if error.errno == errno.ENXIO:  # of a socket, "No such device or address"
        return "not a regular file"
    return error.strerror or str(error)


def unread(error: OSError) -> str:
    """Return what is wrong with a file that cannot be read: it is missing, or the system's reason."""
    return "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({why(error)})"


def to_read(error: OSError, path: object, otherwise: str) -> str:
    """Return the remedy for a file or folder that cannot be read.

    Args:
        error: The error of the system, or of ``mhpdata.filesystem.regular``.
        path: Path of the file, as the user would name it.
        otherwise: Remedy if the reason does not concern the path, such as a failing disk.
    """
    if isinstance(error, FileNotFoundError):
        return f'Correct the path "{path}".'
    if isinstance(error, PermissionError):
        return f"Give yourself read permission: chmod u+rX {_closed(str(path))}."
    if isinstance(error, NotADirectoryError):
        part = _file_in(str(path)) or "a part of it"
        return f'Correct the path "{path}": {part} is a file, not a folder.'
    if error.errno == errno.ELOOP:
        return f"Replace or delete the link in {path} that leads back to itself."
    if error.errno == errno.ENAMETOOLONG:
        return f'Correct the path "{path}": its name is longer than the system allows.'
    if is_no_file(error):
        return f"Pass the path of a file, or replace the folder, pipe or device at {path} with the file."
    return otherwise


def to_open(error: OSError, path: object, what: str) -> str:
    """Return the remedy for an unreadable file that an option names; ``what`` completes "the path of ..."."""
    if is_no_file(error):
        return f"Pass the path of {what}, not of a folder, pipe or device."
    return to_read(error, path, f"Pass the path of {what}.")


def to_replace(error: OSError, path: object, otherwise: str) -> str:
    """Return the remedy for an unreadable file that no option names; arguments as for ``to_read``."""
    if is_no_file(error):
        return f"Replace this folder, pipe or device with the file {Path(str(path)).name}."
    return to_read(error, path, otherwise)


def is_no_file(error: OSError) -> bool:
    """Return whether the path exists but is a folder, pipe or device."""
    return isinstance(error, IsADirectoryError) or error.errno in (errno.EINVAL, errno.ENXIO)


def to_write(error: OSError, path: object, after: str = "run the same command again") -> str:
    """Return the remedy for a file or folder that cannot be written; ``after`` completes "then ..."."""
    folder = Path(str(path)).parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Free space on the disk of {folder}, then {after}."
    if isinstance(error, FileNotFoundError):
        return f"Create the folder (mkdir -p {folder}), then {after}."
    if isinstance(error, NotADirectoryError | FileExistsError):
        file = _file_in(str(path)) or str(path)
        return f"Move the file {file} away, or choose another path; then {after}."
    if isinstance(error, IsADirectoryError):
        return f"Move the folder {path} away, then {after}."
    if error.errno == errno.EROFS:
        return f"Choose a path on another disk, as that of {folder} is read-only; then {after}."
    if isinstance(error, PermissionError):
        shut = _closed(str(path))
        if shut == str(path):
            shut = shut if Path(shut).is_file() and not os.access(shut, os.W_OK) else str(folder)
        return f"Give yourself write permission (chmod u+rwX {shut}), or choose another path; then {after}."
    if error.errno == errno.EFBIG:
        return f"Allow larger files (ulimit -f unlimited), or choose a path on another disk; then {after}."
    if error.errno == errno.EMFILE:
        return f"Allow more open files (ulimit -n 4096), then {after}."
    if error.errno == errno.ENAMETOOLONG:
        return f"Choose a shorter name, then {after}."
    if error.errno == errno.ELOOP:
        return f"Delete the link in {path} that leads back to itself, then {after}."
    return f"Check the disk of {folder} (dmesg lists its errors), or choose a path on another disk; then {after}."


@contextmanager
def writing(out: object, after: str) -> Iterator[None]:
    """Convert an OSError raised while writing to an OutputError for the file that it names, or for ``out``.

    Args:
        out: The output folder.
        after: What to do after the remedy, as for ``to_write``.
    """
    try:
        yield
    except (OutputError, RemoteError):
        raise
    except OSError as error:
        place = error.filename or out
        raise OutputError(place, f"cannot be written ({why(error)})", "", to_write(error, place, after)) from error


def _above(path: str) -> list[str]:
    """Return the folders along a path, outermost first, then the path itself."""
    return [*map(str, reversed(Path(path).parents)), path]


def _closed(path: str) -> str:
    """Return the first folder along a path that we may not enter, or the path if there is none."""
    return next((one for one in _above(path)[:-1] if Path(one).is_dir() and not os.access(one, os.X_OK)), path)


def _file_in(path: str) -> str:
    """Return the part of a path that is a file but should be a folder; "" if there is none."""
    return next((one for one in _above(path) if Path(one).exists() and not Path(one).is_dir()), "")
