"""The classes that chosen label sets share, and the tables from each set to them.

::

    meanings that each set has a class for, the same or a narrower one
      -> each class becomes the nearest meaning that it is within
      -> meanings that no class of some set becomes are dropped, the narrowest first, and their classes move outwards

So the shared classes are as fine as the sets permit, and each of them occurs in every set. What no shared class covers
is not counted (255).
"""

from __future__ import annotations

from collections.abc import Sequence

from mhpdata.label_sets.classes import Class, LabelSet
from mhpdata.label_sets.meanings import meanings, nearest, outwards
from mhpdata.label_sets.sides import pair_sides
from mhpdata.label_sets.table import LabelTable

Maps = dict[str, dict[str, str | None]]
"""{layout of a set: {class: shared class, or None}}."""


def share(tables: Sequence[LabelTable]) -> tuple[LabelSet, Maps]:
    """Return the classes that these sets share, called "common", and the tables from each set to them.

    Args:
        tables: One or more sets, of different layouts.
    """
    covered = [{wider for meaning in table.meanings if meaning for wider in outwards(meaning)} for table in tables]
    shared = [name for name in meanings() if all(name in one for one in covered)]
    while True:
        used = [{nearest(meaning, shared) for meaning in table.meanings} for table in tables]
        unused = [name for name in shared if not all(name in one for one in used)]
        if not unused:
            break
        shared.remove(max(unused, key=lambda name: len(outwards(name))))
    labels = {name: label for label, name in enumerate(shared)}
    mirrors = pair_sides(shared)
    classes = [Class(k, name, meanings()[name].color, labels.get(mirrors.get(name, ""))) for name, k in labels.items()]
    maps = {
        table.layout: {
            name: nearest(meaning, shared) for name, meaning in zip(table.labels.names, table.meanings, strict=True)
        }
        for table in tables
    }
    return LabelSet("common", tuple(classes)), maps
