"""A running mean that no single number can spoil."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Mean:
    """A running mean of finite numbers; what is not finite is left out of it.

    Attributes:
        total, count: of the finite numbers.
    """

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Take one more number into the mean, if it is finite."""
        if math.isfinite(value):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float:
        """The mean; NaN of no numbers."""
        return self.total / self.count if self.count else math.nan
