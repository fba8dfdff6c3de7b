"""Options of a site, checked, and what its thumbnails and layers depend on.

The commands take their choices from here, so this module imports nothing heavy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mhpdata.errors import OptionError
from mhpdata.options import OVERLAPS, check_choice

if TYPE_CHECKING:
    from mhpdata.storage.manifest import Manifest

FULL = 100
"""Default number of samples with layers at full size."""
ALL = "all"
MOST_PREDICTIONS = 2
FORM = 1
"""Version of the files of a site; a site of another version is made again."""


@dataclass(frozen=True)
class SiteOptions:
    """Options of a site.

    Attributes:
        splits: names of the splits; none for all.
        full: number of samples with layers at full size, or "all".
        predictions: up to two folders of predictions (mhpmodels.browsing.predicted).
        overlap: a second overlap rule to compare with that of the pack; None for none.
        against: another packed folder to compare with; None for none.

    Raises:
        OptionError: a value is invalid.
    """

    splits: tuple[str, ...] = ()
    full: int | str = FULL
    predictions: tuple[str, ...] = ()
    overlap: str | None = None
    against: str | None = None

    def __post_init__(self) -> None:
        if self.full != ALL and (not isinstance(self.full, int) or self.full < 0):
            remedy = f"Pass a number such as {FULL}, or {ALL}."
            raise OptionError("full", repr(self.full), f"a number of samples, or {ALL}", remedy)
        if len(self.predictions) > MOST_PREDICTIONS:
            remedy = "Pass one or two folders; write another site for the others."
            raise OptionError("pred", f"{len(self.predictions)} folders", f"at most {MOST_PREDICTIONS}", remedy)
        if self.overlap is not None:
            check_choice("overlap", self.overlap, OVERLAPS)

    def count_full(self, samples: int) -> int:
        """Return the number of samples with layers, of ``samples`` in the site."""
        return samples if self.full == ALL else min(int(self.full), samples)


def parse_full(text: str) -> int | str:
    """Return the value of ``--full``. Raises OptionError."""
    if text == ALL:
        return text
    try:
        return int(text)
    except ValueError as error:
        remedy = f"Pass a number such as {FULL}, or {ALL}."
        raise OptionError("full", repr(text), f"a number of samples, or {ALL}", remedy) from error


def titles(folders: Sequence[str]) -> list[str]:
    """Return the names of folders of predictions as the page shows them: as many last parts as tell them apart."""
    parts = [Path(folder).parts for folder in folders]
    for count in range(1, max(map(len, parts), default=0) + 1):
        short = ["/".join(one[-count:]) for one in parts]
        if len(set(short)) == len(short):
            return short
    return [f"{'/'.join(one[-1:])} {number}" for number, one in enumerate(parts, 1)]


def source_key(manifest: Manifest, against: Manifest | None, overlap: str | None) -> dict[str, Any]:
    """Return what the thumbnails and layers of a site depend on, for JSON."""
    other = None if against is None else _identity(against)
    return {"form": FORM, "content": _identity(manifest), "overlap": overlap, "against": other}


def _identity(manifest: Manifest) -> str:
    """Return a digest of a pack's content; of a pack of version 1, which has none, of its files."""
    told = manifest.content_id
    if told is None:
        told = hashlib.sha256("".join(file.sha256 for file in manifest.files).encode()).hexdigest()
    return f"{told} {manifest.options.get('overlap')}"
