"""Return the label table of classes that are known by their names: of a packed folder, or of a network.

The names decide: those of a built-in set mean that set; other names that are meanings have that meaning, and the rest
corresponds to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.label_sets.built_in import NAMES, find_table, table_of
from mhpdata.label_sets.classes import IGNORE, LabelSet
from mhpdata.label_sets.meanings import Conversion, convert, meanings
from mhpdata.label_sets.table import LabelTable, parse_table
from mhpdata.wording import counted

BACKGROUND = "background"


def table_of_labels(labels: LabelSet) -> LabelTable:
    """Return the table of a label set: the built-in one with these names, or one by the meanings of the names."""
    pairs = [(labels.names[left], labels.names[right]) for left, right in labels.flip_pairs]
    return table_of_names(labels.names, labels.name, pairs)


def table_of_names(
    names: Sequence[str], name: str, pairs: Sequence[tuple[str, str]] = (), place: str = "classes"
) -> LabelTable:
    """Return the table of classes by their names.

    Args:
        names: class names by label, background first.
        name: name of the set, unless it is a built-in one.
        pairs: (left, right) names, besides those that say left and right.
        place: where the names stand, for error messages.

    Raises:
        OptionError: the names are not those of a label set: too many, or one of them twice.
    """
    for known in NAMES:
        if table_of(known).labels.names == tuple(names):
            return table_of(known)
    sides = [list(pair) for pair in pairs]
    content = {"name": name, "classes": list(names), "pairs": sides, **({"background": names[0]} if names else {})}
    return parse_table(json.dumps(content).encode(), place, frozenset(meanings()))


def table_of_outputs(given: str, outputs: int | None = None) -> LabelTable:
    """Return the label set of a network: a built-in set, or the JSON file of one (``find_table``).

    Args:
        given: name of the set, or path of the file.
        outputs: number of the network's outputs; None if it is not known yet.

    Raises:
        OptionError: as for ``find_table``, or label k is not the network's output k.
    """
    table = find_table(given)
    count = len(table.labels)
    if outputs is not None and count != outputs:
        found = f"{given} has {counted(count, 'class', 'classes')}"
        remedy = "Pass the label set that the network was trained on: mhp labels lists them; or a JSON file with names."
        raise OptionError("labels", found, f"{outputs}, one per output of the network", remedy)
    if table.values != tuple(range(count)):
        remedy = 'Omit "value" and "background" in the file, and list the classes in the order of the outputs.'
        raise OptionError(given, "its values are not the outputs of a network", f"0 to {count - 1} in order", remedy)
    return table


def conversion_between(source: LabelTable, target: LabelTable) -> Conversion | None:
    """Return the table from a network's classes to those of the data; None if they are the same.

    Raises:
        OptionError: no class but the background has a counterpart.
    """
    if source.labels.names == target.labels.names:
        return None
    one = convert(source, target)
    backgrounds = {BACKGROUND, source.labels.names[0]}
    if not any(new is not None and old not in backgrounds for old, new in one.table.items()):
        found = f"no class of {source.name} has a counterpart in {target.name}"
        remedy = (
            f"Pass data or --to of another label set, or a JSON file of {target.name} with a table from "
            f'{source.name} under "from" (docs/datasets.md).'
        )
        raise OptionError("label sets", found, "a table between them", remedy)
    return one


def lookup(one: Conversion) -> np.ndarray:
    """Return the label that each predicted label becomes: uint8 (256,).

    A class that is lost becomes background, since each pixel of a prediction needs a class; IGNORE stands for values
    that are no class of the source.
    """
    table = np.full(256, IGNORE, np.uint8)
    labels = {name: label for label, name in enumerate(one.target.labels.names)}
    for label, new in enumerate(one.table.values()):
        table[label] = 0 if new is None else labels[new]
    return table


def conversion_lines(one: Conversion) -> list[str]:
    """Return what a conversion of predictions merges and loses, in sentences."""
    lines = [f"Labels of {one.source.name}, converted to those of {one.target.name}."]
    lines += [f"Merged into {new}: {', '.join(olds)}." for new, olds in one.merged.items() if olds != [new]]
    if one.lost:
        lines.append(f"Without a counterpart, so they become background: {', '.join(one.lost)}.")
    if one.empty:
        lines.append(f"Never predicted, as no class becomes them: {', '.join(one.empty)}.")
    return lines + [f"Differs: {text}." for text in one.differs]
