"""A pool of threads that Ctrl-C can neither hinder from starting nor lose.

KeyboardInterrupt is raised in the main thread, after any call. What ``threading`` and ``concurrent.futures`` do in
Python (Thread.start and join, Event, Condition, Future) does not survive that: a lock stays held, and the thread that
waits for it never ends. So the user of a pool only does what either happens or does not: start one raw thread, put
into a SimpleQueue, wait for a lock. The raw thread starts the others and waits for their end; no signal reaches it.

::

    the user's thread ── SimpleQueue ─> threads, one desk each ── a lock opens ─> the user's thread
          └ _oversee (a raw thread): start them, join them, drop what is left, open ``gone``

Threads end by state, not by a count of end marks: when the pool is closed, or when nobody refers to it any more. One
mark in the queue wakes a thread, which puts it back for the next. The threads refer to the pool weakly, and the mark of
its death is the dead reference itself, put there by ``SimpleQueue.put``: no Python code runs that could be interrupted.
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
from mhpdata.task import Job, Result, Task, locked

Desk = Callable[[], AbstractContextManager[Any]]


class Pool:
    """Threads that do jobs in the order in which they are put; also a context manager that closes it.

    Args:
        threads: how many.
        name: of the threads, followed by their number.
        desk: makes a context that each thread enters once; what it gives is passed to every job.
        ended: makes the error of who uses a pool that has ended.

    Raises:
        RuntimeError: the system gives no more threads.
        BaseException: ``ended()``, while the interpreter ends.
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
        if sys.is_finalizing():  # as in __del__ at the interpreter's end: a thread would never run
            raise self.error
        _thread.start_new_thread(_oversee, (self._shared, threads, name, desk))
        with self._shared.started:
            pass
        if self._shared.failed:
            self._shared.wait()
            raise self.error

    @property
    def closed(self) -> bool:
        """Jobs that wait are dropped."""
        return self._shared.closed

    @property
    def error(self) -> BaseException:
        """Why the pool has ended: an error of its threads, or ``ended()``."""
        return self._shared.error or self._shared.ended()

    def put(self, job: Job) -> None:
        """Have a job done. Raises ``error`` if the pool has ended; the job may be dropped nevertheless."""
        # in this order, without a lock: a job that is put before the pool is closed lies before the end mark
        self._shared.jobs.put(job)
        if self._shared.closed:
            raise self.error

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Task[Result]:
        """Have a function called. Raises ``error`` if the pool has ended."""
        task = Task(function, *arguments)
        self.put(task)
        return task

    def close(self) -> None:
        """Drop the jobs that wait, and wait for those that are being done and for the end of the threads.

        In a forked child, which has none of these threads, nothing happens; called by one of them, it does not wait.
        """
        if self.process == os.getpid():
            self._shared.end()
            self._shared.wait()

    def finish(self) -> None:
        """Do the jobs that wait, then close; the caller puts no more."""
        self._shared.jobs.put(None)
        self._shared.wait()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is GeneratorExit:  # in a finaliser, where an interrupt of waiting would be lost
            self._shared.end()
        else:
            self.close()


class _Shared:
    """The state of a pool that its threads share."""

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
        """Close the pool and wake its threads; may be called again, and again after it was interrupted."""
        self.error = self.error or error
        self.closed = True
        self.jobs.put(None)

    def wait(self) -> None:
        """Wait for the end of all threads; not in one of them, where a pool may be closed by the collector."""
        if _thread.get_ident() not in self.threads:
            with self.gone:
                pass


_OPEN: set[_Shared] = set()
"""Of pools whose threads run; closed by atexit. The threads are daemons: a pool left open keeps no program from
ending."""


def _oversee(shared: _Shared, threads: int, name: str, desk: Desk) -> None:
    """Start the threads and wait for their end; a raw thread's work."""
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
    shared.closed = True  # before the rest is dropped: what is put later is an error there
    while (job := _next(shared.jobs)) is not None:
        if job is not shared.pool:
            job.drop(shared.error or shared.ended())
    _OPEN.discard(shared)
    shared.gone.release()


def _next(jobs: SimpleQueue[Any]) -> Any:
    """The next job or dead reference; end marks are passed over. None at the end."""
    try:
        while (job := jobs.get_nowait()) is None:
            pass
        return job
    except Empty:
        return None


def _work(shared: _Shared, desk: Desk) -> None:
    """Do jobs until the end mark; a thread's work."""
    shared.threads.add(_thread.get_ident())
    try:
        with desk() as mine:
            while (job := shared.jobs.get()) is not None and job is not shared.pool:
                if shared.closed or shared.pool() is None:
                    job.drop(shared.error or shared.ended())
                else:
                    job.run(mine)
                del job  # so that nothing is kept while the thread waits for the next
    except BaseException as error:  # of the desk: the jobs that wait are dropped with it
        shared.end(error)
    shared.jobs.put(None)  # the mark for the next thread


def _close_all() -> None:
    for shared in list(_OPEN):
        if shared.process == os.getpid():
            shared.end()
            shared.wait()


atexit.register(_close_all)


def ended() -> OptionError:
    """The error of an iterator invalidated by ``close``, by a newer iterator or by another epoch or state."""
    remedy = "Open a second Loader for a loop beside another, or a new one after close()."
    found = "this iteration was ended, by another one, close(), set_epoch() or load_state_dict()"
    return OptionError("mhpdata.Loader", found, "one iteration at a time", remedy)
