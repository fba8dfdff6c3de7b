"""Compute weights for rare classes from a manifest's statistics: of classes in a loss, and of images in sampling.

Class weights are ENet's, w = 1 / ln(1.02 + p), where p is the class's share of the labelled pixels (A. Paszke et al.
2016, "ENet", arXiv 1606.02147, section 5.2), between 1.42 and 50.5. They are divided by their mean over the pixels, so
the weighted loss has the scale of the unweighted one, and the learning rate needs no change.

Image weights are the repeat factors of LVIS: the maximum of sqrt(t / f) over an image's classes, at least 1, where f is
the share of the images that show the class (A. Gupta, P. Dollar, R. Girshick 2019, "LVIS", arXiv 1908.03195, section
4.3). LVIS sets t to 0.001 for 1,203 classes. With few classes, t is the median f of the classes that occur, without
background, so half of them count as rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mhpdata.address import Address
from mhpdata.errors import OptionError
from mhpdata.labels import IGNORE
from mhpdata.loading.mixture import Mixture, Sets
from mhpdata.settings.mixing import Mix
from mhpdata.storage.split import Split
from mhpdata.wording import counted

ENET = 1.02
UNIT = 1 << 16
"""An image weight of 1 as an integer, for ``sampling.weighted``."""


def class_weights(
    folder: str | Path | Address | Sets,
    split: str = "train",
    mix: Mix = Mix(),
) -> np.ndarray:
    """Return a weight per class for a loss, larger for classes with fewer pixels.

    Multiply each pixel's loss by the weight of its label before the mean over labelled pixels; the sum of p * w is 1.
    A class that does not occur has the weight of a share of 0.

    Args:
        folder: Packed folder, or several sets, as for ``mhpdata.Loader``.
        split: Name of the split of ``folder``; ignored for several sets.
        mix: Weights and labels of several sets.

    Returns:
        float32 (classes,), the weight of each class.

    Raises:
        OptionError: A split has no labels, or as for the loader.
        ManifestError: A folder cannot be opened.
    """
    mixture = Mixture([(folder, split)] if isinstance(folder, str | Path | Address) else folder, remap=mix.remap)
    try:
        pixels = np.array([_pixels(mixture, number) for number in range(len(mixture.splits))])
        sizes = np.array([len(one) for one in mixture.splits], np.float64)
    finally:
        mixture.close()
    shares = shares_of(sizes, mix.weights)
    p = (shares[:, None] * pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)).sum(axis=0)
    if not p.any():
        found = f"no labelled pixel in {' + '.join(f'{one.folder}, {one.name}' for one in mixture.splits)}"
        remedy = "Pass a split with labels, such as train, or omit the class weights."
        raise OptionError("split", found, "a split with labels", remedy)
    p /= p.sum()
    weights = 1 / np.log(ENET + p)
    return np.asarray(weights / (p * weights).sum(), np.float32)


def shares_of(sizes: np.ndarray, weights: Sequence[float] | None) -> np.ndarray:
    """Return the share of each set in an epoch: float64 (sets,), sum 1; by size if there are no weights.

    Raises:
        OptionError: The number of weights is not that of the sets.
    """
    if weights is None:
        return np.asarray(sizes / max(float(sizes.sum()), 1.0))
    given = np.array(weights, np.float64)
    if given.shape != sizes.shape:
        found = f"{tuple(weights)} for {counted(len(sizes), 'set')}"
        example = ",".join("1" * len(sizes))
        remedy = f"Pass, for example, {example} (mhp train: --mix)."
        raise OptionError("weights", found, "one number above 0 per set", remedy)
    return np.asarray(given / given.sum())


def image_weights(mixture: Mixture, samples: np.ndarray, rare: bool, weights: Sequence[float] | None) -> np.ndarray:
    """Return the sampling weight of each sample: int64 (n,), at least 1; equal weights are about UNIT.

    Args:
        mixture: Sets that hold the samples.
        samples: int64 (n,), indices in the mixture.
        rare: Whether to oversample images with rare classes.
        weights: Relative share of each set in an epoch; None for equal weights of all samples.
    """
    repeat = np.ones(len(samples))
    groups = mixture.groups(samples)
    if rare:
        shown = _shown(mixture, samples)
        frequency = shown.mean(axis=0)
        present = frequency > 0
        present[0] = False
        threshold = float(np.median(frequency[present])) if present.any() else 0.0
        factors = np.where(present, np.sqrt(threshold / np.where(present, frequency, 1.0)), 0.0)
        repeat = np.maximum(1.0, (shown * factors).max(axis=1))
    if weights is not None:
        shares = shares_of(np.array([len(one) for one in mixture.splits], np.float64), weights)
        sums = np.bincount(groups, repeat, minlength=len(shares))
        if (sums == 0).any():
            empty = mixture.splits[int(np.argmin(sums))]
            found = f"a weight for {empty.folder}, {empty.name}, which has no selected image"
            remedy = "Leave this set and its weight out (mhp train: its --data and its number in --mix)."
            raise OptionError("weights", found, "sets with images", remedy)
        repeat = repeat * (shares / sums)[groups] * len(samples)
    return np.maximum(1, np.rint(repeat * UNIT)).astype(np.int64)


def _pixels(mixture: Mixture, number: int) -> np.ndarray:
    """Return the number of pixels of each class of the mixture in one set: float64 (classes,)."""
    split = mixture.splits[number]
    counted = np.zeros(256)
    stated = split.manifest.splits[split.name].statistics.class_pixels
    np.add.at(counted, mixture.mapped[number][: len(stated)], stated)
    return counted[: len(mixture.labels)]


def _shown(mixture: Mixture, samples: np.ndarray) -> np.ndarray:
    """Return whether each sample shows each class of the mixture: bool (n, classes)."""
    tables = [classes_of(split) for split in mixture.splits]
    shown = np.zeros((len(samples), 256), np.bool_)
    for row, index in enumerate(samples.tolist()):
        number, inner = mixture.locate(index)
        bits = tables[number][inner]
        old = [label for label in range(bits.bit_length()) if bits >> label & 1]
        shown[row, mixture.mapped[number][old]] = True
    shown[:, IGNORE] = False
    return np.asarray(shown[:, : len(mixture.labels)])


def classes_of(split: Split) -> tuple[int, ...]:
    """Return the labels that occur in each record, as bits (bit c for label c).

    They stand in the manifest; for a manifest of mhp 0.1, the runs of every record are read.
    """
    shards = split.manifest.splits[split.name].shards
    if all(len(shard.classes) == len(shard.names) for shard in shards):
        return tuple(bits for shard in shards for bits in shard.classes)
    occurring = []
    for index in range(len(split)):
        runs = split.record(index).runs
        labels = () if runs is None else np.unique(runs >> np.uint32(16) & np.uint32(0xFF)).tolist()
        occurring.append(sum(1 << label for label in labels if label != IGNORE))
    return tuple(occurring)
