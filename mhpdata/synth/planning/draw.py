"""Draw one of several items and clip numbers, fast for scalars, for which NumPy's choice and clip are slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """Return a random key of ``weights``, with probability proportional to its value."""
    left = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        left -= weight
        if left < 0:
            return key
    return next(reversed(list(weights)))


def one_of(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Return a random item, uniformly."""
    return items[int(rng.integers(len(items)))]


def within(value: float, low: float, high: float) -> float:
    """Return ``value``, clipped to low..high."""
    return float(min(max(value, low), high))
