"""Threads: how many, and a map that runs on several and yields in order.

Nothing that this module schedules may depend on it: results come in the order of their arguments, whoever is done first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TypeVar

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
