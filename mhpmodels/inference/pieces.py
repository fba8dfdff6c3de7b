"""Compute the logits of an image of any size in bounded memory.

::

    image (h, w, 3) ─each scale─> resized ─mirrored, too─> ─padded, or cut into windows─> predict ─> logits (C, H, W)
          ─padding off, mirrored back, left and right channels exchanged─> their mean ─softmax─> mean at (h, w)

The rule: logits of padding are never returned. Images are padded with black at the bottom and on the right, as crops
are in training, to the next size that the network accepts; the logits are cropped to the image. With one scale and no
mirror image, the network's logits are returned unchanged. A network with a fixed input size gets the whole image at
that size, and its logits are resized back (``mhpmodels.inference.fit``).

GluonCV's MultiEvalModel (``gluoncv/model_zoo/segbase.py``) has the same scales and mirror images, but differs in three
points: it does not exchange left and right channels of the mirror image; it adds unnormalised exp(logits), so the scale
with the largest logits dominates (here scales are averaged with equal weight); and its scales are relative to the
network's base size on the long side (here to the image itself).

In: uint8 (h, w, 3) RGB, 0..255. Out: float32 (C, h, w). Peak memory of a large image is three times its logits (12
bytes per pixel and class), plus the memory that the network needs for one window.
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
from mhpmodels.inference.fit import fit_back, fit_image
from mhpmodels.inference.rescale import Logits, add_person_maps, add_probabilities
from mhpmodels.models import QUERY_MAPS
from mhpmodels.networks.preprocessing import IMAGENET, Preprocessing

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
"""An engine's predict: uint8 images (N, H, W, 3) -> float32 logits (N, C, H, W)."""

SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""GluonCV's scales, for ``--multi-scale``."""

WINDOW = 2048
"""Side in pixels above which an image is processed in windows: at short side 768 and scale 1, images more than 2.6
times as long as wide."""

LARGEST = 1 << 24
"""Maximum number of pixels of a network's input: 19 logits per pixel take 1.3 GB, at scale 1.75 three times as much."""

_LEAST_SHORT = 64
"""Smallest short side that an error suggests, in pixels."""


_OTHER_CLASSES = (
    "Pass a checkpoint that was trained on the classes of this data, or the data that this one was trained on."
)
"""Remedy for a network with more outputs than there are classes."""


