"""Divide a pack into blocks of entries, and the blocks among tasks.

All entries of the chosen splits, in list order, are one sequence, cut into blocks of BLOCK entries; the last block may
be shorter. Task k of n takes every n-th block from the k-th. Blocks do not depend on the number of tasks, so the blocks
of any number of tasks fit together: after an array of 100 tasks, 3 tasks may convert what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mhpdata.errors import OptionError

BLOCK = 64
"""Entries per block: a few seconds of work, and a part of about 10 MB."""
MOST = 1_000_000
"""Maximum number of tasks."""
_TASK = re.compile(r"([0-9]{1,7})/([0-9]{1,7})")


class Task(NamedTuple):
    """One of several tasks of a pack.

    Attributes:
        number: Its number, from 1.
        of: Number of tasks.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Block(NamedTuple):
    """Consecutive entries of a pack.

    Attributes:
        number: Number of the block, from 0.
        start, stop: Its entries: those from start to before stop, of all entries of the chosen splits.
    """

    number: int
    start: int
    stop: int


def parse_task(text: str) -> Task:
    """Return the task that a text such as 3/100 names. Raises OptionError."""
    match = _TASK.fullmatch(text)
    task = Task(int(match[1]), int(match[2])) if match else Task(0, 0)
    if not 1 <= task.number <= task.of <= MOST:
        expected = f"NUMBER/COUNT with 1 <= NUMBER <= COUNT <= {MOST}"
        remedy = "Pass 3/100 for the third of 100 tasks, or auto to take both from the cluster's environment."
        raise OptionError("task", repr(text[:80]), expected, remedy)
    return task


def blocks_of(entries: int) -> list[Block]:
    """Return the blocks of a number of entries."""
    return [Block(i, at, min(at + BLOCK, entries)) for i, at in enumerate(range(0, entries, BLOCK))]


def place_of(entry: int) -> tuple[int, int]:
    """Return the number of an entry's block, and the entry's index in it."""
    return divmod(entry, BLOCK)


def taken(task: Task, blocks: list[Block]) -> list[Block]:
    """Return the blocks that a task converts."""
    return blocks[task.number - 1 :: task.of]


def tasks_of(blocks: Iterable[Block], count: int) -> list[Task]:
    """Return the tasks, of ``count``, that convert these blocks, in order."""
    return [Task(number, count) for number in sorted({block.number % count + 1 for block in blocks})]
