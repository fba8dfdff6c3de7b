"""Run the threads that make batches, sample by sample.

The threads end before the last batch is handed out, on an exception, and at the interpreter's exit. If the iteration is
abandoned, they end by themselves after their current samples (``mhpdata.processes.pool``). A forked child has no
threads: an iteration there compares ``process`` and starts its own.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from mhpdata.drawing.scratch import DrawScratch
from mhpdata.loading.plan import Turn
from mhpdata.loading.region import Reading
from mhpdata.processes.pool import Pool, ended
from mhpdata.processes.task import locked
from mhpdata.processes.threads import start_threads

Desk = tuple[Reading, DrawScratch]
"""Per-thread buffers."""


@dataclass
class Draft:
    """Batch in progress, whose samples are being made.

    Attributes:
        arrays: Arrays of the batch.
        turn: Samples of the batch, and their random draws.
        left: Number of samples that are not done.
        boxes, masks, errors: Persons' boxes and masks, and errors of samples, by position in the batch.
        dropped: Whether the iteration ended before all samples were made.
        ready: Lock that is released when no sample is left.
    """

    arrays: list[np.ndarray]
    turn: Turn
    left: int
    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)
    dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: _thread.LockType = field(default_factory=locked)

    def count(self) -> None:
        """Note that one more sample is done."""
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.ready.release()


Fill = Callable[[Draft, int, Reading, DrawScratch], None]


class _Sample(NamedTuple):
    """Task of making sample i of a batch."""

    fill: Fill
    draft: Draft
    i: int

    def run(self, desk: Desk) -> None:
        try:
            self.fill(self.draft, self.i, *desk)
        except BaseException as error:  # re-raised in the consumer
            self.draft.errors[self.i] = error
        self.draft.count()

    def drop(self, error: BaseException) -> None:
        self.draft.dropped = True
        self.draft.count()


class Makers:
    """Threads of one iteration.

    Only the iteration refers to them: when it is gone, they end. They refer to the loader only through the samples that
    are still to be made.

    Args:
        threads: Number of threads.
        desks: Unused per-thread buffers; each thread takes one and returns it when it ends.
        fill: Function that makes one sample of a batch.
    """

    def __init__(self, threads: int, desks: deque[Desk], fill: Fill) -> None:
        self._fill = fill
        with start_threads("threads"):
            self._pool = Pool(threads, "mhp-loader", partial(_desk, desks), ended)
        self.process = self._pool.process

    def begin(self, draft: Draft) -> None:
        """Start making a batch. Raise OptionError if the iteration was ended."""
        if not draft.left:
            draft.ready.release()
        for i in range(draft.left):
            self._pool.put(_Sample(self._fill, draft, i))

    def wait(self, draft: Draft) -> None:
        """Wait until all samples of a batch are done. Raise OptionError if the iteration was ended."""
        with draft.ready:
            if draft.dropped or self._pool.closed:
                raise self._pool.error

    @property
    def closed(self) -> bool:
        """Whether the threads were ended; tasks that had not begun are dropped, and waiting for them raises."""
        return self._pool.closed

    def close(self) -> None:
        """Wait for the samples in progress, and end the threads."""
        self._pool.close()


@contextmanager
def _desk(desks: deque[Desk]) -> Iterator[Desk]:
    """Lend a thread its buffers, which are kept from epoch to epoch, since new memory costs a page fault per page."""
    try:
        desk = desks.pop()
    except IndexError:
        desk = Reading(), DrawScratch()
    try:
        yield desk
    finally:
        desks.append(desk)
