"""Convert one block of a pack, in a process that converts others of it, too: what a Dask worker runs.

Argument and result are small: paths and options, and a few numbers. The records go straight to the folder of parts, so
a worker that is lost after a block costs nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple

from mhpdata.options import Folder
from mhpdata.packing.pack import RESUME, Choices, below, open_run
from mhpdata.packing.run import Run
from mhpdata.packing.tasks.parts import Parts
from mhpdata.packing.tasks.plan import blocks_of
from mhpdata.packing.tasks.work import begin_parts, is_packed, write_blocks
from mhpdata.wording import writing


@dataclass(frozen=True)
class Job:
    """A pack whose blocks are converted one by one.

    Attributes:
        ticket: Identifies this call: a process scans the source once for each.
        src, out: Absolute paths, the same on all machines, or addresses.
        choices: Further arguments of the pack.
        blocks: Number of its blocks.
    """

    ticket: str
    src: Folder
    out: Folder
    choices: Choices
    blocks: int


class Outcome(NamedTuple):
    """Result of a block: its number, its entries, and how many of these it skipped in this call."""

    number: int
    entries: int
    skipped: int


_opened: dict[str, tuple[Run, Parts]] = {}
_opening = threading.Lock()


def convert_block(job: Job, number: int) -> Outcome:
    """Convert a block of a job, unless it has a valid part.

    Raises:
        MhpError: As ``pack_task`` does.
    """
    run, parts = _open(job)
    with below(job.src), writing(job.out, RESUME):
        block = blocks_of(len(run.source.entries))[number]
        if is_packed(run, parts, block, run.source.entries):
            return Outcome(number, block.stop - block.start, 0)
        return Outcome(number, block.stop - block.start, write_blocks(run, parts, [block], job.blocks, map))


def _open(job: Job) -> tuple[Run, Parts]:
    """Scan the source of a job and check its parts; keep both until another job comes."""
    with _opening:
        if job.ticket not in _opened:
            from mhpdata.opencv import cv2

            cv2.setNumThreads(1)  # a worker has as many threads of its own as it may use
            with open_run(job.src, job.out, job.choices, lock=False) as run:
                _opened.clear()
                _opened[job.ticket] = run, begin_parts(run, job.blocks)
        return _opened[job.ticket]
