"""Keep ranges of objects in memory from the time that they are asked for until they are used.

::

    ask ── merge ──> requests, under way at once, in any order ──> take (waits) ──> drop

A range stays until it has been dropped as often as it was asked for. What nobody uses is removed by ``clear``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence

from mhpdata.processes.task import Task
from mhpdata.remote import merging
from mhpdata.remote.merging import merge
from mhpdata.remote.requests import submit

Fetch = Callable[[int, int], memoryview]
"""Returns the bytes of an object from a start to an end."""


class _Piece:
    """A range that was asked for: the request that brings it, its start in it, and how often it will be used."""

    def __init__(self, task: Task[memoryview], begin: int) -> None:
        self.task, self.begin, self.uses = task, begin, 1


class Window:
    """Ranges of the objects of a split; any number of threads may use it.

    Attributes:
        halted: Whether nobody waits for requests any more, so that failed ones need not be tried again.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._pieces: dict[tuple[Hashable, int, int], _Piece] = {}
        self.halted = False

    def _check_process(self) -> None:
        """Begin from scratch in a forked child, where no request of the parent ends and its lock may be held."""
        if self._process != os.getpid():
            self._begin()

    def ask(self, owner: Hashable, ranges: Sequence[tuple[int, int]], fetch: Fetch) -> None:
        """Ask for ranges (start, end) of an object; ``fetch`` is called on the threads of requests.

        Args:
            owner: The object, as for ``take`` and ``drop``.
            ranges: Ranges that will be used once each.
            fetch: Function that reads a range of the object.
        """
        self._check_process()
        with self._lock:
            wanted = []
            for start, end in ranges:
                piece = self._pieces.get((owner, start, end))
                if piece is not None:
                    piece.uses += 1
                else:
                    wanted.append((start, end))
            merged = merge(wanted, merging.GAP, merging.MOST)
            tasks = [submit(fetch, start, end) for start, end in merged]
            for start, end in wanted:
                number = next(i for i, (first, last) in enumerate(merged) if first <= start and end <= last)
                key = owner, start, end
                if key in self._pieces:
                    self._pieces[key].uses += 1
                else:
                    self._pieces[key] = _Piece(tasks[number], start - merged[number][0])

    def take(self, owner: Hashable, start: int, end: int) -> memoryview | None:
        """Return the bytes of a range that was asked for, once they are here; None for any other range.

        Raises:
            BaseException: The error of the request.
        """
        self._check_process()
        with self._lock:
            piece = self._pieces.get((owner, start, end))
        if piece is None:
            return None
        return piece.task.result()[piece.begin : piece.begin + end - start]

    def drop(self, owner: Hashable, start: int, end: int, entirely: bool = False) -> None:
        """Note that a range was used; remove it after its last use, or at once with ``entirely``."""
        self._check_process()
        with self._lock:
            piece = self._pieces.get((owner, start, end))
            if piece is not None:
                piece.uses -= 1
                if entirely or piece.uses == 0:
                    del self._pieces[owner, start, end]

    def clear(self) -> None:
        """Remove all ranges; requests that are under way end unused."""
        self._check_process()
        with self._lock:
            self._pieces.clear()
