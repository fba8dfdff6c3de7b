"""Show label sets, tables from one set to another, and shared classes, as text and as JSON types.

The JSON of a set is a table that ``read_table`` accepts, a start for a file of one's own; the JSON of a conversion and
of shared classes is a table for ``--remap`` (mhpdata.remap).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mhpdata.label_sets.built_in import NAMES, table_of
from mhpdata.label_sets.classes import LabelSet
from mhpdata.label_sets.meanings import Conversion, meanings
from mhpdata.label_sets.sharing import Maps
from mhpdata.label_sets.table import TEXTS, LabelTable
from mhpdata.wording import counted, printable

_HEADS = {"source": "Source", "colours": "Colours", "note": "Note", "licence": "Licence", "citation": "Cite"}
LOST = "not counted (255)"


def size_of(table: LabelTable) -> str:
    """Return the numbers of classes and pairs in words."""
    pairs = counted(len(table.labels.flip_pairs), "left/right pair")
    return f"{counted(len(table.labels), 'class', 'classes')}, {pairs}"


def list_text() -> str:
    """Return the list of built-in sets."""
    rows = [(name, str(len(table_of(name).labels)), table_of(name).texts["title"]) for name in NAMES]
    return _columns([("set", "classes", ""), *rows])


def list_dict() -> dict[str, Any]:
    """Return the list of built-in sets as JSON types."""
    return {name: {"classes": len(table_of(name).labels), **table_of(name).texts} for name in NAMES}


def meanings_text() -> str:
    """Return the list of meanings."""
    return _columns([("meaning", "within"), *((one.name, ", ".join(one.within)) for one in meanings().values())])


def meanings_dict() -> dict[str, Any]:
    """Return the meanings as JSON types: {meaning: those that it is within}."""
    return {one.name: list(one.within) for one in meanings().values()}


def table_text(table: LabelTable) -> str:
    """Return the classes of a set with index, name, colour and mirror image."""
    title = f", {table.texts['title']}" if "title" in table.texts else ""
    lines = [f"{table.name}{title}: {size_of(table)}"]
    lines += [f"{head}: {table.texts[key]}" for key, head in _HEADS.items() if key in table.texts]
    names = table.labels.names
    moved = table.values != tuple(range(len(names)))
    rows = [("", "class", "colour", "mirror image", "value in masks" if moved else "")]
    for one, value in zip(table.labels.classes, table.values, strict=True):
        mirror = "" if one.mirror is None else names[one.mirror]
        color = "#{:02x}{:02x}{:02x}".format(*one.color)
        rows.append((str(one.id), one.name, color, mirror, str(value) if moved else ""))
    return "\n".join(map(printable, [*lines, "", *_columns(rows).split("\n")]))


def table_dict(table: LabelTable) -> dict[str, Any]:
    """Return a set as a table that ``read_table`` accepts."""
    names = table.labels.names
    classes = []
    for one, value, meaning, differs in zip(
        table.labels.classes, table.values, table.meanings, table.differs, strict=True
    ):
        about = {"name": one.name, "color": list(one.color), "value": value, "meaning": meaning}
        classes.append(about | ({"differs": differs} if differs else {}))
    return {
        "name": table.name,
        **{key: table.texts[key] for key in TEXTS if key in table.texts},
        "classes": classes,
        "pairs": [[names[left], names[right]] for left, right in table.labels.flip_pairs],
        "background": names[0],
        "ignore": list(table.ignored),
    }


def conversion_text(one: Conversion) -> str:
    """Return a conversion: each class and what it becomes, then what is lost."""
    old, new = one.source.name, one.target.name
    labels = {name: str(label) for label, name in enumerate(one.target.labels.names)}
    rows = [("", old, "", new)]
    for label, (name, becomes) in enumerate(one.table.items()):
        rows.append((str(label), name, labels.get(becomes or "", "255"), becomes or LOST))
    lines = [_columns(rows), ""]
    lines.append(_listed(f"Lost, as {new} has no class of their name or meaning", one.lost))
    lines += [f"Merged into {name}: {', '.join(olds)}" for name, olds in one.merged.items()]
    lines.append(_listed(f"Classes of {new} that nothing becomes", one.empty))
    lines += [f"Differs: {text}" for text in one.differs]
    return "\n".join(map(printable, "\n".join(lines).split("\n")))


def conversion_dict(one: Conversion) -> dict[str, Any]:
    """Return a conversion as a table for ``--remap``, with what is lost."""
    return {
        "classes": list(one.target.labels.names),
        "maps": {one.source.layout: one.table},
        "lost": one.lost,
        "merged": one.merged,
        "empty": one.empty,
        "differs": one.differs,
    }


def shared_text(labels: LabelSet, maps: Maps) -> str:
    """Return shared classes with the classes of each set that become them, then what is lost."""
    rows = [("", "shared class", *maps)]
    for one in labels.classes:
        rows.append((str(one.id), one.name, *(", ".join(_olds(table, one.name)) for table in maps.values())))
    lost = [_listed(f"Not counted in {name}", _olds(table, None)) for name, table in maps.items()]
    return "\n".join(map(printable, [*_columns(rows).split("\n"), "", *lost]))


def shared_dict(labels: LabelSet, maps: Maps) -> dict[str, Any]:
    """Return shared classes as a table for ``--remap``, with what is lost."""
    return {
        "classes": list(labels.names),
        "maps": maps,
        "lost": {name: _olds(table, None) for name, table in maps.items()},
    }


def _olds(table: dict[str, str | None], new: str | None) -> list[str]:
    return [old for old, becomes in table.items() if becomes == new]


def _listed(head: str, names: Sequence[str]) -> str:
    return f"{head}: {', '.join(names) or 'none'}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text in columns; the first column is right-aligned if it holds numbers only."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbered = all(row[0].isdecimal() or not row[0] for row in rows)
    lines = []
    for first, *others in rows:
        cells = [first.rjust(widths[0]) if numbered else first.ljust(widths[0])]
        cells += [cell.ljust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
