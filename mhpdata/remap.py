"""Remap the labels of a dataset to another set of classes, by a built-in or user-provided table.

A table gives, for each class of a dataset, the class that it becomes, or null to ignore its pixels (255). Left/right
pairs follow from the table: if a left class becomes A and its right class B, A and B swap in a mirrored image. A
contradictory table (a left class that becomes the right class of another pair, a belt that becomes a left arm) is an
error.

::

    {"classes": ["background", "skin", "clothes"],
     "maps": {"mhp-v1": {"background": "background", "face": "skin", "pants": "clothes", "bag": null, ...},
              "cihp": {...}}}

The common set holds the classes that LV-MHP v1, LV-MHP v2 and CIHP annotate alike, judging by their class lists;
docs/datasets.md has the table and the reasons. The name of a label set (mhpdata.label_sets.built_in), such as "lip",
maps every other set to its classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.fields import parse_json
from mhpdata.filesystem.regular import read_regular
from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.meanings import convert
from mhpdata.label_sets.sharing import share
from mhpdata.labels import IGNORE, SHARED_BY, LabelSet, label_set
from mhpdata.wording import counted, error_in_words, to_read, unread

COMMON_NAME = "common"
BUILT_IN = (COMMON_NAME, *NAMES)
"""Names of the built-in tables."""
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Remap:
    """A set of classes, and a mapping to it from the classes of each layout.

    Attributes:
        classes: Class names, background first.
        maps: layout -> class -> class of the set, or None to ignore it.
    """

    classes: tuple[str, ...]
    maps: Mapping[str, Mapping[str, str | None]]

    def __post_init__(self) -> None:
        if not 2 <= len(self.classes) <= IGNORE or len(set(self.classes)) != len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            found = f'"classes" lists {", ".join(twice) + " twice" if twice else counted(len(self.classes), "name")}'
            remedy = f'Write the names of 2 to {IGNORE} classes, each once, under "classes" in the table.'
            raise OptionError("remap", found, f"2 to {IGNORE} different names", remedy)
        for layout, table in self.maps.items():
            unknown = sorted({str(new) for new in table.values() if new is not None} - set(self.classes))
            if unknown:
                found = f"classes of {layout} become {', '.join(unknown)}"
                expected = f"names that the table lists under classes: {', '.join(self.classes)}"
                remedy = f'Add {unknown[0]} to "classes", or write one of these names or null under "maps", "{layout}".'
                raise OptionError("remap", found, expected, remedy)

    def table(self, layout: str, labels: LabelSet) -> np.ndarray:
        """Return the new label of each label of a dataset, uint8 (256,); 255 means ignored.

        Raises:
            OptionError: The table does not map exactly the classes of the dataset.
        """
        names = self.maps.get(layout)
        if names is None:
            remedy = f'Add "{layout}" under "maps": each class of {layout}, and which class it becomes, or null.'
            raise OptionError("remap", f"no map for {layout}", f"one besides {', '.join(self.maps)}", remedy)
        odd = sorted(set(names) ^ set(labels.names))
        if odd:
            lacks, extra = sorted(set(labels.names) - set(names)), sorted(set(names) - set(labels.names))
            says, todo = [], []
            if lacks:
                says.append(f"lacks {', '.join(lacks[:8])}")
                todo.append(f'Add "{lacks[0]}" to the map, with the class that it becomes, or null to ignore it.')
            if extra:
                says.append(f"has {', '.join(extra[:8])}, not a class of {layout}")
                todo.append(f'Remove "{extra[0]}" from the map.')
            found = f"the map of {layout} {' and '.join(says)}"
            raise OptionError("remap", found, "exactly the classes of the dataset", " ".join(todo))
        table = np.full(256, IGNORE, np.uint8)
        for label, name in enumerate(labels.names):
            new = names[name]
            table[label] = IGNORE if new is None else self.classes.index(new)
        return table

    def labels(self, sets: Sequence[tuple[str, LabelSet]]) -> LabelSet:
        """Return the set of classes, with the left/right pairs that follow from the datasets (layout, classes).

        Raises:
            OptionError: As ``table``, or left and right contradict each other.
        """
        mirror: dict[int, int] = {IGNORE: IGNORE}
        first: dict[int, tuple[str, str, str]] = {}  # the first entry for it: layout, class and its mirror image
        for layout, labels in sets:
            table = self.table(layout, labels)
            for old in labels.classes:
                other = old.id if old.mirror is None else old.mirror
                new, opposite = int(table[old.id]), int(table[other])
                entry = (layout, old.name, labels.names[other])
                before = first.setdefault(new, entry)
                if mirror.setdefault(new, opposite) != opposite:
                    raise self._contradiction(entry, (new, opposite), before, mirror[new])
        pairs = sorted((a, b) for a, b in self._pairs(sets) if a != b)
        return label_set(self.classes, pairs)

    def _pairs(self, sets: Sequence[tuple[str, LabelSet]]) -> set[tuple[int, int]]:
        pairs = set()
        for layout, labels in sets:
            table = self.table(layout, labels)
            pairs |= {tuple(sorted((int(table[a]), int(table[b])))) for a, b in labels.flip_pairs}
        return pairs  # type: ignore[return-value]  # tuples of two

    def _name(self, label: int) -> str:
        """Return the name of a class of the set as the table writes it."""
        return "null" if label == IGNORE else self.classes[label]

    def _contradiction(
        self, entry: tuple[str, str, str], becomes: tuple[int, int], before: tuple[str, str, str], mirror: int
    ) -> OptionError:
        """Return the error for an entry (layout, class, mirror image) whose two new classes contradict ``before``,
        an entry that made ``mirror`` the mirror image of the first."""
        new = self._name(becomes[0])
        found = self._says(entry, *becomes)
        if becomes[0] == IGNORE:
            remedy = f'write null for "{entry[1]}" and "{entry[2]}", or a class for each.'
            return OptionError("remap", found, "null for both or for neither", f"{_in_map(entry)}{remedy}")
        found += f", but {self._says(before, becomes[0], mirror)}"
        expected = f"one mirror image of {new}, as mirrored images swap left and right"
        for one in (entry, before):
            if one[1] == one[2]:
                remedy = f'write a class other than {new} for "{one[1]}", which has no left and right, or null.'
                return OptionError("remap", found, expected, f"{_in_map(one)}{remedy}")
        remedy = f'write {json.dumps(self._name(mirror))} for "{entry[2]}", as there, or null for both.'
        return OptionError("remap", found, expected, f"{_in_map(entry)}{remedy}")

    def _says(self, entry: tuple[str, str, str], new: int, opposite: int) -> str:
        layout, old, other = entry
        says = f"the map of {layout} makes {old} {self._name(new)}"
        return says if old == other else f"{says} and its mirror image {other} {self._name(opposite)}"

    def to_json(self) -> str:
        """Return the table as JSON that ``read_remap`` accepts."""
        return json.dumps({"classes": self.classes, "maps": self.maps}, indent=1) + "\n"


def _in_map(entry: tuple[str, str, str]) -> str:
    return f'Under "maps", "{entry[0]}", '


def common(names: Sequence[str] = SHARED_BY) -> Remap:
    """Return the table to the classes that these built-in sets share; by default to ``mhpdata.labels.COMMON``."""
    labels, maps = share([table_of(name) for name in names])
    return Remap(labels.names, maps)


def to_set(target: str) -> Remap:
    """Return the table from all built-in sets to the classes of one of them."""
    maps = {name: convert(table_of(name), table_of(target)).table for name in NAMES}
    return Remap(table_of(target).labels.names, maps)


def read_remap(remap: str | Path) -> Remap:
    """Read a table.

    Args:
        remap: "common", the name of a built-in set, the path of a JSON file, or the JSON itself.

    Raises:
        OptionError: The file is missing, or is not such a table.
    """
    if remap == COMMON_NAME:
        return common()
    if isinstance(remap, str) and remap in NAMES:
        return to_set(remap)
    text, place = (str(remap), "remap") if str(remap).lstrip().startswith("{") else (_read(Path(remap)), str(remap))
    try:
        content = parse_json(text)
        classes, maps = _names(content["classes"]), content["maps"]
        return Remap(classes, {layout: _targets(table) for layout, table in maps.items()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, OptionError):
            raise
        reason = (
            "JSON of a different structure" if isinstance(error, TypeError | AttributeError) else error_in_words(error)
        )
        expected = '{"classes": [names], "maps": {layout: {class: new class or null}}}'
        remedy = 'Start from the table that python -c "import mhpdata.remap as r; print(r.common().to_json())" prints.'
        raise OptionError(place, f"is not a label table ({reason})", expected, remedy) from error


def _read(path: Path) -> str:
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        remedy = to_read(error, path, "Pass the path of another JSON file with a table.")
        remedy = f"{remedy} Or pass {COMMON_NAME} or the name of a label set (mhp labels)."
        raise OptionError(path, unread(error), f"{COMMON_NAME}, a label set, or a JSON file", remedy) from error
    return data.decode("utf-8", "replace")


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError('"classes" is not a list of names')
    return tuple(value)


def _targets(table: Any) -> dict[str, str | None]:
    if not isinstance(table, dict) or not all(isinstance(new, str | None) for new in table.values()):
        raise ValueError('an entry of "maps" does not give each class a name or null')
    return table
