"""Select the part of an image that a sample shows: a random training crop, the centre crop, or the whole image.

docs/loader.md lists the cost of each option.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mhpdata.errors import OptionError
from mhpdata.labels import IGNORE
from mhpdata.options import is_number
from mhpdata.settings.rules import Checked, Integer, Probability, Rule, Switch, option

BACKGROUND = 0
"""Label of the padding in GluonCV's recipe, where it counts as background."""
_SIDE = Integer(1, 32767)
_MOST_SCALE = 10000


class _Scales(Rule):
    """Two numbers, 0 < low <= high."""

    def take(self, name: str, value: object, usual: object) -> tuple[float, float]:
        """Return (low, high); raise OptionError for anything else."""
        pair = () if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
        if len(pair) == 2 and all(map(is_number, pair)) and 0 < pair[0] <= pair[1] <= _MOST_SCALE:
            low, high = (one if isinstance(one, int | float) else float(one) for one in pair)
            return low, high
        remedy = "Pass a pair such as (0.5, 2.0)."
        raise OptionError(name, f"{value}", f"0 < low <= high <= {_MOST_SCALE}", remedy)


@dataclass(frozen=True)
class TrainCrop(Checked):
    """Random crops for training, in a shuffled order: scaled, cropped, mirrored, blurred (GluonCV's recipe).

    The long side is resized to a random length in ``scales`` x ``base_size``; a random square of ``size`` x ``size``
    pixels is cropped, and padded if the resized image is smaller.
    """

    size: int = option(768, _SIDE, "Side of the crops, in pixels.", flag="crop_size")
    base_size: int = option(768, _SIDE, "Length of the long side at scale 1, in pixels.")
    scales: tuple[float, float] = option((0.5, 2.0), _Scales(), "Smallest and largest random scale.")
    flip_prob: float = option(0.5, Probability(), "Probability of a horizontal flip, 0 to 1.")
    blur_prob: float = option(0.5, Probability(), "Probability of Gaussian blur, 0 to 1.")
    gray_prob: float = option(0.0, Probability(), "Probability of conversion to gray, 0 to 1.")
    swap_sides: bool = option(True, Switch(), "Swap left and right labels in flipped crops.")
    pad_label: int = option(IGNORE, Integer(0, 255), "Label of the padding; 255 is ignored by the loss.")

    def as_gluoncv(self) -> TrainCrop:
        """Return the crops of GluonCV's recipe: mirrored crops keep left and right labels, padding is background."""
        return replace(self, swap_sides=False, pad_label=BACKGROUND)


@dataclass(frozen=True)
class CentreCrop(Checked):
    """Crops of the centre, with the short side resized to ``size``, in the split's order (GluonCV's "val")."""

    size: int = option(768, _SIDE, "Side of the crops, in pixels.", flag="crop_size")


@dataclass(frozen=True)
class Whole(Checked):
    """Whole images as stored, in the split's order; one per batch, since their sizes differ."""


View = TrainCrop | CentreCrop | Whole
