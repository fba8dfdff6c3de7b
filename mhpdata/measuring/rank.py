"""One rank of a measurement: a process of its own with a loader of its share, as a launcher starts it for training.

::

    the command             a rank
    Work ────────────────>  open the loader, take some batches
          <──────────────── seconds per batch
    begin, end ──────────>  take batches until the time begin; count them until the time end
          <──────────────── Measured
    close ───────────────>  exit

The times are those of the machine's monotonic clock, which all its processes share, so all ranks are counted over the
same interval. A rank never pauses before it, so no batch is counted that was made in advance.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

from mhpdata.errors import MhpError
from mhpdata.filesystem.descriptors import hold_standard
from mhpdata.filesystem.regular import read_regular
from mhpdata.loading.batch import Batch
from mhpdata.loading.loader import Loader
from mhpdata.processes.parent import end_with_parent
from mhpdata.remote.store import received_bytes
from mhpdata.settings.share import Share

WARM_S, WARM_BATCHES = 1.0, 3
"""A rank takes at least this number of batches before the measurement, for at least this time or an epoch."""
_PATIENCE_S = 600.0
"""Seconds to wait for the other ranks of a step."""
ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True)
class Work:
    """Describe the work of a rank.

    Attributes:
        folder, split, options: Arguments of its loader.
        rank, ranks: Its number, from 0, and the number of ranks.
        threads: Number of its loader's threads.
        steps: Durations of the steps to replay, in seconds; empty to take batches as fast as possible.
    """

    folder: str
    split: str
    options: dict[str, Any]
    rank: int
    ranks: int
    threads: int
    steps: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """Result of a rank.

    Attributes:
        images: Number of images in ``seconds``.
        seconds: Duration of the counted part of the interval, which begins and ends with a batch or a step.
        cpu_s: CPU time of the process in it, in seconds.
        received: Number of bytes that came from object storage or a web server in it.
        waited_s: Time in it that the consumer waited for its own loader.
        held_s: Time in it that the consumer waited for the loader of any rank.
        memory: Memory of the process at its end, in bytes.
        kind: Kind of ``memory``, "PSS" or "peak RSS".
    """

    images: int
    seconds: float
    cpu_s: float
    received: int
    waited_s: float
    held_s: float
    memory: int
    kind: str


def run_rank(work: Work, pipe: Connection, meeting: Barrier | None) -> None:
    """Do the work of a rank; the target of a process that is spawned.

    Args:
        work: The work.
        pipe: Connection to the command.
        meeting: Where all ranks of a replay wait for each other in each step; None for one rank, or without steps.
    """
    hold_standard()
    end_with_parent()
    try:
        share = Share.told(work.rank, work.ranks)
        loader = Loader(work.folder, work.split, share=share, threads=work.threads, drop_last=True, **work.options)
        batches = _endless(loader)
        pipe.send(_warm(batches, len(loader)))
        begin, end = pipe.recv()
        try:
            found = _replay(batches, work.steps, meeting, begin, end) if work.steps else _drain(batches, begin, end)
        finally:
            if meeting is not None:
                meeting.abort()
        pipe.send(found)
        pipe.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the command has its results, or has ended
        return
    except (MhpError, OSError, MemoryError) as error:
        pipe.send(error)


def _endless(loader: Loader) -> Iterator[Batch]:
    while True:
        yield from loader


def _warm(batches: Iterator[Batch], epoch: int) -> float:
    """Take some batches, which compiles kernels and starts threads; return the seconds per batch."""
    begun, count = time.monotonic(), 0
    while count < WARM_BATCHES or (count < epoch and time.monotonic() < begun + WARM_S):
        next(batches)
        count += 1
    return (time.monotonic() - begun) / count


class _Count:
    """Counts from its beginning on."""

    def __init__(self) -> None:
        self._cpu, self._received, self._begun = time.process_time(), received_bytes(), time.monotonic()
        self._images, self._waited, self._held = 0, 0.0, 0.0
        self._so_far = (0.0, 0.0, 0)

    def add(self, images: int, waited: float = 0.0, held: float = 0.0) -> None:
        """Count a batch or a step that has just ended."""
        self._images += images
        self._waited += waited
        self._held += held
        seconds, cpu = time.monotonic() - self._begun, time.process_time() - self._cpu
        self._so_far = (seconds, cpu, received_bytes() - self._received)

    def result(self) -> Measured:
        """Return what was counted, up to the last batch or step."""
        return Measured(self._images, *self._so_far, self._waited, self._held, *_memory())


def _drain(batches: Iterator[Batch], begin: float, end: float) -> Measured:
    """Take batches as fast as possible; the count begins and ends with the arrival of a batch."""
    count: _Count | None = None
    while True:
        size, now = len(next(batches).indices), time.monotonic()
        if count is not None:
            count.add(size)
            if now >= end:
                return count.result()
        elif now >= begin:
            count = _Count()


def _replay(
    batches: Iterator[Batch], steps: tuple[float, ...], meeting: Barrier | None, begin: float, end: float
) -> Measured:
    """Take a batch, wait until each rank has one, sleep as long as the step takes; the count begins with a step."""
    count: _Count | None = None
    number = 0
    while True:
        asked = time.monotonic()
        if count is None and asked >= begin:
            count = _Count()
        batch = next(batches)
        got = time.monotonic()
        try:
            if meeting is not None:
                meeting.wait(_PATIENCE_S)
        except BrokenBarrierError:  # another rank has reached the end
            return (count or _Count()).result()
        met = time.monotonic()
        time.sleep(steps[number % len(steps)])
        number += 1
        if count is not None:
            count.add(len(batch.indices), got - asked, met - asked)
            if time.monotonic() >= end:
                return count.result()  # and run_rank breaks the meeting


def _memory() -> tuple[int, str]:
    """Return this process's memory in bytes, and its kind: PSS, where pages that processes share count in parts."""
    if ROLLUP.exists():
        for line in read_regular(ROLLUP, 1 << 16).decode("ascii").splitlines():
            name, _, size = line.partition(":")
            if name == "Pss":
                return int(size.split()[0]) * 1024, "PSS"
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "peak RSS"
