"""Select the samples of a split that a contact sheet shows (pure functions of names and numbers)."""

from __future__ import annotations

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mhpdata.errors import OptionError

if TYPE_CHECKING:
    from mhpdata.storage.manifest import Manifest

COUNT = 6
"""Default number of samples in a sheet."""

MAX_ROWS = 64
"""Largest number of samples in a sheet: Agg supports at most 65,535 pixels per side."""

PREFERRED = ("val", "train", "test")
"""Splits in order of preference: the first one with samples is shown unless a split is named."""


@dataclass(frozen=True)
class Selection:
    """A choice of samples: those with ``indices``, those with ``names``, or ``count`` of the split.

    Attributes:
        count: number of samples, spread evenly over the split; None for 6.
        indices, names: indices or names of the samples to show, in this order.
        seed: seed to draw the ``count`` samples at random; None to spread them evenly.

    Raises:
        OptionError: more than one of the three is given.
    """

    count: int | None = None
    indices: Sequence[int] = ()
    names: Sequence[str] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        counted = self.count is not None or self.seed is not None
        if bool(self.indices) + bool(self.names) + counted > 1:
            expected = "indices, or names, or a count (with a seed)"
            remedy = "Pass only --index, or only --name, or only --count and --seed."
            raise OptionError("the samples", "chosen in two ways", expected, remedy)

    def choose(self, all_names: Sequence[str]) -> tuple[int, ...]:
        """Return the indices of the samples, in the order in which they are shown.

        Args:
            all_names: names of the split's samples, in order.

        Raises:
            OptionError: the split lacks an index or name, or the count is outside 1..64.
        """
        total = len(all_names)
        for index in self.indices:
            if not 0 <= index < total:
                expected = f"0..{total - 1}, the split's samples" if total else "none, since the split is empty"
                remedy = f"Pass a number from 0 to {total - 1}." if total else "Pass another --split."
                raise OptionError("index", str(index), expected, remedy)
        for name in self.names:
            if name not in all_names:
                raise OptionError("name", repr(name), "a name in the split", _similar(name, all_names))
        if self.indices or self.names:
            chosen = tuple(self.indices) or tuple(all_names.index(name) for name in self.names)
            if len(chosen) > MAX_ROWS:
                remedy = "Run the command several times with fewer samples, each time with another --out."
                raise OptionError("the samples", f"{len(chosen)}", f"at most {MAX_ROWS}", remedy)
            return chosen
        count = COUNT if self.count is None else self.count
        if not 1 <= count <= MAX_ROWS:
            raise OptionError("count", str(count), f"1..{MAX_ROWS}", f"Pass a number such as {COUNT}.")
        count = min(count, total)
        if self.seed is not None:
            return tuple(sorted(random.Random(self.seed).sample(range(total), count)))
        return tuple((2 * i + 1) * total // (2 * count) for i in range(count))


SPREAD = Selection()
"""COUNT samples, spread evenly over the split."""


def default_split(manifest: Manifest, names: Sequence[str]) -> str:
    """Return the first split with samples that has all ``names``, or without such a split the first with samples.

    Splits are tried in the order of PREFERRED, then in that of the manifest.

    Raises:
        OptionError: no split has samples.
    """
    order = dict.fromkeys((*PREFERRED, *manifest.splits))
    filled = [split for split in order if split in manifest.splits and manifest.splits[split].records]
    if not filled:
        remedy = "Check the download with mhp verify --src, whose lists must name images; then pack with --overwrite."
        raise OptionError("split", "no split has samples", "one with samples", remedy)
    for split in filled:
        known = {name for shard in manifest.splits[split].shards for name in shard.names}
        if known.issuperset(names):
            return split
    return filled[0]


def _similar(name: str, all_names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, all_names, n=3) or all_names[:3]
    return f"Pass {' or '.join(close)}, or another --split." if close else "Pass another --split; this one is empty."
