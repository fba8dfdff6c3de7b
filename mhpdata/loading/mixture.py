"""Combine several splits into one: consecutive indices, and labels of one common set of classes.

::

    index ─> split and index in it ─> the split's Regions; labels through the split's table

``mhpdata.Loader`` reads its samples from a Mixture. A single split without a table keeps its indices and labels.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mhpdata.address import Address
from mhpdata.errors import OptionError
from mhpdata.labels import LabelSet
from mhpdata.loading.region import Regions
from mhpdata.remap import read_remap
from mhpdata.settings.caching import Cache
from mhpdata.storage.split import open_split

Sets = Sequence[tuple[str | Path | Address, str]]


class Handle(NamedTuple):
    """Reader of one sample, with the tables for its labels.

    Attributes:
        regions: Reader of the sample's split.
        inner: Index of the sample in that split.
        classes: Number of classes of the split's records.
        mapped, swapped: uint8 (256,), the split's tables in ``Mixture``.
    """

    regions: Regions
    inner: int
    classes: int
    mapped: np.ndarray
    swapped: np.ndarray


class Mixture:
    """Concatenated splits of packed folders.

    Args:
        sets: (folder, split), at least one.
        overlap, always: As for ``Regions``.
        remap: Table of ``mhpdata.remap``, by name, file or JSON; None if all sets have the same classes.
        cache: As for ``mhpdata.open``.

    Attributes:
        splits: Splits of the sets.
        labels: Classes of the mixture.
        labelled: Whether all sets have labels; otherwise none has.
        mapped, swapped: uint8 (256,) per set: the label of the mixture for each label of the set, and the same for
            mirrored images.

    Raises:
        OptionError: There are no sets, they are incompatible, or the table does not fit them.
        ManifestError, ShardError: A folder cannot be opened.
    """

    def __init__(
        self,
        sets: Sets,
        overlap: str | None = None,
        remap: str | Path | None = None,
        always: bool = False,
        cache: Cache | None = None,
    ) -> None:
        if not sets:
            remedy = 'Pass a list such as [("rec", "train")].'
            raise OptionError("folder", "no dataset", "at least one (folder, split)", remedy)
        self.splits = [open_split(folder, name, cache=cache) for folder, name in sets]
        self._regions = [Regions(split, overlap, always) for split in self.splits]
        self._starts = list(itertools.accumulate((len(split) for split in self.splits), initial=0))
        self.labelled = self._same_labelling()
        self.labels, self.mapped = self._classes(remap)
        self.swapped = [self.labels.mirrored[table] for table in self.mapped]

    def __len__(self) -> int:
        return self._starts[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """Return the number of the set that holds an index, and the index in that set."""
        number = bisect.bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

    def handle(self, index: int) -> Handle:
        """Return the reader of one sample, with the tables that map its labels to those of the mixture."""
        number, inner = self.locate(index)
        split = self.splits[number]
        return Handle(self._regions[number], inner, len(split.classes), self.mapped[number], self.swapped[number])

    @property
    def remote(self) -> bool:
        """Whether a set has an address, so that ``ask`` helps."""
        return any(regions.remote for regions in self._regions)

    def ask(self, indices: np.ndarray) -> None:
        """Fetch samples in advance, of the sets that have an address."""
        numbers = self.groups(indices)
        for number in np.unique(numbers).tolist():
            if self._regions[number].remote:
                self._regions[number].ask((indices[numbers == number] - self._starts[number]).tolist())

    def index(self, number: int, inner: int) -> int:
        """Return the index in the mixture of index ``inner`` in set ``number``: the inverse of ``locate``."""
        return self._starts[number] + inner

    def name(self, index: int) -> str:
        """Return the name of an image; with several sets, prefixed by folder and split."""
        number, inner = self.locate(index)
        split = self.splits[number]
        return split.names[inner] if len(self.splits) == 1 else f"{split.folder}/{split.name}/{split.names[inner]}"

    def groups(self, indices: np.ndarray) -> np.ndarray:
        """Return the number of each index's set: int64 (n,)."""
        return np.searchsorted(np.array(self._starts), indices, side="right") - 1

    def refresh(self) -> None:
        """Call ``Regions.refresh`` of each split."""
        for regions in self._regions:
            regions.refresh()

    def renew(self) -> None:
        """Call ``Regions.renew`` of each split."""
        for regions in self._regions:
            regions.renew()

    def halt(self, halted: bool) -> None:
        """Call ``Split.halt`` of each split."""
        for split in self.splits:
            split.halt(halted)

    def close(self) -> None:
        """Close the files."""
        for split in self.splits:
            split.close()

    def _same_labelling(self) -> bool:
        labelled = [split.manifest.splits[split.name].labelled for split in self.splits]
        if len(set(labelled)) > 1:
            bare = ", ".join(f"{s.folder}, {s.name}" for s, has in zip(self.splits, labelled, strict=True) if not has)
            found = f"no labels in {bare}, and labels in other splits"
            raise OptionError(
                "data",
                found,
                "labels in all splits or in none",
                f"To train, leave out {bare}; to predict, open it alone.",
            )
        return labelled[0]

    def _classes(self, remap: str | Path | None) -> tuple[LabelSet, list[np.ndarray]]:
        sets = [(split.manifest.layout, split.manifest.labels) for split in self.splits]
        if remap is not None:
            table = read_remap(remap)
            return table.labels(sets), [table.table(*one) for one in sets]
        if len({(labels.names, labels.flip_pairs) for _, labels in sets}) > 1:
            found = " and ".join(f"{len(labels)} classes of {layout}" for layout, labels in sets)
            found += f" in {' and '.join(str(split.folder) for split in self.splits)}"
            remedy = 'Pass --remap common (in Python: Mix(remap="common")), or a table of your own (docs/datasets.md).'
            raise OptionError("data", found, "the same classes in all", remedy)
        return sets[0][1], [np.arange(256, dtype=np.uint8) for _ in sets]
