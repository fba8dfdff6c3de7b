"""Say which images have no PNG in a folder of predictions, what the folder has instead, and what to do.

Names of images are text: "16" is not "0016". Only the advice compares them as numbers.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mhpdata.errors import PredictionError
from mhpdata.storage.protocol import split_names
from mhpdata.storage.split import Split
from mhpdata.wording import counted, either, has, to_read, unread
from mhpmodels.persons.person_list import RESULTS

MOST_FOLDERS = 1000
"""Number of folders inside a folder in which predictions are looked for."""


def command(options: str, out: Path) -> str:
    """Return the command that writes predictions to a folder."""
    return f"mhp predict{options} --checkpoint RUN --data REC --split SPLIT --out {out}"


def check_complete(folder: Path, names: Sequence[str], what: str, split: Split | None, keep: bool) -> None:
    """Check that a folder has a PNG for each image.

    Args:
        folder: folder of the PNGs.
        names: names of the images.
        what: content of a pixel, such as "label".
        split: the packed split, which tells the images of other splits; None if unknown.
        keep: whether ``mhp predict --keep`` may have begun the folder, and completes it.

    Raises:
        PredictionError: a PNG is missing.
    """
    missing = [name for name in names if not (folder / f"{name}.png").is_file()]
    if not missing:
        return
    there, folders = _content(folder)
    others = sorted(there.difference(names))
    which = "" if len(missing) == 1 else "including "
    found = f"{len(missing)} of {len(names)} images {has(len(missing))} no PNG, {which}{', '.join(missing[:5])}"
    if others:
        found += f"; the folder has {counted(len(others), 'PNG')} of other names, such as {others[0]}.png"
    elif not there:
        found += "; the folder has no PNG at all"
    remedy = _to_rename(missing, others)
    if not remedy and len(missing) == len(names):
        remedy = _to_choose(folder, missing[0], folders) or to_split(split, others)
    if not remedy:
        others_too = " and the others" if len(missing) > 1 else ""
        remedy = f"Write {folder / missing[0]}.png{others_too}, with the {what} of each pixel"
        if keep and len(missing) < len(names):
            remedy += f"; if mhp predict wrote this folder, complete it: {command(' --keep', folder)}"
        elif keep:
            remedy += ", or check the spelling of --pred"
        remedy += "."
    raise PredictionError(folder, found, "one PNG per image, named by its id", remedy)


def _content(folder: Path) -> tuple[set[str], list[str]]:
    """Return the names of the PNGs in a folder, without .png, and the first folders in it.

    Raises:
        PredictionError: the folder cannot be read.
    """
    names: set[str] = set()
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".png"):
                    names.add(entry.name.removesuffix(".png"))
                elif len(folders) < MOST_FOLDERS and entry.is_dir():
                    folders.append(entry.name)
    except FileNotFoundError:
        pass  # such as global_seg/, without which all images lack a PNG
    except OSError as error:
        remedy = to_read(error, folder, "Check the disk, or copy the folder to another one.")
        raise PredictionError(folder, unread(error), "a folder of PNGs", remedy) from error
    return names, sorted(folders)


def _to_rename(missing: Sequence[str], others: Sequence[str]) -> str:
    """Return the advice for PNGs whose names are the same numbers as those of missing images; "" for others."""
    numbers = {int(name): name for name in others if _is_number(name)}
    for name in missing:
        if _is_number(name) and int(name) in numbers:
            return f"Rename the PNGs to the names of the images: {numbers[int(name)]}.png to {name}.png."
    return ""


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 20


def _to_choose(folder: Path, name: str, folders: Sequence[str]) -> str:
    """Return the advice for predictions that are in a folder inside; "" if they are not."""
    files = f"{name}.png", RESULTS
    inside = [folder / one for one in folders if any((folder / one / file).is_file() for file in files)]
    return f"Pass the folder that contains the predictions: --pred {either(inside[:3])}." if inside else ""


def to_split(split: Split | None, others: Collection[str]) -> str:
    """Return the advice for predictions of another split.

    Args:
        split: the packed split; None if unknown.
        others: names of the images that have predictions and are not to be scored.

    Returns:
        The advice; "" if no other split has all these images.
    """
    if split is None or not others:
        return ""
    for name in split.manifest.splits:
        if name != split.name and set(others) <= set(split_names(split.manifest, name)):
            return f"Pass --split {name}, to which these predictions belong, or the predictions of {split.name}."
    return ""
