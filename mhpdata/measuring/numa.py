"""Nodes of memory (NUMA) of this machine, and the cores that each rank of several is pinned to.

A machine with several sockets has memory near each of them; a batch that one socket writes and the other reads crosses
the link between them. A rank whose threads stay on one node also allocates its memory there. Linux describes the nodes
in files::

    /sys/devices/system/node/node0/cpulist      0-15,64-79
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mhpdata.filesystem.descriptors import open_file

NODES = Path("/sys/devices/system/node")
_MAX_BYTES = 1 << 16
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def numa_nodes(root: Path = NODES, usable: frozenset[int] | None = None) -> tuple[tuple[int, ...], ...]:
    """Return the cores of each node that this process may use; nodes without any are left out.

    Args:
        root: Folder in which the system describes the nodes.
        usable: Cores that this process may use; None to ask the system.

    Returns:
        A tuple of cores per node, in the order of the nodes' numbers; empty if the system does not describe them.
    """
    if usable is None:
        usable = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    found = {}
    for path in root.glob("node*/cpulist"):
        number = path.parent.name[len("node") :]
        if number.isdecimal():
            found[int(number)] = tuple(sorted(_cores(path) & usable))
    return tuple(found[number] for number in sorted(found) if found[number])


def cores_of_ranks(ranks: int, nodes: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Return the cores that each rank is pinned to; empty tuples, for no pinning, on a machine with one node.

    Neighbouring ranks share a node. If there are fewer ranks than nodes, each gets several neighbouring nodes.
    """
    if len(nodes) < 2:
        return [()] * ranks
    pinned = []
    for rank in range(ranks):
        first = rank * len(nodes) // ranks
        end = max(first + 1, (rank + 1) * len(nodes) // ranks)
        pinned.append(tuple(sorted(core for node in nodes[first:end] for core in node)))
    return pinned


def _cores(path: Path) -> set[int]:
    """Return the cores in a list such as 0-3,8."""
    with open_file(path, "r", encoding="ascii") as file:
        parts = file.read(_MAX_BYTES).strip().split(",")
    ranges = [match for part in parts if (match := _RANGE.fullmatch(part))]
    return {core for match in ranges for core in range(int(match[1]), int(match[2] or match[1]) + 1)}
