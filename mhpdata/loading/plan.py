"""Plan an epoch: the samples of this rank's batch at each position, and their random draws.

The result depends only on (seed, epoch, position, rank, world size) and the samples.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from mhpdata.loading import sampling
from mhpdata.loading.mixture import Mixture
from mhpdata.loading.subset import choose_samples, refuse_no_batch
from mhpdata.loading.weights import image_weights
from mhpdata.settings.choosing import Choose
from mhpdata.settings.mixing import Mix
from mhpdata.settings.share import Share

AHEAD_SAMPLES = 48
"""Number of samples to ask for beyond the batches that are being made: more than requests can be under way."""


class Order(NamedTuple):
    """Samples of an epoch in order, and the keys of their draws: int64 (n,) each."""

    epoch: int
    samples: np.ndarray
    keys: np.ndarray


class Turn(NamedTuple):
    """Plan of one batch of this rank.

    Attributes:
        epoch: Epoch of the batch.
        samples: int64 (n,), indices in the mixture.
        keys: int64 (n,), keys of their draws.
        draws: float64 (n, DRAWS), uniform in [0, 1).
        consumed: Position in the epoch after this batch.
    """

    epoch: int
    samples: np.ndarray
    keys: np.ndarray
    draws: np.ndarray
    consumed: int


class Sizes(NamedTuple):
    """Division of an epoch into batches."""

    batch_size: int
    share: Share
    drop_last: bool


class Plan:
    """Plan of the batches of all epochs.

    Args:
        data: Sets to read.
        choose, mix: Selection of samples, and their weights.
        training: Whether to shuffle, and to look for leaks.
        sizes: Division into batches.
        seed: Seed of the order and of every random draw.

    Attributes:
        samples: int64 (n,), indices of the selected samples, ascending.

    Raises:
        OptionError, LeakError: As for ``mhpdata.Loader``.
    """

    def __init__(self, data: Mixture, choose: Choose, mix: Mix, training: bool, sizes: Sizes, seed: int) -> None:
        self.samples = samples = choose_samples(data, choose, training)
        if sizes.drop_last and len(samples):
            refuse_no_batch(len(samples), sizes.batch_size, sizes.share.world_size)
        weighted = len(samples) and (mix.weights is not None or mix.sample != "all")
        self._weights = image_weights(data, samples, mix.sample == "rare", mix.weights) if weighted else None
        self._groups = data.groups(samples) if weighted else samples
        self._training, self._sizes, self._seed = training, sizes, seed

    def left(self, position: int) -> int:
        """Return the number of batches of this rank from a position to the epoch's end."""
        size, share, drop_last = self._sizes
        return sampling.batches_left(len(self.samples), position, size, share.world_size, drop_last)

    def order(self, epoch: int) -> Order:
        """Return the samples of an epoch in order."""
        samples = self.samples
        if not self._training:
            return Order(epoch, samples, samples)
        if self._weights is None:
            samples = samples[sampling.permutation(self._seed, epoch, len(samples))]
            return Order(epoch, samples, samples)
        chosen, turns = sampling.weighted(self._seed, epoch, self._weights, self._groups)
        return Order(epoch, samples[chosen], sampling.keys_of(samples[chosen], turns))

    def samples_at(self, order: Order, position: int) -> tuple[np.ndarray, int]:
        """Return the samples of the batch at a position of an epoch, and the position after it."""
        size, share, _ = self._sizes
        length = len(order.samples)
        mine = sampling.share(length, position, size, share.rank, share.world_size)
        return order.samples[mine], min(length, position + size * share.world_size)

    def turn(self, order: Order, position: int) -> Turn:
        """Return the plan of the batch at a position of an epoch."""
        size, share, _ = self._sizes
        length = len(order.samples)
        mine = sampling.share(length, position, size, share.rank, share.world_size)
        keys = order.keys[mine]
        draws = sampling.draws(self._seed, order.epoch, keys)
        return Turn(order.epoch, order.samples[mine], keys, draws, min(length, position + size * share.world_size))


class Ahead:
    """Ask for the samples of the next batches of an iteration before they are made.

    Only sets that have an address need it. Requests are answered in any order; batches are made in the epoch's order.

    Args:
        data, plan: Sets to read, and the plan of their batches.
        order: Order of the epoch.
        position: Position of the first batch.
    """

    def __init__(self, data: Mixture, plan: Plan, order: Order, position: int) -> None:
        self._data, self._plan, self._order, self._asked = data, plan, order, position
        self._waiting: deque[int] = deque()
        self._count = 0

    def advance(self) -> None:
        """Ask for more samples, now that the next batch is begun."""
        if not self._data.remote:
            return
        if self._waiting:
            self._count -= self._waiting.popleft()
        while self._count <= AHEAD_SAMPLES and self._plan.left(self._asked):
            samples, self._asked = self._plan.samples_at(self._order, self._asked)
            self._data.ask(samples)
            self._waiting.append(len(samples))
            self._count += len(samples)
