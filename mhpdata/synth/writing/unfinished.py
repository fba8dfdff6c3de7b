"""The folder of an unfinished synthetic dataset: its temporary name, its lock, and what an interruption left.

The rule: an incomplete dataset never has its final name. It is written under a temporary name
(mhpdata.filesystem.atomic); a rerun after an interruption empties that folder and starts from scratch. The lock on the
folder ends with the process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import part_of
from mhpdata.filesystem.descriptors import open_descriptor
from mhpdata.filesystem.locks import lock_folder
from mhpdata.filesystem.ours import head, in_the_way, is_folder, remove
from mhpdata.synth.writing.form import Form
from mhpdata.synth.writing.forms import FORMS

MARKER = ".mhp-synth"
"""Marks an unfinished folder as one of mhp synth, which may remove it."""
_LIST = r"(train_list|test_list|train|val|test_all|test_inter_top[0-9]+|train_id|val_id|test_id|DEFECTS|SYNTHETIC)\.txt"
_FILE = re.compile(rf"[0-9_]+\.(jpg|png|mat|json)|(mine|train|val)\.json|{_LIST}")
"""Pattern of the names of files in a dataset."""


@contextmanager
def unfinished(out: Path, form: Form) -> Iterator[Path]:
    """Make the empty folders of a form in a folder with a temporary name beside ``out``; hold its lock in the block.

    Raises:
        OutputError: One of both names is in use, or another command is writing there.
        OSError: The system refuses to write.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        remedy = f"Choose another --out, or remove {out} if it is no longer needed."
        raise OutputError(out, "exists and is not empty", "a new name or an empty folder", remedy)
    folder = part_of(out)
    found = os.path.lexists(folder)
    if found and not is_folder(folder):
        raise _foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = open_descriptor(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        lock_folder(descriptor, out, "mhp synth", under=folder)
        if found and not _is_marked(folder):
            raise _foreign(folder)
        (folder / MARKER).touch()
        _empty(folder)
        earlier = out.with_name(f"{out.name}.partial")  # the temporary name of mhp 0.1
        if is_folder(earlier) and _is_marked(earlier):
            _empty(earlier)
            remove(earlier, [earlier / MARKER])  # last: it marks the folder as one of mhp synth
        for name in form.folders:
            (folder / name).mkdir(parents=True)
        yield folder
    finally:
        os.close(descriptor)


def _is_marked(folder: Path) -> bool:
    return head(folder / MARKER, 1) is not None


def _foreign(folder: Path) -> OutputError:
    remedy = f"Move {folder.name} away, or choose another --out."
    return OutputError(folder, "exists and was not made by mhp synth", "", remedy)


def _empty(folder: Path) -> None:
    """Remove the folders and files that an interrupted run left, but for the marker; raise OutputError for others."""
    known = {MARKER} | {parent for form in FORMS.values() for name in form.folders for parent in _way(name)}
    held = list(folder.rglob("*"))
    for path in held:
        name = path.relative_to(folder).as_posix()
        file = _FILE.fullmatch(path.name) and str(PurePath(name).parent) in {".", *known} and path.is_file()
        if path.is_symlink() or not (name in known or file):
            raise in_the_way(path, "or choose another --out")
    for path in sorted(held, reverse=True):  # the contents of a folder before the folder
        if path.name != MARKER:
            path.rmdir() if path.is_dir() else path.unlink()


def _way(name: str) -> list[str]:
    """Return a folder and its parents, as names below the dataset."""
    return [name, *(str(parent) for parent in PurePath(name).parents if parent != PurePath())]
