"""One picture of any size to the logits of each of its pixels, in bounded memory.

::

    image (h, w, 3) ─each scale─> resized ─mirrored, too─> ─padded, or cut into windows─> predict ─> logits (C, H, W)
          ─padding off, mirrored back, left and right channels exchanged─> their mean ─softmax─> mean at (h, w)

The rule: what a network is given beyond the picture never comes back. Pictures are padded below and to the right with
black, as crops are in training, to the next size that the network takes, and the logits are cut to the picture again.
A picture with one scale and no mirror image keeps its logits as they are.

GluonCV's MultiEvalModel (``gluoncv/model_zoo/segbase.py``) has the same scales and mirror images, and three habits that
are not kept: it leaves the mirrored left and right channels where they are; it adds exp(logits) unnormalised, so that
the scale with the largest logits outvotes the others (here every scale has the same say); and it takes a scale of the
network's base size on the long side (here of the picture itself).

In: uint8 (h, w, 3) RGB, 0..255. Out: float32 (C, h, w). Beside it a large picture needs twice its logits (12 bytes a
pixel and class), and what the network needs for one window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError, ImageError, OptionError
from mhpdata.images.resize import resize_image
from mhpdata.images.size import MAX_SIDE, packed_size
from mhpdata.options import check_range
from mhpmodels.inference.rescale import Logits, add_probabilities

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Images as an engine takes them, here uint8 (N, H, W, 3) -> logits float32 (N, C, H, W)."""

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""GluonCV's, for ``--multi-scale``."""

WINDOW = 2048
"""Pixels a side beyond which a picture is given to the network in pieces: at short side 768, what is more than 2.6
times as long as wide, or that at a scale above 1."""

LARGEST = 1 << 24
"""Pixels of the largest picture that is scored: its 19 logits take 1.3 GB, and three times as much at scale 1.75."""

_LEAST_SHORT = 64
"""A smaller short side is not worth asking a network about."""


_OTHER_CLASSES = (
    "If the data are the right ones, pass a checkpoint that was trained on their classes; otherwise pass the data that "
    "this one was trained on."
)
"""What to do about a network with more outputs than there are classes."""


