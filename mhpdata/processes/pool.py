"""A thread pool that survives KeyboardInterrupt at any point.

KeyboardInterrupt is raised in the main thread, after any call. The parts of ``threading`` and ``concurrent.futures``
written in Python (Thread.start and join, Event, Condition, Future) do not survive that: a lock stays held, and the
thread that waits for it never ends. So the user of a pool only does atomic things: start one raw thread, put into a
SimpleQueue, wait for a lock. The raw thread starts the others and waits for their end; no signal reaches it.

::

    the user's thread ── SimpleQueue ─> threads, one desk each ── a lock opens ─> the user's thread
          └ _oversee (a raw thread): start them, join them, drop what is left, open ``gone``

Threads end by state, not by counting end marks: when the pool is closed, or when nothing refers to it any more. A mark
in the queue wakes a thread, which puts it back for the next. The threads hold a weak reference to the pool. When it
dies, ``SimpleQueue.put`` itself queues the dead reference as the mark, so no interruptible Python code runs.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any

from mhpdata.errors import OptionError
from mhpdata.processes.task import Job, Result, Task, locked

Desk = Callable[[], AbstractContextManager[Any]]


class Pool:
    """Threads that run jobs in the order in which they are put; also a context manager, which closes the pool.

    Args:
        threads: Number of threads.
        name: Name of the threads, to which their number is appended.
        desk: Returns a context that each thread enters once; what it yields is passed to every job.
        ended: Returns the error to raise when an ended pool is used.

    Raises:
        RuntimeError: The system starts no more threads.
        BaseException: The error from ``ended()``, if the interpreter is shutting down.
    """

    def __init__(
        self,
        threads: int,
        name: str,
        desk: Desk = nullcontext,
        ended: Callable[[], BaseException] = lambda: RuntimeError("the pool of threads has ended"),
    ) -> None:
        self.process = os.getpid()
        self._shared = _Shared(self, ended)
        if sys.is_finalizing():  # for example in __del__ during shutdown: a thread would never run
            raise self.error
        _thread.start_new_thread(_oversee, (self._shared, threads, name, desk))
        with self._shared.started:
            pass
        if self._shared.failed:
            self._shared.wait()
            raise self.error

    @property
    def closed(self) -> bool:
        """Whether the pool is closed; waiting jobs are then dropped."""
        return self._shared.closed

    @property
    def error(self) -> BaseException:
        """The reason why the pool has ended: an error of its threads, or ``ended()``."""
        return self._shared.error or self._shared.ended()

    def put(self, job: Job) -> None:
        """Queue a job. Raise ``error`` if the pool has ended; the job may also be dropped later."""
        # this order needs no lock: a job put before the pool is closed comes before the end mark
        self._shared.jobs.put(job)
        if self._shared.closed:
            raise self.error

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Task[Result]:
        """Queue a function call. Raise ``error`` if the pool has ended."""
        task = Task(function, *arguments)
        self.put(task)
        return task

    def close(self) -> None:
        """Drop waiting jobs; wait for the running ones and for the threads to end.

        In a forked child, which has none of these threads, do nothing; in one of these threads, do not wait.
        """
        if self.process == os.getpid():
            self._shared.end()
            self._shared.wait()

    def finish(self) -> None:
        """Run the waiting jobs, then close; the caller must put no more."""
        self._shared.jobs.put(None)
        self._shared.wait()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is GeneratorExit:  # in a finaliser, where an interrupt during the wait would be lost
            self._shared.end()
        else:
            self.close()


class _Shared:
    """The pool state that its threads share."""

    def __init__(self, pool: Pool, ended: Callable[[], BaseException]) -> None:
        self.process, self.ended = pool.process, ended
        self.jobs: SimpleQueue[Any] = SimpleQueue()
        self.pool = weakref.ref(pool, self.jobs.put)
        self.closed = False
        self.error: BaseException | None = None
        self.threads: set[int] = set()
        self.failed = False
        self.started, self.gone = locked(), locked()

    def end(self, error: BaseException | None = None) -> None:
        """Close the pool and wake its threads; may be called again, also after an interrupt."""
        self.error = self.error or error
        self.closed = True
        self.jobs.put(None)

    def wait(self) -> None:
        """Wait for all threads to end; does nothing in one of them, where the garbage collector may close a pool."""
        if _thread.get_ident() not in self.threads:
            with self.gone:
                pass


_OPEN: set[_Shared] = set()
"""Pools whose threads run; atexit closes them. The threads are daemons, so an open pool does not keep a program from
ending."""


def _oversee(shared: _Shared, threads: int, name: str, desk: Desk) -> None:
    """Start the threads and wait for their end; runs in the raw thread."""
    shared.threads.add(_thread.get_ident())
    _OPEN.add(shared)
    started: list[threading.Thread] = []
    try:
        for i in range(threads):
            thread = threading.Thread(target=_work, args=(shared, desk), daemon=True, name=f"{name}-{i}")
            thread.start()
            started.append(thread)
    except BaseException as error:
        shared.failed = True
        shared.end(error)
    shared.started.release()
    for thread in started:
        thread.join()
    shared.closed = True  # before the rest is dropped: later puts raise
    while (job := _next(shared.jobs)) is not None:
        if job is not shared.pool:
            job.drop(shared.error or shared.ended())
    _OPEN.discard(shared)
    shared.gone.release()


def _next(jobs: SimpleQueue[Any]) -> Any:
    """Return the next job or dead reference, skipping end marks; None at the end."""
    try:
        while (job := jobs.get_nowait()) is None:
            pass
        return job
    except Empty:
        return None


def _work(shared: _Shared, desk: Desk) -> None:
    """Run jobs until the end mark; runs in each thread."""
    shared.threads.add(_thread.get_ident())
    try:
        with desk() as mine:
            while (job := shared.jobs.get()) is not None and job is not shared.pool:
                if shared.closed or shared.pool() is None:
                    job.drop(shared.error or shared.ended())
                else:
                    job.run(mine)
                del job  # release it while the thread waits for the next
    except BaseException as error:  # from the desk: waiting jobs are dropped with it
        shared.end(error)
    shared.jobs.put(None)  # pass the end mark on


def _close_all() -> None:
    mine = [shared for shared in list(_OPEN) if shared.process == os.getpid()]
    for shared in mine:  # all of them first: a thread of one may wait for a job of another
        shared.end()
    for shared in mine:
        shared.wait()


atexit.register(_close_all)


def ended() -> OptionError:
    """Return the error of an iterator invalidated by ``close``, a newer iterator, or another epoch or state."""
    remedy = "Open a second Loader to iterate twice at once, or a new one after close()."
    found = "this iterator was ended by a newer one, close(), set_epoch() or load_state_dict()"
    return OptionError("mhpdata.Loader", found, "one iteration at a time", remedy)
