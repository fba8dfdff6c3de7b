"""What the statistics of a manifest say about rare classes: weights for a loss, and for how often an image is drawn.

Class weights are ENet's, w = 1 / ln(1.02 + p), p the class's share of the labelled pixels (A. Paszke et al. 2016,
"ENet", arXiv 1606.02147, section 5.2), between 1.42 and 50.5; here divided by their mean over the pixels, so that the
weighted loss has the size of the plain one and a learning rate keeps its meaning.

Image weights are the repeat factors of LVIS, the largest sqrt(t / f) of an image's classes and at least 1, f the share
of the images that show the class (A. Gupta, P. Dollar, R. Girshick 2019, "LVIS", arXiv 1908.03195, section 4.3). LVIS
sets t to 0.001 of 1,203 classes; with few classes t is the median f of those that occur, background left out: half of
them are rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.labels import IGNORE
from mhpdata.loading.mixture import Mixture, Sets
from mhpdata.settings.mixing import Mix
from mhpdata.storage.split import Split
from mhpdata.wording import counted

ENET = 1.02
UNIT = 1 << 16
"""An image weight of 1, for ``order.weighted``."""


def class_weights(
    folder: str | Path | Sets,
    split: str = "train",
    mix: Mix = Mix(),
) -> np.ndarray:
    """A weight for each class in a loss, the larger the rarer its pixels are: float32 (classes,).

    Of the mean loss over labelled pixels, each pixel's times the weight of its label: the sum of p * w is 1. A class
    that does not occur has the weight of a share of 0.

    Args:
        folder, split, mix: as for ``mhpdata.Loader``.

    Raises:
        OptionError: a split without labels, or as for the loader.
        ManifestError: a folder cannot be opened.
    """
    mixture = Mixture([(folder, split)] if isinstance(folder, str | Path) else folder, remap=mix.remap)
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
    found = 1 / np.log(ENET + p)
    return np.asarray(found / (p * found).sum(), np.float32)


def shares_of(sizes: np.ndarray, weights: Sequence[float] | None) -> np.ndarray:
    """The share of an epoch that each set has: float64, sum 1; by size where there are no weights.

    Raises:
        OptionError: not one weight per set.
    """
    if weights is None:
        return np.asarray(sizes / max(float(sizes.sum()), 1.0))
    given = np.array(weights, np.float64)
    if given.shape != sizes.shape:
        found = f"{tuple(weights)} for {counted(len(sizes), 'set')}"
        example = ",".join("1" * len(sizes))
        remedy = f"Pass {counted(len(sizes), 'number')} above 0, such as {example} (mhp-train: --mix)."
        raise OptionError("weights", found, "one number above 0 for each set", remedy)
    return np.asarray(given / given.sum())


def image_weights(mixture: Mixture, samples: np.ndarray, rare: bool, weights: Sequence[float] | None) -> np.ndarray:
    """How often each sample is to come, in proportion: int64 (n,), at least 1; equal ones are about UNIT.

    Args:
        samples: indices of the mixture.
        rare: images with rare classes more often. weights: of the sets; None for each sample alike.
    """
    repeat = np.ones(len(samples))
    groups = mixture.groups(samples)
    if rare:
        shown = _shown(mixture, samples)
        often = shown.mean(axis=0)
        present = often > 0
        present[0] = False
        threshold = float(np.median(often[present])) if present.any() else 0.0
        factors = np.where(present, np.sqrt(threshold / np.where(present, often, 1.0)), 0.0)
        repeat = np.maximum(1.0, (shown * factors).max(axis=1))
    if weights is not None:
        shares = shares_of(np.array([len(one) for one in mixture.splits], np.float64), weights)
        sums = np.bincount(groups, repeat, minlength=len(shares))
        if (sums == 0).any():
            empty = mixture.splits[int(np.argmin(sums))]
            found = f"one for {empty.folder}, {empty.name}, of which no image is chosen"
            remedy = "Leave this set and its weight out (mhp-train: its --data and its number in --mix)."
            raise OptionError("weights", found, "sets with images", remedy)
        repeat = repeat * (shares / sums)[groups] * len(samples)
    return np.maximum(1, np.rint(repeat * UNIT)).astype(np.int64)


def _pixels(mixture: Mixture, number: int) -> np.ndarray:
    """Pixels of each class of the mixture in one set: float64 (classes,)."""
    split = mixture.splits[number]
    counted = np.zeros(256)
    stated = split.manifest.splits[split.name].statistics.class_pixels
    np.add.at(counted, mixture.plain[number][: len(stated)], stated)
    return counted[: len(mixture.labels)]


def _shown(mixture: Mixture, samples: np.ndarray) -> np.ndarray:
    """Which classes of the mixture each sample shows: bool (n, classes)."""
    tables = [classes_of(split) for split in mixture.splits]
    shown = np.zeros((len(samples), 256), np.bool_)
    for row, index in enumerate(samples.tolist()):
        number, inner = mixture.locate(index)
        bits = tables[number][inner]
        old = [label for label in range(bits.bit_length()) if bits >> label & 1]
        shown[row, mixture.plain[number][old]] = True
    shown[:, IGNORE] = False
    return np.asarray(shown[:, : len(mixture.labels)])


def classes_of(split: Split) -> tuple[int, ...]:
    """The labels that occur in each record, bit c for label c: by the manifest, or where an older mhp wrote it by every
    record's runs."""
    shards = split.manifest.splits[split.name].shards
    if all(len(shard.classes) == len(shard.names) for shard in shards):
        return tuple(bits for shard in shards for bits in shard.classes)
    found = []
    for index in range(len(split)):
        runs = split.record(index).runs
        labels = () if runs is None else np.unique(runs >> np.uint32(16) & np.uint32(0xFF)).tolist()
        found.append(sum(1 << label for label in labels if label != IGNORE))
    return tuple(found)
