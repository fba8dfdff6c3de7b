"""Draw one of several and keep a number in bounds: cheap on scalars, where NumPy's own choice and clip are slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One key of ``weights``, with a probability in proportion to its value."""
    left = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        left -= weight
        if left < 0:
            return key
    return next(reversed(list(weights)))


def one_of(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One item, all alike probable."""
    return items[int(rng.integers(len(items)))]


def within(value: float, low: float, high: float) -> float:
    """``value``, moved to the nearer bound if it is outside."""
    return float(min(max(value, low), high))
