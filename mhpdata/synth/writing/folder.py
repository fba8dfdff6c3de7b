"""Write a synthetic dataset in the form of LV-MHP v1, LV-MHP v2 or CIHP: lists, photos, masks.

Rule: nothing half-written under its final name. Everything goes into a folder of a temporary name
(mhpdata.filesystem.atomic), which is renamed when it is complete; a rerun after an interruption starts from scratch.
Images are made by a pool of processes, each image alone.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from mhpdata.errors import OptionError, OutputError
from mhpdata.filesystem.atomic import part_of
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.filesystem.ours import head, in_the_way, is_folder, remove
from mhpdata.options import check_choice, check_path, check_range
from mhpdata.synth.writing.defects import DEFECTS
from mhpdata.synth.writing.entry import write_image
from mhpdata.synth.writing.forms import FORMS, V1, Form
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME
from mhpdata.threads import hidden, single_threaded_opencv, usable_cores
from mhpdata.wording import why, writing

_ANEW = "run the same command again: it starts anew"
MARKER = ".mhp-synth"
"""Says that an unfinished folder is ours to remove."""
_LIST = r"(train_list|test_list|train|val|test_all|test_inter_top[0-9]+|train_id|val_id|test_id|DEFECTS|SYNTHETIC)\.txt"
_FILE = re.compile(rf"[0-9_]+\.(jpg|png|mat)|{_LIST}")
"""The names of files in a dataset."""
LARGEST_ID = 9999


@dataclass(frozen=True)
class Synthesized:
    """What was written: the folder, images and persons by list or split, and the seconds it took."""

    folder: Path
    images: dict[str, int]
    persons: dict[str, int]
    seconds: float


def _one_thread() -> None:
    from mhpdata.opencv import cv2

    hold_standard()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _make_all(
    folder: Path, seed: int, scale: float, images: int, workers: int, progress: bool, layout: str
) -> list[int]:
    """Persons of each image, in order of id."""
    from tqdm import tqdm

    make = partial(write_image, folder, seed, scale, layout, images)
    bar = partial(tqdm, total=images, unit="image", disable=hidden(progress))
    if workers == 1:
        with single_threaded_opencv():
            return list(bar(map(make, range(1, images + 1))))
    spawn = multiprocessing.get_context("spawn")
    # a broken OpenCV is an error here, and not one of a pool whose processes have ended
    with single_threaded_opencv(), ProcessPoolExecutor(workers, spawn, _one_thread) as pool:
        try:
            return list(bar(pool.map(make, range(1, images + 1), chunksize=4)))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _new_partial(out: Path, form: Form) -> Path:
    """Make an empty folder beside ``out``, of its temporary name, once both are known to be free."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        remedy = f"Choose another --out, or remove {out} if it is no longer needed."
        raise OutputError(out, "exists and is not empty", "a new name or an empty folder", remedy)
    folder = part_of(out)
    for left in (folder, out.with_name(f"{out.name}.partial")):  # the second is 0.1's name
        if is_folder(left) and head(left / MARKER, 1) is not None:
            _remove_partial(left)
    if folder.exists() or folder.is_symlink():
        remedy = f"Move {folder.name} away, or choose another --out."
        raise OutputError(folder, "exists and was not made by mhp-synth", "", remedy)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    for name in form.folders:
        (folder / name).mkdir(parents=True)
    return folder


def _remove_partial(folder: Path) -> None:
    """Remove what an interrupted run left: the folders and files of any form. OutputError where it holds more."""
    known = {MARKER} | {parent for form in FORMS.values() for name in form.folders for parent in _way(name)}
    held = list(folder.rglob("*"))
    for path in held:
        name = path.relative_to(folder).as_posix()
        file = _FILE.fullmatch(path.name) and str(PurePath(name).parent) in {".", *known} and path.is_file()
        if path.is_symlink() or not (name in known or file):
            raise in_the_way(path, "or choose another --out")
    for path in sorted(held, reverse=True):  # what a folder holds comes before it
        if path.name != MARKER:
            path.rmdir() if path.is_dir() else path.unlink()
    remove(folder, [folder / MARKER])  # last: it says whose folder this is


