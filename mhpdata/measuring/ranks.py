"""Measure a node: several ranks at once, each a process with its own loader, as a launcher starts them for training.

For each run and each number of ranks, new processes are spawned, warmed up, and counted over the same interval; the
numbers of ranks alternate, since a machine's speed drifts. With steps to replay, a sleep takes the place of the GPU.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mhpdata.drawing.ahead import prepare
from mhpdata.errors import EngineError, OptionError
from mhpdata.loading.loader import Loader
from mhpdata.measuring.numa import cores_of_ranks, numa_nodes
from mhpdata.measuring.rank import Measured, Work, run_rank
from mhpdata.measuring.steps import check_steps
from mhpdata.options import check_range
from mhpdata.processes.threads import usable_cores
from mhpdata.settings.rules import Number
from mhpdata.settings.share import Share
from mhpdata.storage.manifest import read_manifest
from mhpdata.wording import counted

_LEAST_LEAD_S = 0.5
_LEAD_BATCHES = 4
"""Batches between the warm-up and the interval; more than a loader makes in advance."""
_LEAVE_S = 10.0
"""Seconds for a rank to end by itself after its result."""


def bench_ranks(
    folder: str | Path,
    split: str = "train",
    ranks: Sequence[int] = (1, 2),
    *,
    threads: int | None = None,
    runs: int = 5,
    seconds: float = 5.0,
    steps: Sequence[float] = (),
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return one row per number of ranks. A script must call it below ``if __name__ == "__main__"``: ranks import it.

    Args:
        folder, split, options: As for Loader, whose ``batch_size`` is per rank; each rank reads its share.
        ranks: Numbers of processes to measure.
        threads: Number of threads over all ranks of a measurement, at least one each; None for one per core.
        runs: Intervals per number of ranks.
        seconds: Duration of an interval.
        steps: Durations of training steps in seconds, repeated as often as needed; each rank sleeps as long after each
            batch. Empty to take batches as fast as possible.
        report: Called with a line of progress before each interval.

    Returns:
        Rows of medians over the runs; see ``_row``.

    Raises:
        OptionError: An argument is invalid, or a rank would not get a full batch.
        EngineError: A rank was killed.
    """
    check_range("runs", runs, 1, 1 << 20)
    if not ranks:
        raise OptionError("ranks", "none", "numbers of ranks", "Pass at least one, such as ranks=(1, 2).")
    for count in ranks:
        check_range("ranks", count, 1, 4096)
    check_range("threads", 1 if threads is None else threads, 1, 4096)
    seconds = Number(0.1).take("seconds", seconds, 5.0)
    steps = check_steps(steps)
    _check_arguments(folder, split, max(ranks), options)
    tell = report or (lambda _: None)
    tell("warming up")
    prepare(read_manifest(folder).options["image"] == "jpeg", usable_cores())
    total = usable_cores() if threads is None else threads
    groups = [_Group(str(folder), split, options, count, max(1, total // count), steps) for count in ranks]
    measured: dict[int, list[list[Measured]]] = {}
    for run in range(runs):
        for group in groups:
            tell(f"run {run + 1} of {runs}, {counted(group.ranks, 'rank')}")
            measured.setdefault(group.ranks, []).append(group.measure(seconds))
    return [_row(group, measured[group.ranks]) for group in groups]


def _check_arguments(folder: str | Path, split: str, ranks: int, options: dict[str, Any]) -> None:
    """Raise OptionError, before any process starts, if an argument is invalid or the ranks get no full batch."""
    Loader(folder, split, share=Share.told(0, ranks), threads=1, drop_last=True, **options).close()


@dataclass(frozen=True)
class _Group:
    """Ranks that are measured together."""

    folder: str
    split: str
    options: dict[str, Any]
    ranks: int
    threads: int
    steps: tuple[float, ...]

    @property
    def cores(self) -> list[tuple[int, ...]]:
        """The cores of each rank; empty for those that are not pinned."""
        return cores_of_ranks(self.ranks, numa_nodes())

    def measure(self, seconds: float) -> list[Measured]:
        """Spawn the ranks, and return the results of an interval."""
        spawn = multiprocessing.get_context("spawn")  # a forked child can make no request
        meeting = spawn.Barrier(self.ranks) if self.steps and self.ranks > 1 else None
        processes, pipes = [], list[Connection]()
        try:
            for rank, cores in enumerate(self.cores):
                ours, theirs = spawn.Pipe()
                pipes.append(ours)
                work = Work(self.folder, self.split, self.options, rank, self.ranks, self.threads, self.steps)
                process = spawn.Process(target=run_rank, args=(work, theirs, meeting), daemon=True)
                with _inherited(cores):
                    process.start()
                    processes.append(process)
                theirs.close()
            slowest = max(_answers(pipes, processes))
            begin = time.monotonic() + max(_LEAST_LEAD_S, _LEAD_BATCHES * (slowest + max(self.steps, default=0.0)))
            for pipe in pipes:
                with suppress(BrokenPipeError):  # its end is found below
                    pipe.send((begin, begin + seconds))
            found = [self._counted(one, seconds) for one in _answers(pipes, processes)]
            for pipe in pipes:
                pipe.close()
            done = time.monotonic() + _LEAVE_S
            for process in processes:
                process.join(max(0.0, done - time.monotonic()))
            return found
        finally:  # after an error, too, and Ctrl-C
            for process in processes:
                process.kill()
            for process in processes:
                process.join()
            for pipe in pipes:
                pipe.close()

    def _counted(self, one: Measured, seconds: float) -> Measured:
        if not one.images or not one.seconds:
            found = f"{seconds:g}, in which a rank finished no step"
            raise OptionError("seconds", found, "several steps", "Pass a larger --seconds.")
        return one


@contextmanager
def _inherited(cores: tuple[int, ...]) -> Iterator[None]:
    """Let a process that starts inherit a blocked SIGINT, and be pinned to ``cores`` unless that is empty.

    Ctrl-C ends the command, which then ends its ranks; in the context, where a rank could be half started, it waits.
    Libraries start threads as soon as they are imported, so a process that pinned itself would not pin those.
    """
    came = list[int]()
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if is_main else None
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # other threads may get it all the same
    usable = os.sched_getaffinity(0) if cores else set()
    try:
        if cores:
            os.sched_setaffinity(0, cores)
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, usable)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if is_main:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _answers(pipes: Sequence[Connection], processes: Sequence[Any]) -> list[Any]:
    """Return the next answer of each rank; raise the first error of any, or EngineError for one that was killed."""
    answers: dict[int, Any] = {}
    while len(answers) < len(pipes):
        for ready in wait([pipe for rank, pipe in enumerate(pipes) if rank not in answers]):
            rank = next(rank for rank, pipe in enumerate(pipes) if pipe is ready)
            try:
                answer = pipes[rank].recv()
            except (EOFError, ConnectionResetError) as error:
                processes[rank].join()
                raise _lost(rank, processes[rank].exitcode) from error
            if isinstance(answer, BaseException):
                raise answer
            answers[rank] = answer
    return [answers[rank] for rank in range(len(pipes))]


def _lost(rank: int, status: int | None) -> EngineError:
    """Return the error for a rank that ended without an answer."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        remedy = "If memory is short (dmesg), pass fewer --ranks or a smaller --batch-size."
        return EngineError(f"rank {rank}", f"its process was ended by {name}", "", remedy)
    return EngineError(
        f"rank {rank}", f"its process ended with status {status}", "", "Please report the error that it printed."
    )


def _row(group: _Group, runs: list[list[Measured]]) -> dict[str, Any]:
    """Return the medians of a group, over its runs.

    ``images/s`` is that of all ranks, ``spread`` its range over the runs as a share of it, ``images/s of each rank`` a
    list; memory is in MB (10**6 bytes), of a rank and of all; ``store MB/s`` what came from object storage or a web
    server. ``waits of each rank`` and ``waits`` are shares of the time: a rank for its own loader, and all ranks for
    the slowest of them, as in training. ``pinned`` lists the cores of each rank, and is empty without pinning.
    """

    def median(value: Callable[[list[Measured]], float]) -> float:
        return statistics.median(map(value, runs))

    def each(value: Callable[[Measured], float]) -> list[float]:
        return [statistics.median(value(run[rank]) for run in runs) for rank in range(group.ranks)]

    rates = [sum(one.images / one.seconds for one in run) for run in runs]
    row: dict[str, Any] = {
        "ranks": group.ranks,
        "threads per rank": group.threads,
        "images/s": statistics.median(rates),
        "spread": (max(rates) - min(rates)) / statistics.median(rates),
        "images/s of each rank": each(lambda one: one.images / one.seconds),
        "CPU us/image": 1e6 * median(lambda run: sum(one.cpu_s for one in run) / sum(one.images for one in run)),
        "memory": runs[0][0].kind,
        "MB per rank": median(lambda run: max(one.memory for one in run) / 1e6),
        "MB": median(lambda run: sum(one.memory for one in run) / 1e6),
        "store MB/s": median(lambda run: sum(one.received / one.seconds for one in run) / 1e6),
        "pinned": [list(cores) for cores in group.cores if cores],
    }
    if group.steps:
        row["step ms"] = 1e3 * statistics.mean(group.steps)
        row["waits of each rank"] = each(lambda one: one.waited_s / one.seconds)
        row["waits"] = median(lambda run: max(one.held_s / one.seconds for one in run))
    return row


def lines_of(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the rows as lines to print."""
    replayed, remote = "waits" in rows[0], any(row["store MB/s"] for row in rows)
    head = f"{'ranks':>5}{'threads':>9}{'images/s':>10}{'per rank':>16}{'CPU us':>9}"
    head += f"{rows[0]['memory'] + ' MB':>13}{'per rank':>10}" + f"{'store MB/s':>12}" * remote
    yield head + f"{'waits':>8}{'per rank':>16}" * replayed
    for row in rows:
        rates = row["images/s of each rank"]
        line = f"{row['ranks']:5}{row['threads per rank']:9}{row['images/s']:10.4g}{_range(rates, '.4g'):>16}"
        line += f"{row['CPU us/image']:9.0f}{row['MB']:13.0f}{row['MB per rank']:10.0f}"
        line += f"{row['store MB/s']:12.1f}" * remote
        yield line + (f"{row['waits']:8.1%}{_range(row['waits of each rank'], '.1%'):>16}" if replayed else "")
    if rows[0]["pinned"] or rows[-1]["pinned"]:
        yield "Each rank is pinned to the cores of its NUMA node."


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"
