"""Threads: their number, an ordered parallel map, and the progress bar.

No result depends on scheduling: results come in the order of their arguments, whichever thread finishes first.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from tqdm import tqdm

from mhpdata.errors import OptionError
from mhpdata.kernels import compiling
from mhpdata.options import check_range
from mhpdata.pool import Pool
from mhpdata.task import Task

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def start_threads(option: str) -> Iterator[None]:
    """Raise OptionError for the option ``option`` where the system starts no more threads, as under ``ulimit -v``."""
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


class Line(Generic[Argument, Result]):
    """Work shared by several threads, which also consume the results, in the order of the arguments.

    The thread whose result is next consumes it, and any finished ones after it. So a result is consumed where it was
    made, while still in that core's cache: packing (``take`` writes and hashes a record) is 2 % faster than with a
    single consumer thread, which must be woken for each result and needs a core of its own.

    Args:
        function: Called with each argument, by any thread.
        arguments: The arguments, in order.
        take: Called with each argument and its result, in order, never twice at a time.
        ahead: Maximum number of results waiting or in progress.
    """

    def __init__(
        self,
        function: Callable[[Argument], Result],
        arguments: Iterable[Argument],
        take: Callable[[Argument, Result], None],
        ahead: int,
    ) -> None:
        self._function, self._arguments, self._take, self._ahead = function, enumerate(arguments), take, ahead
        self._made: dict[int, tuple[Argument, Future[Result]]] = {}
        self._begun = self._taken = 0
        self._taking = self._stopped = False
        self._change = threading.Condition()

    def work(self) -> None:
        """Work until nothing is left; each thread calls this.

        Raises:
            BaseException: What ``take`` raised, or ``function`` once its turn has come; it ends all threads' work.
        """
        try:
            while (begun := self._begin()) is not None:
                place, argument = begun
                future: Future[Result] = Future()
                try:
                    future.set_result(self._function(argument))
                except BaseException as error:
                    future.set_exception(error)  # raised in its turn: the error of the first argument counts
                self._end(place, argument, future)
        except BaseException:
            with self._change:
                self._stopped = True
                self._change.notify_all()
            raise

    def stop(self) -> None:
        """Begin nothing more; for a thread that does not take part in the work.

        This takes no lock, as an interrupt of the caller could leave it held. A thread that waits here waits for a
        working thread, which wakes it when it is done.
        """
        self._stopped = True

    def _begin(self) -> tuple[int, Argument] | None:
        """Return the next place and argument once there is room for a result; None at the end."""
        with self._change:
            self._change.wait_for(lambda: self._stopped or self._begun - self._taken < self._ahead)
            begun = None if self._stopped else next(self._arguments, None)
            self._begun += begun is not None
            return begun

    def _end(self, place: int, argument: Argument, future: Future[Result]) -> None:
        """Store a result, then consume all whose turn has come, unless another thread is doing that."""
        with self._change:
            self._made[place] = argument, future
            if self._taking:
                return
            self._taking = True
        while (made := self._next()) is not None:
            self._take(made[0], made[1].result())

    def _next(self) -> tuple[Argument, Future[Result]] | None:
        with self._change:
            made = None if self._stopped else self._made.pop(self._taken, None)
            self._taking = made is not None
            self._taken += self._taking
            self._change.notify_all()
            return made


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

    def in_turn(
        self,
        function: Callable[[Argument], Result],
        arguments: Iterable[Argument],
        take: Callable[[Argument, Result], None],
    ) -> None:
        """Call ``function`` on each argument and ``take`` with it and the result, in the arguments' order; see Line."""

        def taken(argument: Argument, result: Result) -> None:
            self._update()
            take(argument, result)

        line = Line(function, arguments, taken, self._ahead)
        try:
            for task in [self._pool.submit(line.work) for _ in range(self._workers)]:
                task.result()
        except BaseException:
            line.stop()
            self._pool.close()  # nothing may be taken once the error leaves here
            raise

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
