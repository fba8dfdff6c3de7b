"""Keep the blocks of packed folders that are read over a network on a local disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypedDict

from mhpdata.errors import OptionError
from mhpdata.options import check_path, in_words
from mhpdata.settings.rules import Checked, Number, Rule, option


class _Folder(Rule):
    """The path of a folder, kept as text."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the path as text; raise OptionError for an address or anything else."""
        if not isinstance(value, str | os.PathLike):
            raise OptionError("cache", in_words(value), "the path of a folder", "Pass a folder on a local disk.")
        return str(check_path("cache", value))


@dataclass(frozen=True)
class Cache(Checked):
    """Cache of a packed folder that has an address: blocks of 4 MiB on a local disk, shared by all processes.

    Without a cache, each epoch requests every record. With a cache that holds the whole set, later epochs make
    no request. A cache that is smaller than the set reads more than none, since a record brings its whole block.
    """

    folder: str | os.PathLike[str] = option(
        "", _Folder(), "Folder on a local disk for the cache of packed folders that have an address.", flag="cache"
    )
    gb: float = option(100.0, Number(0.01), "Maximum size of the cache, in GB (10**9 bytes).", flag="cache_gb")

    @property
    def bytes(self) -> int:
        """The maximum size in bytes."""
        return int(self.gb * 1e9)


class Reading(TypedDict, total=False):
    """How a function reads the packed folder that it processes.

    Attributes:
        threads: Number of threads; None for one per core.
        progress: Whether to draw a progress bar if standard error is a terminal.
        cache: Cache for a folder that has an address; None for none.
    """

    threads: int | None
    progress: bool
    cache: Cache | None
