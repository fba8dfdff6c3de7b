"""Write output files atomically, and replace existing files only with ``overwrite``.

Links in an output folder are neither followed nor replaced (mhpdata.filesystem.ours); the folder that an option names
may itself be a link.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from mhpdata.errors import OptionError, OutputError
from mhpdata.filesystem.atomic import ABANDONED_S, parse_part, replacing
from mhpdata.filesystem.ours import begins, create, in_the_way, is_folder
from mhpdata.images.formats.chunks import PNG_SIGNATURE
from mhpdata.wording import to_write, why, writing
from mhpmodels.files import params

_PICTURE = re.compile(r".+\.(png|jpg)|[0-9a-f]{64}", re.DOTALL)
"""Final names (mhpdata.filesystem.atomic.parse_part) of files that several processes may write at the same time."""
_PAGE = '<!doctype html>\n<html lang="en"><meta name="generator" content="mhp-'
HTML_START, SITE_START = f'{_PAGE}show">', f'{_PAGE}browse">'
"""First characters of a page that mhp show, and mhp browse, writes."""
_STARTS = {
    ".png": PNG_SIGNATURE,
    ".jpg": b"\xff\xd8\xff",
    ".params": params.START,
    ".pt": b"PK\3\4",
    ".onnx": b"\x08",
    ".csv": b"name,",
    ".html": _PAGE.encode(),
}
"""First bytes of a file that a command writes, by suffix."""


def check_free(
    path: Path, overwrite: bool, remedy: str = "Pass --overwrite to replace the file, or choose another name."
) -> None:
    """Check that a file may be written under this name.

    Args:
        path: the file.
        overwrite: allow a file that exists, if it is of the type that mhp writes with this suffix.
        remedy: advice for a file that exists.

    Raises:
        OutputError: the path is a link, a folder or a file that may not be replaced.
    """
    if path.is_symlink():
        raise in_the_way(path, "or pass another path")
    if path.is_dir():
        remedy = f"Move the folder {path} elsewhere, or pass another name for the file."
        raise OutputError(path, "is a folder", "the name of a file", remedy)
    if os.path.lexists(path) and not overwrite:
        raise OutputError(path, "already exists", "", remedy)
    start = _STARTS.get(path.suffix.lower())
    if start is not None and os.path.lexists(path) and not begins(path, start):
        raise in_the_way(path, "or pass another path")


def starts_right(name: str, start: bytes) -> bool:
    """Return whether the first bytes of a file are those of what a command writes with its suffix."""
    return start.startswith(_STARTS[Path(name).suffix.lower()])


def check_out(path: Path, overwrite: bool, suffix: str = "", option: str = "out") -> None:
    """Check before long work that the file named by an option may be written, and that its folder exists.

    Args:
        path: the file.
        overwrite: allow a file that exists, as in ``check_free``.
        suffix: required suffix, lower case; "" for any.
        option: name of the option, for error messages.

    Raises:
        OptionError: the path has another suffix.
        OutputError: the folder is missing, or the file may not be written.
    """
    if suffix and path.suffix.lower() != suffix:
        remedy = f"Pass a name such as {path.stem or 'picture'}{suffix}."
        raise OptionError(option, repr(str(path)), f"a name that ends with {suffix}", remedy)
    if not path.parent.is_dir():
        remedy = f"Run mkdir -p {path.parent}, or choose an existing folder."
        raise OutputError(path.parent, "missing", f"the folder for {path.name}", remedy)
    if path.is_dir():
        name = path / (f"picture{suffix}" if suffix else f"scores.{option}")
        remedy = f"Pass the name of a file as --{option}, such as {name}."
        raise OutputError(path, "is a folder", "the name of a file", remedy)
    check_free(path, overwrite)


def write_file(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file atomically: afterwards it holds all of ``data`` or its previous content.

    Raises:
        OutputError: the file exists and ``overwrite`` is off, or it cannot be written.
    """
    try:
        with replacing(path, shared=True) as unfinished:
            with create(unfinished) as file:
                file.write(data)
            check_free(path, overwrite)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error


def check_distinct(names: Iterable[str], folder: Path, option: str) -> None:
    """Check that no two names are the same file for the disk of a folder, which may ignore case or Unicode form.

    Args:
        names: names of files to be written there, all different.
        folder: an existing folder.
        option: name of the option that gives the names, for error messages.

    Raises:
        OptionError: two names are the same file.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name and _is_one(folder, other, name):
            found = f"{other} and {name}, which are the same name on the disk of {folder}"
            remedy = "Rename one, run the command once for each with another --out, or use a case-sensitive disk."
            raise OptionError(option, found, "names that differ in more than case or Unicode form", remedy)


def _is_one(folder: Path, name: str, other: str) -> bool:
    """Return whether a file written under one name is found under the other."""
    with writing(folder, "run the same command again"), TemporaryDirectory(dir=folder, prefix=".mhp-") as scratch:
        create(Path(scratch, name)).close()
        return os.path.lexists(Path(scratch, other))


def unmade(path: Path, error: OSError, option: str = "--out") -> OutputError:
    """Return the error for a folder that ``option`` names and that cannot be created."""
    existing = next((one for one in (path, *path.parents) if os.path.lexists(one)), path)
    if not existing.is_dir():
        remedy = f"Pass another {option}, or move {existing} elsewhere."
        return OutputError(path, f"cannot be created, because {existing} is not a folder", "a folder", remedy)
    remedy = to_write(error, path, "run the same command again")
    return OutputError(path, f"cannot be created ({why(error)})", "a folder", remedy)


def make_folder(path: Path) -> None:
    """Create a folder if it is missing, and remove unfinished files that killed processes left in it.

    A file takes a moment to write, so one that is unfinished for an hour counts as abandoned, on any machine.

    Raises:
        OutputError: the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unmade(path, error) from error
    for unfinished in path.glob(".*.part"):
        with suppress(OSError):  # another process removed it, or permission is missing
            name, owner = parse_part(unfinished.name) or ("", "")
            ours = owner and _PICTURE.fullmatch(name) and begins(unfinished, _STARTS[".png"], _STARTS[".jpg"])
            if ours and time.time() - unfinished.stat().st_mtime > ABANDONED_S:
                unfinished.unlink()


def make_inner_folder(path: Path) -> None:
    """Create a folder inside an output folder, as ``make_folder`` does.

    Raises:
        OutputError: the path is a link or a file, or the folder cannot be created.
    """
    if os.path.lexists(path) and not is_folder(path):
        raise in_the_way(path)
    make_folder(path)
