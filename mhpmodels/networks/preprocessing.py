"""Describe the input of a network: normalisation, order of the channels, size.

mhp's own networks take RGB normalised by ImageNet's mean and deviation, at any size. Weights of other programs bring a
``Preprocessing`` of their own (``mhpmodels.networks.known``, or the files beside them); their engine normalises by it,
and ``mhpmodels.inference`` brings images to its size.

Importing this module imports no framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import OptionError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpdata.wording import either

FITS = ("stretch", "pad")
"""How an image is brought to a fixed size: to both sides, or with its aspect ratio, centred on black."""
MOST_SIDE = 4096
"""Largest side of a fixed size, in pixels."""


@dataclass(frozen=True)
class Preprocessing:
    """The input that a network expects.

    Attributes:
        mean, deviation: of R, G and B in 0..1: normalised = (value / 255 - mean) / deviation.
        bgr: the network takes the channels in the order B, G, R.
        size: (height, width) of the input in pixels; None if the network takes any multiple of ``multiple``.
        fit: one of FITS; only used with a size.
        multiple: input sides are multiples of this, in pixels; only used without a size.
        short: short side to which images are resized by default, in pixels; 0 for their own size, None if the network
            does not say; only used without a size.

    Raises:
        OptionError: a value is out of range.
    """

    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION
    bgr: bool = False
    size: tuple[int, int] | None = None
    fit: str = FITS[0]
    multiple: int = 8
    short: int | None = None

    def __post_init__(self) -> None:
        for name, values, right in (
            ("mean", self.mean, all(map(math.isfinite, self.mean))),
            ("deviation", self.deviation, all(math.isfinite(value) and value > 0 for value in self.deviation)),
        ):
            if len(values) != 3 or not right:
                expected = f"3 finite numbers{' above 0' * (name == 'deviation')}: of R, G and B in 0..1"
                raise OptionError(f"preprocessing, {name}", f"{values}", expected, _CORRECT)
        if self.size is not None and (len(self.size) != 2 or not all(0 < side <= MOST_SIDE for side in self.size)):
            raise OptionError("preprocessing, size", f"{self.size}", f"2 sides from 1 to {MOST_SIDE}", _CORRECT)
        if self.fit not in FITS:
            raise OptionError("preprocessing, fit", repr(self.fit), either(FITS), _CORRECT)
        if not 0 < self.multiple <= MOST_SIDE:
            raise OptionError("preprocessing, multiple", f"{self.multiple}", f"1 to {MOST_SIDE}", _CORRECT)
        if self.short is not None and not 0 <= self.short <= MOST_SIDE:
            raise OptionError("preprocessing, short", f"{self.short}", f"0 to {MOST_SIDE}", _CORRECT)

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return images as the network takes them, float32 (N, 3, H, W), C-contiguous.

        Args:
            images: uint8 (N, H, W, 3), RGB.
        """
        pixels = images.transpose(0, 3, 1, 2) / np.float32(255)
        pixels -= np.array(self.mean, np.float32)[:, None, None]
        pixels /= np.array(self.deviation, np.float32)[:, None, None]
        return np.ascontiguousarray(pixels[:, ::-1] if self.bgr else pixels)

    def as_dict(self) -> dict[str, Any]:
        """Return the values for logs and reports, as JSON types."""
        free = "" if self.short is None else f"short side {self.short}, " if self.short else "of the image's own size, "
        return {
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "channels": "BGR" if self.bgr else "RGB",
            "size": f"{free}multiples of {self.multiple}" if self.size is None else list(self.size),
            "fit": None if self.size is None else self.fit,
        }


IMAGENET = Preprocessing()
"""That of mhp's own networks."""
_CORRECT = "Correct the file that describes the network's input, or convert the weights again with their own program."
