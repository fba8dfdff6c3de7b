"""Determine this process's share of the data: given, or detected if several processes run.

Rank and world size come from ``torch.distributed`` if this process has initialised it, else from the variables RANK and
WORLD_SIZE, which torchrun and most launchers set; no framework is imported.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import NamedTuple

from mhpdata.errors import OptionError
from mhpdata.settings.rules import Checked, Integer, OrNone, Switch, option

MOST = 1 << 20
"""Maximum number of processes."""


class _Running(NamedTuple):
    rank: int
    world_size: int
    said_by: str


@dataclass(frozen=True)
class Share(Checked):
    """This process's share of the samples; each sample is read by one process per epoch.

    ``Share()`` is the share in the running process group, or all samples if there is none; ``rank`` and ``world_size``
    are set on construction.

    Raises:
        OptionError: Only one of the numbers is given, they are out of range, or they contradict the process group.
    """

    rank: int = option(None, OrNone(Integer(0, MOST - 1)), "Rank of this process, from 0.")
    world_size: int = option(None, OrNone(Integer(1, MOST)), "Number of processes.")
    every: bool = option(False, Switch(), "Read all samples in this process, even where several run.")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [self.rank is not None, self.world_size is not None]
        if sum(given) == 1:
            name = "world_size" if given[0] else "rank"
            raise OptionError(
                name, "None", "a number, since the other one is given", "Pass rank and world_size together."
            )
        if self.every:
            if all(given):
                remedy = "Leave rank and world_size out, or leave every out."
                raise OptionError("every", f"True with rank {self.rank}", "no rank and world_size", remedy)
            self._keep(0, 1)
            return
        running = _running()
        if not all(given):
            self._keep(*((0, 1) if running is None else running[:2]))
            return
        Integer(0, self.world_size - 1).take("rank", self.rank, None)
        if running is not None and running[:2] != (self.rank, self.world_size):
            found = f"rank {self.rank} of {self.world_size}"
            expected = f"rank {running.rank} of {running.world_size}, as {running.said_by}"
            remedy = "Leave rank and world_size out, or pass Share(every=True) to read all samples in each process."
            raise OptionError("rank", found, expected, remedy)

    @classmethod
    def told(cls, rank: int, world_size: int) -> Share:
        """Return the share of a process whose numbers come from its engine; torch and the environment are ignored.

        MXNet's processes get their numbers from its kvstore, which may differ from RANK.
        """
        Integer(1, MOST).take("world_size", world_size, None)
        Integer(0, world_size - 1).take("rank", rank, None)
        share = cls(every=True)
        share._keep(rank, world_size)
        return share

    def _keep(self, rank: int, world_size: int) -> None:
        object.__setattr__(self, "rank", rank)
        object.__setattr__(self, "world_size", world_size)


def _running() -> _Running | None:
    """Return the rank and world size of this process's group, or None."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return _Running(distributed.get_rank(), distributed.get_world_size(), "torch.distributed says")
    given = os.environ.get("RANK") or None, os.environ.get("WORLD_SIZE") or None  # an empty variable counts as unset
    if None in given:
        return None
    try:
        rank, world_size = (int(one or "") for one in given)
    except ValueError:
        rank, world_size = 0, 0
    if not 0 <= rank < world_size <= MOST:
        found = f"RANK {given[0]!r}, WORLD_SIZE {given[1]!r}"
        remedy = "Unset both variables, or set them to the rank of this process and the number of processes."
        raise OptionError("environment", found, "whole numbers, RANK below WORLD_SIZE", remedy)
    return _Running(rank, world_size, "RANK and WORLD_SIZE say")
