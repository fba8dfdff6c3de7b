"""The label sets that mhp knows: one JSON file per set in the folder ``data``, in the form of mhpdata.label_sets.table.

The colours of MHP v1 are those of GluonCV's palette, so that figures can be compared with earlier ones; it gives hat
and upper clothes the same brown. Background is white in all sets; black means ignored.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from mhpdata.errors import OptionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.label_sets.meanings import DATA, meanings
from mhpdata.label_sets.table import LabelTable, parse_table, read_table
from mhpdata.wording import either

NAMES = (
    "mhp-v1",
    "mhp-v2",
    "cihp",
    "lip",
    "ccihp",
    "atr",
    "pascal-person-part",
    "viton-13",
    "viton-14",
    "sapiens-28",
    "sapiens-29",
    "fashn-18",
)
"""Names of the sets, and of their files."""


@cache
def table_of(name: str) -> LabelTable:
    """Return a built-in set, of NAMES."""
    table = parse_table(read_regular(DATA / f"{name}.json", 1 << 20), f"{name}.json", frozenset(meanings()))
    return replace(table, built_in=True)


def find_table(given: str | Path) -> LabelTable:
    """Return the built-in set of this name, or read the table in the file of this path.

    Raises:
        OptionError: There is no such set or file, or the file holds no table of classes.
    """
    if str(given) in NAMES:
        return table_of(str(given))
    if not str(given).endswith(".json") and not Path(given).exists():
        remedy = "Run mhp labels for the list, or pass the path of a JSON file."
        raise OptionError("label set", f"no set {str(given)!r}", either(NAMES), remedy)
    return read_table(given, frozenset(meanings()))
