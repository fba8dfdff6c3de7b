"""Compute a running mean of finite numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Mean:
    """A running mean that ignores infinities and NaN.

    Attributes:
        total: sum of the finite numbers.
        count: number of finite numbers.
    """

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Add a number to the mean if it is finite."""
        if math.isfinite(value):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float:
        """The mean; NaN if no finite number was added."""
        return self.total / self.count if self.count else math.nan
