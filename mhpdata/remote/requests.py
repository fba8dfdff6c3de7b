"""Run requests on threads of this process, so that up to ``THREADS`` of them are under way and Ctrl-C ends a wait."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from mhpdata.processes.pool import Pool
from mhpdata.processes.task import Result, Task

THREADS = 32


class _Threads:
    """The threads of a process; a forked child starts its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: Pool | None = None


_threads = _Threads()


def _after_fork() -> None:
    global _threads
    _threads = _Threads()


os.register_at_fork(after_in_child=_after_fork)


def submit(function: Callable[..., Result], *arguments: Any) -> Task[Result]:
    """Run a function of requests on one of the threads. It must not wait for another one that is submitted."""
    with _threads.lock:
        if _threads.pool is None:
            _threads.pool = Pool(THREADS, "mhp-remote")
        return _threads.pool.submit(function, *arguments)


def stopped() -> bool:
    """Return whether this process is ending, so that no request need be tried again."""
    return _threads.pool is not None and _threads.pool.closed
