"""Threads: their number, an ordered parallel map, and the progress bar.

No result depends on scheduling: results come in the order of their arguments, whichever thread finishes first.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from mhpdata.errors import OptionError
from mhpdata.kernels import compiling
from mhpdata.options import check_range
from mhpdata.processes.pool import Pool
from mhpdata.processes.task import Task

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def start_threads(option: str) -> Iterator[None]:
    """Raise OptionError for ``option`` if the system refuses to start more threads, as with a low ``ulimit -v``."""
    try:
        yield
    except RuntimeError as error:
        remedy = "Pass a smaller number, or allow the process more memory (ulimit -v) and threads (ulimit -u)."
        raise OptionError(option, "more threads than the system allows", "fewer", remedy) from error


def in_order(
    pool: Pool | Executor, function: Callable[[Argument], Result], arguments: Iterable[Argument], ahead: int
) -> Iterator[tuple[Argument, Task[Result] | Future[Result]]]:
    """Run ``function`` on each argument in the pool; yield (argument, its finished task) in the arguments' order.

    At most ``ahead`` results are waiting or in progress. Closing the iterator cancels calls that have not begun.
    """
    waiting: deque[tuple[Argument, Task[Result] | Future[Result]]] = deque()
    source = iter(arguments)
    try:
        while True:
            while len(waiting) < ahead:
                try:
                    argument = next(source)
                except StopIteration:
                    break
                waiting.append((argument, pool.submit(function, argument)))
            if not waiting:
                return
            argument, task = waiting.popleft()
            task.exception()  # waits; the caller takes the result or the error
            yield argument, task
    finally:
        for _, task in waiting:
            task.cancel()


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads inside the context: ours already use every core."""
    from mhpdata.opencv import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class Crew:
    """Worker threads with a progress bar."""

    def __init__(self, pool: Pool, workers: int, bar: tqdm) -> None:
        self._pool, self._workers, self._bar, self._ahead = pool, workers, bar, 4 * workers
        self._compiled = compiling.seconds()

    def skip(self, count: int) -> None:
        """Show ``count`` pieces as already done, without counting them in the rate."""
        self._bar.initial = count
        self._bar.update(count)

    def each(self, function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
        """Yield the results of ``function`` in the order of its arguments; only a few wait at any time."""
        for _, task in in_order(self._pool, function, arguments, self._ahead):
            self._update()
            yield task.result()

    def _update(self) -> None:
        """Advance the bar by one; time spent compiling kernels counts neither for the rate nor for the time left."""
        before, self._compiled = self._compiled, compiling.seconds()
        if not self._bar.disable and self._compiled > before:
            self._bar.start_t += self._compiled - before
            self._bar.last_print_t = min(self._bar.last_print_t + self._compiled - before, time.time())
        self._bar.update()


def hidden(progress: bool) -> bool | None:
    """Return tqdm's ``disable``: None (a bar if stderr is a terminal), or True if no bar is wanted or stderr is
    closed."""
    return None if progress and sys.stderr is not None else True


@contextmanager
def crew(total: int, unit: str, workers: int | None, progress: bool) -> Iterator[Crew]:
    """Open worker threads for ``total`` pieces of work.

    Args:
        total: Number of pieces.
        unit: Name of a piece, shown on the bar.
        workers: Number of threads, 1..4096; None for one per core.
        progress: Show a bar if stderr is a terminal.

    Raises:
        OptionError: ``workers`` is outside 1..4096, or more than the system starts.
    """
    workers = usable_cores() if workers is None else workers
    check_range("workers", workers, 1, 4096)
    with start_threads("workers"):
        pool = Pool(workers, "mhp-crew")
    with (
        tqdm(total=total, unit=f" {unit}", smoothing=0.05, disable=hidden(progress)) as bar,
        single_threaded_opencv(),
        pool,
    ):
        yield Crew(pool, workers, bar)