def _way(name: str) -> list[str]:
    """A folder and those that it is in, as names below the dataset."""
    return [name, *(str(parent) for parent in PurePath(name).parents if parent != PurePath())]


def _add_defects(folder: Path, seed: int, scale: float, images: int) -> None:
    """One broken entry of each kind, under new ids at the end of train_list; DEFECTS.txt tells which."""
    done = []
    with single_threaded_opencv():
        for k, (name, spoil) in enumerate(DEFECTS.items()):
            index = images  # the last image of test_list: for the line ends of that list
            if name != "list-crlf":
                index = images + 1 + k
                write_image(folder, seed, scale, V1, images, index)
                with (folder / "train_list.txt").open("a", encoding="ascii", newline="\n") as lines:
                    lines.write(f"{index:04d}.jpg\n")
            spoil(folder, index, np.random.default_rng([seed, index, 4]))
            done.append(f"{name} {index:04d}\n")
    (folder / "DEFECTS.txt").write_text("".join(done), encoding="ascii", newline="\n")


def _check(images: int, seed: int, workers: int, scale: float, defects: bool, layout: str) -> None:
    check_choice("layout", layout, tuple(FORMS))
    if defects and layout != V1:
        remedy = f"Omit defects, or choose layout {V1}."
        raise OptionError("defects", f"with layout {layout}", f"layout {V1}", remedy)
    check_range("images", images, 1, LARGEST_ID - (len(DEFECTS) if defects else 0))  # ids have four digits
    check_range("seed", seed, 0, 1 << 62)
    check_range("workers", workers, 1, 4096)
    if not 0.05 <= scale <= 4:
        remedy = "Pass 0.05 for the smallest images, 1 for the usual size, 4 for the largest."
        raise OptionError("scale", f"{scale}", "a number from 0.05 to 4", remedy)


def synthesize(
    out: str | os.PathLike[str],
    images: int = 240,
    seed: int = 0,
    workers: int | None = None,
    defects: bool = False,
    progress: bool = False,
    scale: float = 1.0,
    layout: str = V1,
) -> Synthesized:
    """Write a synthetic dataset in the form of a release.

    Args:
        out: folder to make; must not exist or be empty.
        images: how many; split in the proportion of the release.
        seed: of the dataset; the same seed gives the same bytes on any number of workers.
        workers: processes; None: one for each core this process may use. More than one needs a caller that can be
            imported (``if __name__ == "__main__":``).
        defects: add one entry for each kind of broken file, see ``defects.DEFECTS``.
        progress: show a bar, if standard error is a terminal.
        scale: factor on the height and width of all images.
        layout: the form, of ``forms.FORMS``. The same seed shows the same scenes in all of them.

    Returns:
        What was written; defective entries are not counted.

    Raises:
        OptionError: an argument out of range.
        OutputError: ``out`` is in use, or the disk is full or read-only.
    """
    workers = workers if workers is not None else usable_cores()
    _check(images, seed, workers, scale, defects, layout)
    form = FORMS[layout]
    start = time.perf_counter()
    final = check_path("out", out).absolute()
    hold_standard()  # for all files of the dataset
    with writing(final, _ANEW):
        folder = _new_partial(final, form)
        persons = _make_all(folder, seed, scale, images, workers, progress, layout)
        indices = form.split(images)
        form.lists(folder, {name: [form.id_of(index) for index in chosen] for name, chosen in indices.items()})
        if defects:
            _add_defects(folder, seed, scale, images)
        (folder / SYNTHETIC_NAME).write_text(f"{SYNTHETIC}\n", encoding="ascii", newline="\n")
        (folder / MARKER).unlink()
    try:
        folder.replace(final)
    except OSError as error:
        found = f"cannot be put in place ({why(error)})"
        raise OutputError(final, found, "", f"The dataset is whole: move {folder} to {final}.") from error
    counts = {name: len(chosen) for name, chosen in indices.items()}
    people = {name: sum(persons[index - 1] for index in chosen) for name, chosen in indices.items()}
    return Synthesized(final, counts, people, time.perf_counter() - start)
