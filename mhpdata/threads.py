"""Threads: how many, a map that runs on several and yields in order, and the bar that shows how far they are.

Nothing that this module schedules may depend on it: results come in the order of their arguments, whoever is done
first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from mhpdata.options import check_range

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    pool: Executor, function: Callable[[Argument], Result], arguments: Iterable[Argument], ahead: int
) -> Iterator[tuple[Argument, Future[Result]]]:
    """Run ``function`` on each argument in the pool; yield (argument, its finished future) in the arguments' order.

    At most ``ahead`` results wait or are being made. Closing the iterator cancels what has not begun.
    """
    waiting: deque[tuple[Argument, Future[Result]]] = deque()
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
            argument, future = waiting.popleft()
            future.exception()  # waits; the caller takes the result or the error
            yield argument, future
    finally:
        for _, future in waiting:
            future.cancel()


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """OpenCV starts no threads of its own inside; with ours on every core they would only be in each other's way."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class Crew:
    """Threads that work and a bar that shows how far they are."""

    def __init__(self, pool: ThreadPoolExecutor, bar: tqdm, ahead: int) -> None:
        self._pool, self._bar, self._ahead = pool, bar, ahead

    def skip(self, count: int) -> None:
        """Show so many pieces as done already; they do not count for the rate."""
        self._bar.initial = count
        self._bar.update(count)

    def each(self, function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
        """The results of ``function``, in the order of its arguments; only a few wait at any time."""
        for _, future in in_order(self._pool, function, arguments, self._ahead):
            self._bar.update()
            yield future.result()


@contextmanager
def crew(total: int, unit: str, workers: int | None, progress: bool) -> Iterator[Crew]:
    """Threads for ``total`` pieces of work.

    Args:
        total: how many pieces.
        unit: what a piece is called on the bar.
        workers: threads; None for one a core.
        progress: show a bar, where stderr is a terminal.

    Raises:
        OptionError: ``workers`` outside 1..4096.
    """
    workers = usable_cores() if workers is None else workers
    check_range("workers", workers, 1, 4096)
    hidden = None if progress else True  # None: no bar where stderr is not a terminal
    with (
        tqdm(total=total, unit=f" {unit}", smoothing=0.05, disable=hidden) as bar,
        single_threaded_opencv(),
        ThreadPoolExecutor(workers) as pool,
    ):
        yield Crew(pool, bar, 4 * workers)
