"""The classes of each dataset: id, name, colour, and left/right counterpart.

The sets themselves are data (mhpdata.label_sets.built_in); every look-up (names, palette, left/right pairs) is derived
from them. ``COMMON`` is the set of classes that LV-MHP v1, LV-MHP v2 and CIHP share; mhpdata.remap maps them to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.classes import IGNORE, Class, LabelSet, voc_color
from mhpdata.label_sets.sharing import share

__all__ = [
    "CIHP", "COMMON", "IGNORE", "LABEL_SETS", "MHP_V1", "MHP_V2", "SHARED_BY", "Class", "LabelSet", "label_set",
    "voc_color",
]  # fmt: skip

SHARED_BY = NAMES[:3]
"""The sets whose shared classes are COMMON: LV-MHP v1, LV-MHP v2 and CIHP."""
MHP_V1, MHP_V2, CIHP = (table_of(name).labels for name in SHARED_BY)
COMMON, _ = share([table_of(name) for name in SHARED_BY])

LABEL_SETS = {**{name: table_of(name).labels for name in NAMES}, COMMON.name: COMMON}


def label_set(names: Sequence[str], flip_pairs: Sequence[tuple[int, int]]) -> LabelSet:
    """Return the label set with these classes: a built-in one, or a new one with the colours of PASCAL VOC.

    Args:
        names: Class names, background first.
        flip_pairs: (left, right) labels.
    """
    for known in LABEL_SETS.values():
        if (known.names, known.flip_pairs) == (tuple(names), tuple(flip_pairs)):
            return known
    mirror = {a: b for left, right in flip_pairs for a, b in ((left, right), (right, left))}
    classes = (Class(label, name, voc_color(label), mirror.get(label)) for label, name in enumerate(names))
    return LabelSet("custom", tuple(classes))
