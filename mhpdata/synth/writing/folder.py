"""Write a synthetic dataset in the form of a release or of a dataset of one's own: lists, images, masks.

All files go to a folder with a temporary name (mhpdata.synth.writing.unfinished), which is renamed when it is complete.
A pool of processes makes the images independently of each other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mhpdata.errors import OptionError, OutputError
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.options import check_choice, check_path, check_range
from mhpdata.processes.parent import end_with_parent
from mhpdata.processes.threads import hidden, single_threaded_opencv, usable_cores
from mhpdata.synth.writing.defects import DEFECTS
from mhpdata.synth.writing.entry import write_image
from mhpdata.synth.writing.forms import FORMS, V1
from mhpdata.synth.writing.unfinished import MARKER, unfinished
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME
from mhpdata.wording import why, writing

_AGAIN = "run the same command again: it starts from scratch"
LARGEST_ID = 9999


@dataclass(frozen=True)
class Synthesized:
    """Result of ``synthesize``: folder, number of images and persons per list or split, duration in seconds."""

    folder: Path
    images: dict[str, int]
    persons: dict[str, int]
    seconds: float


def _begin_worker() -> None:
    from mhpdata.opencv import cv2

    hold_standard()
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)


def _make_all(
    folder: Path, seed: int, scale: float, images: int, workers: int, progress: bool, layout: str
) -> list[int]:
    """Make all images; return the number of persons of each, in order of id."""
    from tqdm import tqdm

    make = partial(write_image, folder, seed, scale, layout, images)
    bar = partial(tqdm, total=images, unit="image", disable=hidden(progress))
    if workers == 1:
        with single_threaded_opencv():
            return list(bar(map(make, range(1, images + 1))))
    spawn = multiprocessing.get_context("spawn")
    # single_threaded_opencv imports OpenCV here, so a broken one is a clear error, not a broken process pool
    with single_threaded_opencv(), ProcessPoolExecutor(workers, spawn, _begin_worker) as pool:
        try:
            return list(bar(pool.map(make, range(1, images + 1), chunksize=4)))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _add_defects(folder: Path, seed: int, scale: float, images: int) -> None:
    """Add one entry per defect, with new ids at the end of train_list; DEFECTS.txt lists them."""
    done = []
    with single_threaded_opencv():
        for k, (name, spoil) in enumerate(DEFECTS.items()):
            index = images  # the last image of test_list, the list whose line ends change
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
        out: Folder to make: new, or empty.
        images: Number of images, divided into splits in the proportion of the release.
        seed: Seed of the dataset; the same seed gives the same bytes with any number of workers.
        workers: Number of processes; None for one per core that this process may use. More than one requires that the
            calling script can be imported (``if __name__ == "__main__":``).
        defects: Add one entry per defect, see ``defects.DEFECTS``.
        progress: Show a bar, if standard error is a terminal.
        scale: Factor on the height and width of all images.
        layout: Form of the dataset, a key of ``forms.FORMS``. The same seed gives the same scenes in all forms.

    Returns:
        Folder, counts and duration; entries with defects are not counted.

    Raises:
        OptionError: An argument is out of range.
        OutputError: ``out`` is not empty, or another command is writing there, or the disk is full or read-only.
    """
    workers = workers if workers is not None else usable_cores()
    _check(images, seed, workers, scale, defects, layout)
    form = FORMS[layout]
    start = time.perf_counter()
    final = check_path("out", out).absolute()
    hold_standard()  # for all files of the dataset
    with writing(final, _AGAIN), unfinished(final, form) as folder:
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
            found = f"the finished dataset cannot be moved here ({why(error)})"
            raise OutputError(final, found, "", f"Move {folder} to {final}.") from error
    counts = {name: len(chosen) for name, chosen in indices.items()}
    people = {name: sum(persons[index - 1] for index in chosen) for name, chosen in indices.items()}
    return Synthesized(final, counts, people, time.perf_counter() - start)
