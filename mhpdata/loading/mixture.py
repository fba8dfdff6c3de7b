"""Several splits as one: indices run on from split to split, labels become those of one set of classes.

::

    index ─> split, its own index ─> region's bytes, as of one split; labels through the split's table

What ``mhpdata.Loader`` draws from. Of a single split without a table all is as the split has it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.drawing.placement import Placement
from mhpdata.drawing.source import Source
from mhpdata.errors import OptionError, RecordError
from mhpdata.labels import LabelSet
from mhpdata.loading.leaks import find_leaks, refuse
from mhpdata.loading.region import Found, Reading, Regions
from mhpdata.remap import read_remap
from mhpdata.storage.split import Split, open_split
from mhpdata.wording import counted

Sets = Sequence[tuple[str | Path, str]]
Names = Iterable[str] | Sequence[Iterable[str] | None] | None


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
            raise OptionError("folder", "no set", "at least one (folder, split)", remedy)
        self.splits = [open_split(folder, name) for folder, name in sets]
        self._regions = [Regions(split, overlap, always) for split in self.splits]
        self._starts = list(itertools.accumulate((len(split) for split in self.splits), initial=0))
        self.labelled = self._same_labelling()
        self.labels, self.plain = self._classes(remap)
        self.swapped = [self.labels.mirrored[table] for table in self.plain]

    def __len__(self) -> int:
        return self._starts[-1]

    def locate(self, index: int) -> tuple[int, int]:
        """The set that an index is in, and the index there."""
        number = bisect.bisect_right(self._starts, index) - 1
        return number, index - self._starts[number]

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

    def choose(self, names: Names, where: Callable[[str], bool] | None) -> np.ndarray:
        """The indices, rising, of images that are among ``names`` and pass ``where``.

        Args:
            names: of a single set its names; of several one collection, or None, each.

        Raises:
            OptionError: they leave no image of a set.
        """
        lists: list[Any] = (
            [names] if len(self.splits) == 1 else list([None] * len(self.splits) if names is None else names)
        )
        if len(lists) != len(self.splits):
            remedy = f"Pass a list of {len(self.splits)}, with None for each set of which all images are wanted."
            raise OptionError("names", f"{len(lists)} collections", f"{len(self.splits)}, one a set", remedy)
        chosen: list[int] = []
        for number, (split, wanted) in enumerate(zip(self.splits, lists, strict=True)):
            among_names = None if wanted is None else set(wanted)
            among = _subset(split, among_names, where)
            if not among:
                option = "where" if among_names or among_names is None else "names"
                remedy = f"Leave {option} out to take all {len(split)}; their names are such as {split.names[0]!r}."
                raise nothing_left(option, split, remedy)
            chosen += [self._starts[number] + index for index in among]
        return np.array(chosen, np.int64)

    # What Regions does, by the index of all.

    def without_leaks(self, chosen: np.ndarray, leaks: str, limit: int | None) -> np.ndarray:
        """At most ``limit`` of the chosen samples, no evaluated image among them.

        Raises:
            LeakError: one is, and ``leaks`` is not "skip".
            OptionError: "skip" leaves no sample of a set.
        """
        found = find_leaks(self.splits)
        if leaks == "skip":
            leaked = [self.index(number, inner) for number, one in enumerate(found) for inner in one]
            kept = chosen[~np.isin(chosen, leaked)]
            for number, split in enumerate(self.splits):
                if not (self.groups(kept) == number).any():
                    remedy = "Leave this set out of training (mhp-train: its --data, and its number in --mix)."
                    raise nothing_left("leaks", split, remedy)
            return kept[:limit]
        chosen = chosen[:limit]
        among = set(chosen.tolist())
        refuse(
            self.splits,
            [
                {inner: place for inner, place in one.items() if self.index(number, inner) in among}
                for number, one in enumerate(found)
            ],
        )
        return chosen

    def refresh(self) -> None:
        """Call ``Regions.refresh`` of each split."""
        for regions in self._regions:
            regions.refresh()

    def renew(self) -> None:
        """Call ``Regions.renew`` of each split."""
        for regions in self._regions:
            regions.renew()

    def most(self, index: int, found: Found) -> tuple[int, int]:
        """How many classes and persons a record's runs may name."""
        number, _ = self.locate(index)
        return len(self.splits[number].classes), found.persons

    def find(self, index: int, reading: Reading | None = None) -> Found:
        """As ``Regions.find``."""
        number, inner = self.locate(index)
        return self._regions[number].find(inner, reading)

    def picture(self, index: int, found: Found, place: Placement, reading: Reading) -> tuple[np.ndarray, Source]:
        """As ``Regions.picture``."""
        number, inner = self.locate(index)
        return self._regions[number].picture(inner, found, place, reading)

    def runs(self, index: int, found: Found, reading: Reading) -> tuple[np.ndarray, np.ndarray]:
        """As ``Regions.runs``."""
        number, inner = self.locate(index)
        return self._regions[number].runs(inner, found, reading)

    def expect(self, index: int) -> None:
        """As ``Regions.expect``."""
        number, inner = self.locate(index)
        self._regions[number].expect(inner)

    def damaged(self, index: int, found: str, expected: str = "") -> RecordError:
        """As ``Regions.damaged``."""
        number, inner = self.locate(index)
        return self._regions[number].damaged(inner, found, expected)

    def close(self) -> None:
        """Let go of the files."""
        for split in self.splits:
            split.close()

    def _same_labelling(self) -> bool:
        labelled = [split.manifest.splits[split.name].labelled for split in self.splits]
        if len(set(labelled)) > 1:
            bare = ", ".join(f"{s.folder}, {s.name}" for s, has in zip(self.splits, labelled, strict=True) if not has)
            found = f"{bare} without labels beside others that have some"
            raise OptionError(
                "data", found, "all with, or all without", f"To train, leave out {bare}; to predict, open it alone."
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
            remedy = 'Pass --remap common, in Python remap="common", or a table of your own (docs/datasets.md).'
            raise OptionError("data", found, "the same classes in all", remedy)
        return sets[0][1], [np.arange(256, dtype=np.uint8) for _ in sets]


def nothing_left(option: str, split: Split, remedy: str) -> OptionError:
    """The error of an option that leaves out all samples of a set."""
    return OptionError(option, f"leaves no sample of {split.folder}, split {split.name}", "at least one", remedy)


def refuse_no_batch(samples: int, batch_size: int, world_size: int) -> None:
    """Raises OptionError where not even one batch of each rank is full, and only such count."""
    if samples < batch_size * world_size:
        found = f"{batch_size}, where {counted(samples, 'sample')}"
        found += f" for {world_size} ranks" if world_size > 1 else ""
        found += " and drop_last leave no full batch"
        remedy = f"Pass {samples // world_size} or less; in Python drop_last=False takes smaller batches, too."
        if samples < world_size:
            remedy = f"Start at most {counted(samples, 'process', 'processes')}; in Python pass drop_last=False."
        raise OptionError("batch_size", found, "at least one full batch on each rank", remedy)


def _subset(split: Split, names: Iterable[str] | None, where: Callable[[str], bool] | None) -> list[int]:
    """The indices of a split's images that are among ``names`` and pass ``where``, in the split's order."""
    wanted = None if names is None else set(names)
    if wanted is not None and not wanted <= set(split.names):
        missing = sorted(wanted - set(split.names))
        found = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        like = f", such as {split.names[0]!r}" if split.names else ""
        remedy = f'Leave these out: mhpdata.open("{split.folder}", "{split.name}").names has all{like}.'
        if not all(isinstance(name, str) for name in missing):
            remedy = f"Pass names as text{like}."
        raise OptionError("names", found, f"names of {split.folder}, split {split.name}", remedy)
    return [
        i for i, name in enumerate(split.names) if (wanted is None or name in wanted) and (where is None or where(name))
    ]
