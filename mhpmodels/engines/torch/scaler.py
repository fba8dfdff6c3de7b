"""Scale the loss for float16, which loses gradients below 6e-8; the gradient is divided by the same factor.

Too large a factor makes correct gradients non-finite. A non-finite step is therefore repeated with half the factor,
until it is finite or the factor is 1; only then the gradient itself is non-finite and is reported. torch's GradScaler
skips such a step instead, and a guard could not tell it from a broken one.
"""

from __future__ import annotations

LARGEST, PATIENCE = 2.0**16, 2000


class Scaler:
    """The scaling factor of the loss.

    Args:
        used: False fixes the factor at 1.

    Attributes:
        factor: the factor, a power of two.
        good: number of steps since the factor last changed.
    """

    def __init__(self, used: bool) -> None:
        self._used = used
        self.factor, self.good = LARGEST if used else 1.0, 0

    def shrink(self) -> bool:
        """Halve the factor; return False if it is 1 already."""
        if self.factor == 1.0:
            return False
        self.factor, self.good = self.factor / 2, 0
        return True

    def grow(self) -> None:
        """Count a finite step; after 2,000 of them in a row double the factor."""
        self.good += 1
        if self._used and self.good == PATIENCE:
            self.factor, self.good = min(2 * self.factor, LARGEST), 0
