"""Units of work for the threads of a pool (mhpdata.processes.pool), and how another thread waits for them."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

Result = TypeVar("Result")


def locked() -> _thread.LockType:
    """Return a lock that another thread will open: ``with lock: pass`` waits for that, and leaves it open."""
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


class Job(Protocol):
    """A unit of work for a pool's thread. Exactly one of its methods is called, once; neither may raise."""

    def run(self, desk: Any) -> None:
        """Do the work, with what the thread's desk provided."""

    def drop(self, error: BaseException) -> None:
        """Record that the pool has ended before this job's turn; ``error`` says why."""


class Task(Generic[Result]):
    """A function call as a job, as returned by ``Pool.submit``."""

    def __init__(self, function: Callable[..., Result], *arguments: Any) -> None:
        self._function, self._arguments = function, arguments
        self._error: BaseException | None = None
        self._cancelled = False
        self._done = locked()

    def run(self, desk: Any) -> None:
        """See Job."""
        try:
            if not self._cancelled:
                self._result = self._function(*self._arguments)
        except BaseException as error:
            self._error = error
        del self._function, self._arguments  # they may be large, and the result may wait long
        self._done.release()

    def drop(self, error: BaseException) -> None:
        """See Job."""
        self._error = error
        self._done.release()

    def cancel(self) -> None:
        """Skip the call if its turn has not come yet; the result must not be requested afterwards."""
        self._cancelled = True

    def exception(self) -> BaseException | None:
        """Wait for the end; return the error that the call raised, or None."""
        with self._done:
            return self._error

    def result(self) -> Result:
        """Wait for the end; return what the call returned, or raise what it raised."""
        error = self.exception()
        if error is not None:
            raise error
        return self._result
