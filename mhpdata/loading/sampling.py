"""Compute the sampling order and the per-sample random draws, as pure functions of (seed, epoch, sample index).

Stateless: every function depends only on its arguments. A sample's draws are a hash of (seed, epoch, index, number of
the draw), so they are the same for any number of threads, ranks and restarts, and do not depend on earlier samples. The
position in an epoch is one number, the samples that all ranks have consumed together, so an epoch can resume with any
number of ranks.

The hash is SplitMix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), chained.
NumPy's generators are not used for it: their streams may change between versions of NumPy, and constructing one costs
15 us per image.
"""

from __future__ import annotations

import numpy as np

from mhpdata.drawing.placement import DRAWS

_SHUFFLE, _SAMPLE, _USER, _OFFSET, _MIX = range(5)
_TURN = 40  # bits of a sample's index in its key


def permutation(seed: int, epoch: int, length: int) -> np.ndarray:
    """Return the order of an epoch: int64 (length,), each index once.

    Indices are sorted by their hash, so the order is the same on every machine and with every version of NumPy.
    """
    keys = _hash(_hash(_word(seed), _SHUFFLE, epoch), np.arange(length, dtype=np.uint64))
    return np.argsort(keys, kind="stable")


def weighted(seed: int, epoch: int, weights: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of an epoch of n draws, in which samples are drawn in proportion to their weights.

    The expected count of a sample is n * weight / sum of weights; its actual count is that number, randomly rounded
    down or up, and the same holds for each group as a whole. (Systematic sampling, W. G. Madow 1949: points at equal
    distances on the line of all weights.)

    Args:
        seed, epoch: Key of the order.
        weights: int64 (n,), each at least 1; integers, for the same draws on every machine.
        groups: int64 (n,), the group of each sample.

    Returns:
        int64 (n,) each: the samples in order, and the number of earlier occurrences of each in the epoch.
    """
    count = len(weights)
    line = permutation(seed, epoch, count)
    line = line[np.argsort(groups[line], kind="stable")]
    ends = np.cumsum(weights[line], dtype=np.int64)
    total = int(ends[-1])
    offset = int(_hash(_word(seed), _OFFSET, epoch)[0]) % total
    points = [(total * i + offset) // count for i in range(count)]
    taken = line[np.searchsorted(ends, np.array(points, np.int64), side="right")]
    keys = _hash(_hash(_word(seed), _MIX, epoch), np.arange(count, dtype=np.uint64))
    taken = taken[np.argsort(keys, kind="stable")]
    return taken, turns(taken)


def turns(samples: np.ndarray) -> np.ndarray:
    """Return the number of earlier occurrences of each element: int64 (n,)."""
    by_sample = np.argsort(samples, kind="stable")
    ordered = samples[by_sample]
    first = np.searchsorted(ordered, ordered, side="left")
    turn = np.empty(len(samples), np.int64)
    turn[by_sample] = np.arange(len(samples)) - first
    return turn


def keys_of(indices: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return the keys for :func:`draws` and :func:`generator`: int64 (n,), the index itself at its first occurrence.

    Args:
        indices: int64 (n,), indices of samples.
        turn: int64 (n,), number of earlier occurrences in the epoch, see :func:`turns`.
    """
    return np.asarray(indices + (turn << _TURN), np.int64)


def batches_left(length: int, position: int, batch_size: int, world_size: int, drop_last: bool = False) -> int:
    """Return the number of batches per rank from ``position`` (samples that all ranks have consumed) to the end."""
    left, together = length - position, batch_size * world_size
    return max(0, left // together if drop_last else -(-left // together))


def share(length: int, position: int, batch_size: int, rank: int, world_size: int) -> slice:
    """Return the slice of the epoch's order that is this rank's batch at ``position``.

    Samples are dealt to the ranks in turn, so the last batch is split as evenly as possible; if fewer samples than
    ranks are left, a rank's batch may be empty. All ranks together take every element once.
    """
    return slice(position + rank, min(length, position + batch_size * world_size), world_size)


def draws(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """Return the random draws of samples, by index or by key: float64 (n, DRAWS), uniform in [0, 1)."""
    keys = _hash(_hash(_word(seed), _SAMPLE, epoch), np.asarray(indices, np.int64).astype(np.uint64))
    words = _hash(keys[:, None], np.arange(DRAWS, dtype=np.uint64))
    uniform: np.ndarray = np.ldexp((words >> np.uint64(11)).astype(np.float64), -53)
    return uniform


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the random generator of one sample, for a user's transform (15 us)."""
    key = int(_hash(_word(seed), _USER, epoch, index)[0])
    return np.random.Generator(np.random.Philox(key=key))


def _word(number: int) -> np.ndarray:
    return np.array([number % 2**64], np.uint64)


def _hash(key: np.ndarray, *counters: int | np.ndarray) -> np.ndarray:
    """Mix counters into a key, one after the other: uint64 arrays in, uint64 array out, with wrap-around."""
    for counter in counters:
        word = counter if isinstance(counter, np.ndarray) else _word(counter)
        key = key + np.uint64(0x9E3779B97F4A7C15) * (word + np.uint64(1))
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key = key ^ (key >> np.uint64(31))
    return key