@dataclass(frozen=True)
class Inference:
    """How a picture becomes logits.

    Attributes:
        predict: an engine's.
        classes: channels of its logits.
        multiple, least: the sides that the network takes are multiples of the one and not below the other.
        scales: of the picture, each above 0.
        mirror: average with the mirror image's logits at each scale.
        flip_pairs: (left, right) channels that change places in a mirror image.
        window: pixels a side that the network is given at most; pieces overlap by a third.
        source: the checkpoint, for errors.
    """

    predict: Predict
    classes: int
    multiple: int = 8
    least: int = 1
    scales: tuple[float, ...] = (1.0,)
    mirror: bool = False
    flip_pairs: Sequence[tuple[int, int]] = ()
    window: int = WINDOW
    source: str = "the network"

    def __post_init__(self) -> None:
        check_range("window", self.window, max(3 * self.multiple, self.least), 1 << 16)

    def __call__(self, image: NDArray[np.uint8]) -> Logits:
        """The scores of a picture: its logits, or with several scales the mean of their probabilities.

        Args:
            image: uint8 (h, w, 3), RGB.

        Returns:
            float32 (C, h, w).

        Raises:
            EngineError: the network gives another shape than it is asked for.
        """
        if self.scales == (1.0,):
            return self._logits(image)
        total = np.zeros((self.classes, *image.shape[:2]), np.float32)
        for scale in self.scales:
            add_probabilities(self._logits(resize_image(image, _scaled(image.shape[:2], scale))), total)
        total /= len(self.scales)
        return total

    def check_classes(self, classes: int, owner: str) -> None:
        """Raise OptionError where the network gives more classes than ``owner``, which the error names, has."""
        if self.classes > classes:
            found = f"gives {self.classes} classes, where {owner} has {classes}"
            raise OptionError(self.source, found, "at most as many", _OTHER_CLASSES)

    def pieces(self, size: tuple[int, int]) -> int:
        """Into how many windows a picture of ``size`` (height, width) is cut at the largest scale."""
        rows, columns = (self._starts(self._padded(side)) for side in _scaled(size, max(self.scales)))
        return len(rows) * len(columns)

    def _logits(self, image: NDArray[np.uint8]) -> Logits:
        logits = self._windows(image)
        if self.mirror:
            mirrored = self._windows(image[:, ::-1])[:, :, ::-1]
            channels = np.arange(self.classes)
            for left, right in self.flip_pairs:
                channels[[left, right]] = right, left
            logits = (logits + mirrored[channels]) * np.float32(0.5)
        return logits

    def _windows(self, image: NDArray[np.uint8]) -> Logits:
        """The logits of a picture, padded and cut for the network, and put together again."""
        height, width = image.shape[:2]
        padded = np.zeros((self._padded(height), self._padded(width), 3), np.uint8)
        padded[:height, :width] = image
        places = list(self._places(padded.shape[:2]))
        if len(places) == 1:
            return np.ascontiguousarray(self._ask(padded)[:, :height, :width])
        total = np.zeros((self.classes, *padded.shape[:2]), np.float32)
        counts = np.zeros(padded.shape[:2], np.float32)
        for rows, columns in places:
            total[:, rows, columns] += self._ask(padded[rows, columns])
            counts[rows, columns] += 1
        total /= counts
        return np.ascontiguousarray(total[:, :height, :width])

    def _ask(self, image: NDArray[np.uint8]) -> Logits:
        logits = self.predict(np.ascontiguousarray(image)[None])
        expected = (1, self.classes, *image.shape[:2])
        if logits.shape != expected or logits.dtype != np.float32:
            remedy = f"Let the network of --model return {self.classes} channels at the image's size."
            if self.source.endswith(".onnx"):
                remedy = f"Write the file again with mhp-convert WEIGHTS {self.source} --overwrite."
            found = f"gives logits {logits.dtype} {logits.shape}"
            raise EngineError(self.source, found, f"float32 {expected}, for {self.classes} classes", remedy)
        return np.asarray(logits[0])

    def _padded(self, side: int) -> int:
        return -(-max(side, self.least) // self.multiple) * self.multiple

    def _places(self, size: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
        """The windows of a padded picture, each no larger than ``window``, all of one size."""
        rows, columns = (self._starts(side) for side in size)
        height, width = (min(side, self._window) for side in size)
        for top in rows:
            for left in columns:
                yield slice(top, top + height), slice(left, left + width)

    @property
    def _window(self) -> int:
        return self.window // self.multiple * self.multiple

    def _starts(self, side: int) -> list[int]:
        """Where windows begin along a padded side: evenly, so that neighbours share at least a third."""
        if side <= self._window:
            return [0]
        last = side - self._window
        steps = -(-last // (self._window * 2 // 3))
        return [last * i // steps for i in range(steps + 1)]


def input_size(source: tuple[int, int], short: int, place: str) -> tuple[int, int]:
    """The size at which a photo is given to the network: that at which mhp-pack would store it.

    Args:
        source: (height, width) of the photo.
        short: pixels of its short side; the long side becomes a multiple of 8.
        place: names the photo in the error.

    Raises:
        ImageError: so narrow a photo that it would become huge.
    """
    try:
        size = packed_size(*source, short)
    except OptionError as error:
        if not 0 < short <= MAX_SIDE:
            remedy = "Pass --base-size 0 to keep each photo's size, or the pixels of its short side, such as 768."
            raise ImageError(place, f"a short side of {short} is asked for", error.expected, remedy) from error
        raise ImageError(place, error.found, error.expected, _less_narrow(source, short)) from error
    if size[0] * size[1] > LARGEST:
        found = f"{source[0]} x {source[1]} pixels would become {size[0]} x {size[1]}"
        raise ImageError(place, found, f"at most {LARGEST} pixels", _less_narrow(source, short))
    return size


def _less_narrow(source: tuple[int, int], short: int) -> str:
    """What to do about a photo that is too narrow for a short side of ``short``."""
    low, high = 0, short
    while high - low > 1:
        middle = (low + high) // 2
        try:
            size = packed_size(*source, middle)
            fits = size[0] * size[1] <= LARGEST
        except OptionError:
            fits = False
        low, high = (middle, high) if fits else (low, middle)
    remedy = "Crop the photo so that it is less narrow, or leave it out (mhp-predict: --on-error skip)"
    return f"{remedy}{f', or pass --base-size {low} or less' if low >= _LEAST_SHORT else ''}."


def _scaled(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
