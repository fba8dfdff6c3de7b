"""Float16 loses gradients below 6e-8, so the loss is made larger before the backward pass, the gradient smaller after.

Too large a factor gives gradients that are not finite although nothing is wrong. So a step that fails is tried again
with half the factor until it holds or the factor is 1; only then is the gradient itself at fault, and the caller hears
of it. torch's own GradScaler leaves such a step out, which a guard could not tell from a broken one.
"""

from __future__ import annotations

LARGEST, PATIENCE = 2.0**16, 2000


class Scaler:
    """The factor of the loss.

    Args:
        used: False: it is 1 for good.

    Attributes:
        factor: a power of two.
        good: steps since it last changed.
    """

    def __init__(self, used: bool) -> None:
        self._used = used
        self.factor, self.good = LARGEST if used else 1.0, 0

    def shrink(self) -> bool:
        """Halve it; False where it is 1 already."""
        if self.factor == 1.0:
            return False
        self.factor, self.good = self.factor / 2, 0
        return True

    def grow(self) -> None:
        """Count a step that held; after 2,000 of them in a row try twice the factor."""
        self.good += 1
        if self._used and self.good == PATIENCE:
            self.factor, self.good = min(2 * self.factor, LARGEST), 0
