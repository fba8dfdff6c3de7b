"""Which sample comes when, and what chance does to it: pure functions of (seed, epoch, sample index).

The law: nothing here remembers anything. A sample's draws are a hash of (seed, epoch, its index, which draw), so they
are the same for any number of threads, ranks and restarts, and do not depend on the samples before it. The position in
an epoch is one number, the samples that all ranks have consumed together; whoever knows it can go on, with any number
of ranks.

The hash is SplitMix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), chained.
NumPy's own generators are not used for it: their streams may change with NumPy's version, and making one costs 15 us an
image.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.placement import DRAWS

_SHUFFLE, _SAMPLE, _USER, _OFFSET, _MIX = range(5)
_TURN = 40  # bits of a sample's index in its key


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order of an epoch: int64 (length,), each index once.

    Indices are sorted by their hash, so that the order is the same on every machine and with every version of NumPy.
    """
    keys = _hash(_hash(_word(seed), _SHUFFLE, epoch), np.arange(length, dtype=np.uint64))
    return np.argsort(keys, kind="stable")


def weighted(seed: int, epoch: int, weights: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order of an epoch in which samples come as often as their weights say: as many places as there are samples.

    A sample of n x its share of all weights places gets that number, rounded down or up by chance; so does every group
    as a whole. (Systematic sampling, W. G. Madow 1949: points at equal distances on the line of all weights.)

    Args:
        weights: int64 (n,), each at least 1; integers, so that every machine draws the same.
        groups: int64 (n,), the sample's group.

    Returns:
        int64 (n,) each: the samples in order; and the turn of each, 0 where it comes for the first time in the epoch.
    """
    count = len(weights)
    line = permutation(seed, epoch, count)
    line = line[np.argsort(groups[line], kind="stable")]
    ends = np.cumsum(weights[line], dtype=np.int64)
    total = int(ends[-1])
    offset = int(_hash(_word(seed), _OFFSET, epoch)[0]) % total
    points = [(total * place + offset) // count for place in range(count)]
    taken = line[np.searchsorted(ends, np.array(points, np.int64), side="right")]
    keys = _hash(_hash(_word(seed), _MIX, epoch), np.arange(count, dtype=np.uint64))
    taken = taken[np.argsort(keys, kind="stable")]
    return taken, turns(taken)


def turns(samples: np.ndarray) -> np.ndarray:
    """How often each place's sample has come before: int64 (n,)."""
    by_sample = np.argsort(samples, kind="stable")
    ordered = samples[by_sample]
    first = np.searchsorted(ordered, ordered, side="left")
    turn = np.empty(len(samples), np.int64)
    turn[by_sample] = np.arange(len(samples)) - first
    return turn


def keys_of(indices: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """What :func:`draws` and :func:`generator` take for a sample's turn in an epoch; the index for its first."""
    return np.asarray(indices + (turn << _TURN), np.int64)


def steps(length: int, position: int, batch_size: int, world_size: int, drop_last: bool = False) -> int:
    """How many batches each rank still gets, from ``position`` (samples that all ranks have consumed) to the end."""
    left, together = length - position, batch_size * world_size
    return max(0, left // together if drop_last else -(-left // together))


def share(length: int, position: int, batch_size: int, rank: int, world_size: int) -> slice:
    """The places in the epoch's order that make this rank's batch at ``position``.

    The ranks take turns, so the last batch is split as evenly as it can be; where fewer samples than ranks are left, a
    rank's batch may be empty. All ranks together take every place once.
    """
    return slice(position + rank, min(length, position + batch_size * world_size), world_size)


def draws(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """The draws of some samples: float64 (n, DRAWS), uniform in [0, 1)."""
    keys = _hash(_hash(_word(seed), _SAMPLE, epoch), np.asarray(indices, np.int64).astype(np.uint64))
    words = _hash(keys[:, None], np.arange(DRAWS, dtype=np.uint64))
    uniform: np.ndarray = np.ldexp((words >> np.uint64(11)).astype(np.float64), -53)
    return uniform


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator that belongs to one sample, for a transform of the user's own (15 us)."""
    key = int(_hash(_word(seed), _USER, epoch, index)[0])
    return np.random.Generator(np.random.Philox(key=key))


def _word(number: int) -> np.ndarray:
    return np.array([number % 2**64], np.uint64)


def _hash(key: np.ndarray, *counters: int | np.ndarray) -> np.ndarray:
    """Mix counters into a key, one after the other: uint64 arrays in, uint64 array out, wrapping."""
    for counter in counters:
        word = counter if isinstance(counter, np.ndarray) else _word(counter)
        key = key + np.uint64(0x9E3779B97F4A7C15) * (word + np.uint64(1))
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key = key ^ (key >> np.uint64(31))
    return key
