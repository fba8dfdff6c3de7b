"""The threads that make batches, sample by sample, and how they end.

They end when the iteration does, by exhaustion, break or exception, and at the interpreter's exit. A forked child has
none: whoever iterates there compares ``process`` and makes its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from mhpdata import render
from mhpdata.errors import OptionError
from mhpdata.region import Reading


@dataclass
class Step:
    """A batch in the making: its arrays, who comes into it, how many samples are not done, and whether the iteration
    ended before."""

    arrays: list[np.ndarray]
    samples: np.ndarray
    keys: np.ndarray
    draws: np.ndarray
    epoch: int
    consumed: int
    left: int
    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)
    dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    ready: threading.Event = field(default_factory=threading.Event)


Desk = tuple[Reading, render.DrawScratch]
"""What one thread works with."""
Fill = Callable[[Step, int, Reading, render.DrawScratch], None]


class Makers:
    """The threads of one iteration, one for each desk; ``fill`` makes one sample of a step."""

    def __init__(self, desks: list[Desk], fill: Fill) -> None:
        self.process = os.getpid()
        self._jobs: SimpleQueue[tuple[Step, int] | None] = SimpleQueue()
        self._closed, self._lock = False, threading.Lock()
        # daemons, closed by atexit: an iteration that was left open never keeps the interpreter from ending
        self._threads = [
            threading.Thread(
                target=_work, args=(weakref.ref(self), self._jobs, fill, *desk), daemon=True, name=f"mhp-loader-{i}"
            )
            for i, desk in enumerate(desks)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # the system gives no more
            self._threads = [thread for thread in self._threads if thread.ident is not None]
            self.close()
            raise
        _OPEN.add(self)

    def begin(self, step: Step) -> None:
        """Have a batch made. Raises OptionError where the iteration was ended."""
        with self._lock:
            if self._closed:
                raise ended()
            for i in range(len(step.samples)):
                self._jobs.put((step, i))

    @property
    def closed(self) -> bool:
        """Work that is still waiting is not begun; whoever waits for it gets an error."""
        return self._closed

    def close(self) -> None:
        """Wait for the samples that are being made, and end the threads."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._threads = []


def _work(
    crew: weakref.ref[Makers],
    jobs: SimpleQueue[tuple[Step, int] | None],
    fill: Fill,
    reading: Reading,
    scratch: render.DrawScratch,
) -> None:
    while (job := jobs.get()) is not None:
        owner, (step, i) = crew(), job
        try:
            if owner is None or owner.closed:
                step.dropped = True
            else:
                del owner
                fill(step, i, reading, scratch)
        except BaseException as error:  # whatever it is, it belongs to whoever takes the batch
            step.errors[i] = error
        with step.lock:
            step.left -= 1
            done = step.left == 0
        if done:
            step.ready.set()
        del job, step


def ended() -> OptionError:
    """For whoever asks an iteration for more that another one, or ``close``, has ended."""
    remedy = "Open a second Loader for a loop beside another, or a new one after close()."
    found, expected = "this iteration was ended, by another one or by close()", "one iteration at a time"
    return OptionError("mhpdata.Loader", found, expected, remedy)


_OPEN: weakref.WeakSet[Makers] = weakref.WeakSet()


def _close_all() -> None:
    for crew in list(_OPEN):
        if crew.process == os.getpid():
            crew.close()


atexit.register(_close_all)
