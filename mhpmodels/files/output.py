"""Files that a command writes: whole under their name or not at all, and over nothing unless that was asked for.

Links in an output folder are neither followed nor replaced (mhpdata.filesystem.ours); the folder that an option names
may be one.
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
"""The final names, as mhpdata.filesystem.atomic.parse_part gives them, of what several processes write at once."""
HTML_START = '<!doctype html>\n<html lang="en"><meta name="generator" content="mhp-show">'
"""How a page of mhp-show begins."""
_STARTS = {
    ".png": PNG_SIGNATURE,
    ".jpg": b"\xff\xd8\xff",
    ".params": params.START,
    ".pt": b"PK\3\4",
    ".onnx": b"\x08",
    ".csv": b"name,",
    ".html": HTML_START.encode(),
}
"""How a file begins that a command writes, by its suffix."""


def check_free(
    path: Path, overwrite: bool, remedy: str = "Pass --overwrite to replace the file, or choose another name for it."
) -> None:
    """Raises OutputError where a file of this name may not be written; ``remedy`` is for one that is there.

    With ``overwrite`` a file is replaced only if it is of the kind that mhp writes under such a name.
    """
    if path.is_symlink():
        raise in_the_way(path, "or pass another path")
    if path.is_dir():
        remedy = f"Move the folder {path} away, or pass another name for the file."
        raise OutputError(path, "is a folder", "the name of a file", remedy)
    if os.path.lexists(path) and not overwrite:
        raise OutputError(path, "is there already", "", remedy)
    start = _STARTS.get(path.suffix.lower())
    if start is not None and os.path.lexists(path) and not begins(path, start):
        raise in_the_way(path, "or pass another path")


def check_out(path: Path, overwrite: bool, suffix: str = "", option: str = "out") -> None:
    """``check_free``, for a file that an option names, whose folder must be there: before long work, not after it.

    Args:
        path: the file.
        overwrite: it may be there already.
        suffix: that its name must have, lower case.
        option: that names it, for the error.

    Raises:
        OptionError: another suffix.
        OutputError: no such folder, or a file may not be written there.
    """
    if suffix and path.suffix.lower() != suffix:
        remedy = f"Pass a name such as {path.stem or 'picture'}{suffix}."
        raise OptionError(option, repr(str(path)), f"a name that ends with {suffix}", remedy)
    if not path.parent.is_dir():
        remedy = f"Run mkdir -p {path.parent} first, or choose a folder that is there."
        raise OutputError(path.parent, "no such folder", f"the folder for {path.name}", remedy)
    if path.is_dir():
        name = path / (f"picture{suffix}" if suffix else f"scores.{option}")
        remedy = f"Pass the name of a file as --{option}, such as {name}."
        raise OutputError(path, "is a folder", "the name of a file", remedy)
    check_free(path, overwrite)


def write_file(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file so that its name shows all of ``data`` or what was there before.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    try:
        with replacing(path, shared=True) as part:
            with create(part) as file:
                file.write(data)
            check_free(path, overwrite)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(path, f"cannot be written ({why(error)})", "", to_write(error, path)) from error


def check_distinct(names: Iterable[str], folder: Path, option: str) -> None:
    """Raises OptionError where two names are one on the disk of a folder, for their case or their Unicode form.

    Args:
        names: of files to be written there, all different.
        folder: which is there.
        option: that gives the names, for the error.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name and _is_one(folder, other, name):
            found = f"{other} and {name}, which are one name on the disk of {folder}"
            remedy = "Rename one, run the command once for each with another --out, or choose a case-sensitive disk."
            raise OptionError(option, found, "names that differ in more than case or Unicode form", remedy)


def _is_one(folder: Path, name: str, other: str) -> bool:
    """Whether a disk takes two names for the same: whether what is written under one is there under the other."""
    with writing(folder, "run the same command again"), TemporaryDirectory(dir=folder, prefix=".mhp-") as apart:
        create(Path(apart, name)).close()
        return os.path.lexists(Path(apart, other))


def unmade(path: Path, error: OSError, option: str = "--out") -> OutputError:
    """The error of a folder that ``option`` names and that cannot be made."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), path)
    if not there.is_dir():
        remedy = f"Pass another {option}, or move {there} away."
        return OutputError(path, f"cannot be made, for {there} is no folder", "a folder", remedy)
    remedy = to_write(error, path, "run the same command again")
    return OutputError(path, f"cannot be made ({why(error)})", "a folder", remedy)


def make_folder(path: Path) -> None:
    """Make a folder where there is none; where there is one, remove what killed processes left there half-written.

    Writing a file takes a moment: what is unfinished for an hour will not be finished, by whatever machine.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unmade(path, error) from error
    for part in path.glob(".*.part"):
        with suppress(OSError):  # it has gone meanwhile, or may not be removed
            name, owner = parse_part(part.name) or ("", "")
            ours = owner and _PICTURE.fullmatch(name) and begins(part, _STARTS[".png"], _STARTS[".jpg"])
            if ours and time.time() - part.stat().st_mtime > ABANDONED_S:
                part.unlink()


def make_inner_folder(path: Path) -> None:
    """``make_folder`` for a folder in an output folder, which must not be a link.

    Raises:
        OutputError: it is one, or cannot be made.
    """
    if os.path.lexists(path) and not is_folder(path):
        raise in_the_way(path)
    make_folder(path)