@dataclass(frozen=True)
class Inference:
    """Run a network on images of any size.

    Attributes:
        predict: an engine's ``predict``.
        classes: number of channels of its logits.
        multiple: the network's input sides are multiples of this, in pixels.
        least: smallest input side, in pixels.
        scales: scales of the image, each above 0.
        mirror: average the logits with those of the mirror image, at each scale.
        flip_pairs: (left, right) channels to exchange in a mirror image.
        window: largest input side, in pixels; windows overlap by at least a third.
        person_maps: number of channels after the logits, those that tell persons apart. The three of heads of persons
            are averaged where windows overlap, as logits; the two of queries number the persons of one input, so an
            image with persons must not need windows.
        source: path of the checkpoint, for error messages.
        preprocessing: of the network; only its size and how images are brought to it are used, the rest belongs to
            ``predict``.
        background: class 0 is background; persons of queries are then restricted to the other labels.
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
    person_maps: int = 0
    preprocessing: Preprocessing = IMAGENET
    background: bool = True

    def __post_init__(self) -> None:
        if self.scales != (1.0,) or self.mirror:
            if self.preprocessing.size is not None:
                height, width = self.preprocessing.size
                found = f"given for a network whose input is always {height} x {width} (height x width)"
                raise OptionError("multi_scale", found, "one scale", "Omit --multi-scale.")
            if self.person_maps == QUERY_MAPS:
                remedy = (
                    "Omit --multi-scale, or the persons: mhp predict without --persons, mhp eval with --no-persons."
                )
                raise OptionError("multi_scale", "given for persons of queries", "one scale", remedy)
        check_range("window", self.window, max(3 * self.multiple, self.least), 1 << 16)

    def __call__(self, image: NDArray[np.uint8]) -> Logits:
        """Return the scores of an image: its logits, or with several scales the mean of their probabilities.

        The maps of persons follow, with several scales their mean at the image's size.

        Args:
            image: uint8 (h, w, 3), RGB.

        Returns:
            float32 (C, h, w), C including ``person_maps``.

        Raises:
            EngineError: the network returns logits of a wrong shape or type.
        """
        if not self.probabilities:
            return self._logits(image)
        total = np.zeros((self.classes + self.person_maps, *image.shape[:2]), np.float32)
        for scale in self.scales:
            scores = self._logits(resize_image(image, _scaled(image.shape[:2], scale)))
            add_probabilities(scores[: self.classes], total[: self.classes])
            if self.person_maps:
                add_person_maps(scores[self.classes :], total[self.classes :])
        total /= len(self.scales)
        return total

    @property
    def probabilities(self) -> bool:
        """Whether the scores of classes are probabilities, not logits."""
        return self.scales != (1.0,)

    @property
    def takes_batches(self) -> bool:
        """Whether ``predict`` alone gives the scores of crops that the loader normalised."""
        return self.preprocessing == IMAGENET and self.scales == (1.0,) and not self.mirror

    def check_classes(self, classes: int, owner: str) -> None:
        """Raise OptionError if the network has more outputs than ``owner``, named in the error, has classes."""
        if self.classes > classes:
            found, expected = f"has {self.classes} outputs", f"at most {classes}, the number of classes in {owner}"
            raise OptionError(self.source, found, expected, _OTHER_CLASSES)

    def pieces(self, size: tuple[int, int]) -> int:
        """Return the number of windows of an image of ``size`` (height, width) at the largest scale."""
        if self.preprocessing.size is not None:
            return 1
        rows, columns = (self._starts(self._padded(side)) for side in _scaled(size, max(self.scales)))
        return len(rows) * len(columns)

    def _logits(self, image: NDArray[np.uint8]) -> Logits:
        logits = self._windows(image)
        if self.mirror:
            mirrored = self._windows(image[:, ::-1])[:, :, ::-1]
            channels = np.arange(self.classes + self.person_maps)
            for left, right in self.flip_pairs:
                channels[[left, right]] = right, left
            mirrored = mirrored[channels]
            if self.person_maps:
                mirrored[-1] *= -1  # offsets to the right
            logits = (logits + mirrored) * np.float32(0.5)
        return logits

    def _windows(self, image: NDArray[np.uint8]) -> Logits:
        """Return the logits of an image, averaged where its windows overlap."""
        height, width = image.shape[:2]
        size, fit = self.preprocessing.size, self.preprocessing.fit
        if size is not None:
            found = self._ask(fit_image(image, size, fit))
            logits = fit_back(found[: self.classes], (height, width), fit)
            if not self.person_maps:
                return logits
            maps = fit_back(found[self.classes :], (height, width), fit, nearest=self.person_maps == QUERY_MAPS)
            return np.concatenate([logits, maps])
        padded = np.zeros((self._padded(height), self._padded(width), 3), np.uint8)
        padded[:height, :width] = image
        windows = list(self._slices(padded.shape[:2]))
        if len(windows) == 1:
            return np.ascontiguousarray(self._ask(padded)[:, :height, :width])
        if self.person_maps == QUERY_MAPS:
            expected = f"at most {self.window} pixels per side, for a network that finds persons by queries"
            remedy = (
                f"Pass --window {max(padded.shape[:2])}, or omit the persons: mhp predict without --persons, mhp eval "
                "with --no-persons."
            )
            raise ImageError(
                self.source, f"an input of {height} x {width} (height x width) needs windows", expected, remedy
            )
        total = np.zeros((self.classes + self.person_maps, *padded.shape[:2]), np.float32)
        counts = np.zeros(padded.shape[:2], np.float32)
        for rows, columns in windows:
            total[:, rows, columns] += self._ask(padded[rows, columns])
            counts[rows, columns] += 1
        total /= counts
        return np.ascontiguousarray(total[:, :height, :width])

    def _ask(self, image: NDArray[np.uint8]) -> Logits:
        logits = self.predict(np.ascontiguousarray(image)[None])
        expected = (1, self.classes + self.person_maps, *image.shape[:2])
        if logits.shape != expected or logits.dtype != np.float32:
            remedy = f"Make the network of --model return {self.classes} channels at the image's size."
            if self.source.endswith(".onnx"):
                remedy = f"Write the file again with mhp convert WEIGHTS {self.source} --overwrite."
            found = f"returned logits {logits.dtype} {logits.shape}"
            raise EngineError(self.source, found, f"float32 {expected}, for {self.classes} classes", remedy)
        return np.asarray(logits[0])

    def _padded(self, side: int) -> int:
        return -(-max(side, self.least) // self.multiple) * self.multiple

    def _slices(self, size: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
        """Yield the (rows, columns) of a padded image's windows, all of one size and no larger than ``window``."""
        rows, columns = (self._starts(side) for side in size)
        height, width = (min(side, self._window) for side in size)
        for top in rows:
            for left in columns:
                yield slice(top, top + height), slice(left, left + width)

    @property
    def _window(self) -> int:
        return self.window // self.multiple * self.multiple

    def _starts(self, side: int) -> list[int]:
        """Return the offsets of windows along a padded side: evenly spaced, neighbours sharing at least a third."""
        if side <= self._window:
            return [0]
        last = side - self._window
        intervals = -(-last // (self._window * 2 // 3))
        return [last * i // intervals for i in range(intervals + 1)]


def input_size(source: tuple[int, int], short: int, place: str) -> tuple[int, int]:
    """Return the input size of an image for the network, (height, width): the size at which mhp pack stores it.

    Args:
        source: (height, width) of the image.
        short: short side to resize to, in pixels; the long side becomes a multiple of 8.
        place: name of the image, for error messages.

    Raises:
        ImageError: the image is so narrow that it would become huge.
    """
    try:
        size = packed_size(*source, short)
    except OptionError as error:
        if not 0 < short <= MAX_SIDE:
            remedy = "Pass --base-size 0 to keep each image's size, or the pixels of its short side, such as 768."
            raise ImageError(place, f"cannot be resized to a short side of {short}", error.expected, remedy) from error
        raise ImageError(place, error.found, error.expected, _less_narrow(source, short)) from error
    if size[0] * size[1] > LARGEST:
        found = f"{source[0]} x {source[1]} pixels would become {size[0]} x {size[1]} (height x width)"
        raise ImageError(place, found, f"at most {LARGEST} pixels", _less_narrow(source, short))
    return size


def _less_narrow(source: tuple[int, int], short: int) -> str:
    """Return the remedy for an image that is too narrow for a short side of ``short``."""
    low, high = 0, short
    while high - low > 1:
        middle = (low + high) // 2
        try:
            size = packed_size(*source, middle)
            fits = size[0] * size[1] <= LARGEST
        except OptionError:
            fits = False
        low, high = (middle, high) if fits else (low, middle)
    smaller = f", or pass --base-size {low} or less" if low >= _LEAST_SHORT else ""
    return f"Crop the image to make it less narrow{smaller}. mhp predict skips this image with --on-error skip."


def _scaled(size: tuple[int, ...], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
