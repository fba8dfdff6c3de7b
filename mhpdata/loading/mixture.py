"""Several splits as one: indices run on from split to split, labels become those of one set of classes.

::

    index ─> split, its own index ─> region's bytes, as of one split; labels through the split's table

What ``mhpdata.Loader`` draws from. Of a single split without a table all is as the split has it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.labels import LabelSet
from mhpdata.loading.region import Regions
from mhpdata.remap import read_remap
from mhpdata.storage.split import open_split

Sets = Sequence[tuple[str | Path, str]]


class Handle(NamedTuple):
    """One sample: its split's reader, and how its labels are mapped.

    Attributes:
        regions: reads its split.
        inner: its index in that split.
        classes: that a record of its split may name.
        plain, swapped: uint8 (256,), as of ``Mixture``.
    """

    regions: Regions
    inner: int
    classes: int
    plain: np.ndarray
    swapped: np.ndarray


class Mixture:
    """Splits of packed folders, one after the other.

    Args:
        sets: (folder, split), at least one.
        overlap, always: as for ``Regions``.
        remap: a table of ``mhpdata.remap``, by name, file or JSON; None where all sets have the same classes.

    Attributes:
        splits: of the sets.
        labels: the classes of all.
        labelled: whether there are labels, in all sets or in none.
        plain, swapped: uint8 (256,) for each set: what a label becomes; the same in a mirrored picture.

    Raises:
        OptionError: no set, sets that do not go together, or a table that does not fit them.
        ManifestError, ShardError: a folder cannot be opened.
    """

    def __init__(
        self, sets: Sets, overlap: str | None = None, remap: str | Path | None = None, always: bool = False
    ) -> None:
        if not sets:
            remedy = 'Pass a list such as [("rec", "train")].'
            raise OptionError("folder", "no dataset", "at least one (folder, split)", remedy)
        self.splits = [open_split(folder, name) for folder, name in sets]
        self._regions = [Regions(split, overlap, always) for split in self.splits]
        self._starts = list(itertools.accumulate((len(split) for split in self.splits), initial=0))
        self.labelled = self._same_labelling()
        self.labels, self.plain = self._classes(remap)
        self.swapped = [self.labels.mirrored[table] for table in self.plain]

    def __len__(self) -> int:
        return self._starts[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """Return the set that an index is in, and the index there."""
        number = bisect.bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

    def handle(self, index: int) -> Handle:
        """Return what reads one sample and turns its labels into those of the mixture."""
        number, inner = self.locate(index)
        split = self.splits[number]
        return Handle(self._regions[number], inner, len(split.classes), self.plain[number], self.swapped[number])

    def index(self, number: int, inner: int) -> int:
        """The index here of one in a set: what ``locate`` undoes."""
        return self._starts[number] + inner

    def name(self, index: int) -> str:
        """The name of an image; of several sets with folder and split before it."""
        number, inner = self.locate(index)
        split = self.splits[number]
        return split.names[inner] if len(self.splits) == 1 else f"{split.folder}/{split.name}/{split.names[inner]}"

    def groups(self, indices: np.ndarray) -> np.ndarray:
        """The set of each index: int64 (n,)."""
        return np.searchsorted(np.array(self._starts), indices, side="right") - 1

    def refresh(self) -> None:
        """Call ``Regions.refresh`` of each split."""
        for regions in self._regions:
            regions.refresh()

    def renew(self) -> None:
        """Call ``Regions.renew`` of each split."""
        for regions in self._regions:
            regions.renew()

    def close(self) -> None:
        """Let go of the files."""
        for split in self.splits:
            split.close()

    def _same_labelling(self) -> bool:
        labelled = [split.manifest.splits[split.name].labelled for split in self.splits]
        if len(set(labelled)) > 1:
            bare = ", ".join(f"{s.folder}, {s.name}" for s, has in zip(self.splits, labelled, strict=True) if not has)
            found = f"{bare} without labels, mixed with others that have labels"
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
            found += f", in {' and '.join(str(split.folder) for split in self.splits)}"
            remedy = 'Pass --remap common, in Python Mix(remap="common"), or a table of your own (docs/datasets.md).'
            raise OptionError("data", found, "the same classes in all", remedy)
        return sets[0][1], [np.arange(256, dtype=np.uint8) for _ in sets]
