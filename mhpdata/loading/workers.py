"""The threads that make batches, sample by sample, and how they end.

They end before the last batch is handed out, with an exception and at the interpreter's exit. When the iteration is
left, they end by themselves, as soon as their samples are made (``mhpdata.pool``). A forked child has none: an
iteration there compares ``process`` and makes its own.
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
from mhpdata.pool import Pool, ended
from mhpdata.task import locked
from mhpdata.threads import start_threads

Desk = tuple[Reading, DrawScratch]
"""Per-thread buffers."""


@dataclass
class Step:
    """A batch in the making.

    Attributes:
        arrays: of the batch.
        turn: which samples, and their random draws.
        left: how many samples are not done.
        boxes, errors: by the sample's place in the batch.
        dropped: the iteration ended before all samples were made.
        ready: opened when no sample is left.
    """

    arrays: list[np.ndarray]
    turn: Turn
    left: int
    boxes: dict[int, np.ndarray] = field(default_factory=dict)
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


Fill = Callable[[Step, int, Reading, DrawScratch], None]


class _Sample(NamedTuple):
    """The job of making sample i of a step."""

    fill: Fill
    step: Step
    i: int

    def run(self, desk: Desk) -> None:
        try:
            self.fill(self.step, self.i, *desk)
        except BaseException as error:  # re-raised in the consumer
            self.step.errors[self.i] = error
        self.step.count()

    def drop(self, error: BaseException) -> None:
        self.step.dropped = True
        self.step.count()


class Makers:
    """The threads of one iteration.

    The iteration alone holds on to them: when it is gone, they end. They refer to the loader only by the samples that
    they have still to make.

    Args:
        threads: how many.
        desks: unused buffers, which they take and bring back; never two threads have the same.
        fill: makes one sample of a step.
    """

    def __init__(self, threads: int, desks: deque[Desk], fill: Fill) -> None:
        self._fill = fill
        with start_threads("threads"):
            self._pool = Pool(threads, "mhp-loader", partial(_desk, desks), ended)
        self.process = self._pool.process

    def begin(self, step: Step) -> None:
        """Have a batch made. Raises OptionError where the iteration was ended."""
        if not step.left:
            step.ready.release()
        for i in range(step.left):
            self._pool.put(_Sample(self._fill, step, i))

    def wait(self, step: Step) -> None:
        """Wait until all samples of a step are done. Raises OptionError where the iteration was ended."""
        with step.ready:
            if step.dropped or self._pool.closed:
                raise self._pool.error

    @property
    def closed(self) -> bool:
        """Work that is still waiting is not begun; who waits for it gets an error."""
        return self._pool.closed

    def close(self) -> None:
        """Wait for the samples that are being made, and end the threads."""
        self._pool.close()


@contextmanager
def _desk(desks: deque[Desk]) -> Iterator[Desk]:
    """A thread's own buffers: kept from epoch to epoch, since in new memory every page must be faulted in again."""
    try:
        desk = desks.pop()
    except IndexError:
        desk = Reading(), DrawScratch()
    try:
        yield desk
    finally:
        desks.append(desk)
