"""Read a table of classes from JSON and check it: the built-in sets, and the classes of a dataset of one's own.

::

    {"name": "my-set",
     "classes": ["background", "hair", {"name": "left-arm", "color": [0, 191, 255], "value": 7}, "right-arm"],
     "pairs": [["left-arm", "right-arm"]],      may be left out: names with left and right are paired anyway
     "background": "background",                the first class by default
     "ignore": 255}                             value, or list of values, of pixels that are not counted

A class is a name, or an object: ``color`` is by default that of PASCAL VOC; ``value`` is its value in masks, by default
its place in the list; ``meaning`` is its meaning (mhpdata.label_sets.meanings), by default its name, if that is one;
``differs`` says how the class differs from its meaning. Label 0 is the background; the other labels follow the order of
the list. ``title``, ``source``, ``colours``, ``note``, ``licence`` and ``citation`` are texts or null. ``from`` holds
complete tables from classes of other sets, for conversions that the meanings do not give. ``folder`` describes the
files of a dataset (mhpdata.source.layouts.folder) and is not read here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.fields import field_of, list_at, object_at, parse_json, shown, text_at
from mhpdata.filesystem.regular import read_regular
from mhpdata.label_sets.classes import IGNORE, Class, LabelSet, voc_color
from mhpdata.label_sets.sides import pair_sides
from mhpdata.wording import counted, error_in_words, to_read, unread

MAX_BYTES = 1 << 20
MAX_NAME = 80
"""Maximum characters of a name."""
TEXTS = ("title", "source", "colours", "note", "licence", "citation")
_KEYS = {"name", "classes", "pairs", "background", "ignore", "from", "folder", *TEXTS}
_CLASS_KEYS = {"name", "color", "value", "meaning", "differs"}
NO_VALUE = -1
"""Entry of ``LabelTable.of_values`` for a value that is no class."""


@dataclass(frozen=True)
class LabelTable:
    """A label set with what is known about it. All sequences are in the order of the labels.

    Attributes:
        labels: The classes.
        texts: The texts of TEXTS that are given.
        meanings: The meaning of each class; None for a class that corresponds to none of other sets.
        differs: How each class differs from its meaning; "" if it does not.
        values: Value of each class in masks.
        ignored: Values of pixels that are not counted.
        given: {other set: {its class: class of this set, or None}}.
        folder: The field ``folder``, unchecked; None without it.
        built_in: Whether it is one of mhp's own sets.
    """

    labels: LabelSet
    texts: dict[str, str]
    meanings: tuple[str | None, ...]
    differs: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...]
    given: dict[str, dict[str, str | None]]
    folder: dict[str, Any] | None = None
    built_in: bool = False

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.labels.name

    @property
    def layout(self) -> str:
        """Layout of the packed folders with these classes: "folder" for a dataset of one's own."""
        return self.name if self.built_in else "folder"

    @property
    def of_values(self) -> np.ndarray:
        """The label of each value in masks: int16 (256,), IGNORE for ignored ones, NO_VALUE for others."""
        table = np.full(256, NO_VALUE, np.int16)
        table[list(self.values)] = range(len(self.values))
        table[list(self.ignored)] = IGNORE
        return table


def read_table(path: str | Path, known: frozenset[str] = frozenset()) -> LabelTable:
    """Read the table in a JSON file.

    Args:
        path: Path of the file.
        known: Names that are meanings.

    Raises:
        OptionError: The file cannot be read, or holds no such table.
    """
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        remedy = to_read(error, path, "Pass the path of a JSON file with the classes (docs/datasets.md).")
        raise OptionError(path, unread(error), "a JSON file with classes", remedy) from error
    return parse_table(data, str(path), known)


def parse_table(data: bytes, place: str, known: frozenset[str] = frozenset()) -> LabelTable:
    """Parse a table from the content of a file; arguments and errors are those of ``read_table``."""
    try:
        return _table(object_at(parse_json(data.decode("utf-8-sig")), "its content"), known)
    except OptionError as error:
        raise error.at(place) from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else f"is not JSON ({error_in_words(error)})"
        remedy = 'Write {"name": ..., "classes": [names, background first], ...}; docs/datasets.md has an example.'
        if isinstance(error, json.JSONDecodeError):
            remedy = (
                "Correct the file there: JSON has a comma between items, no comma after a last item, and no comments. "
            )
            remedy += "docs/datasets.md has an example."
        raise OptionError(place, reason, "a table of classes", remedy) from error


def _table(content: dict[str, Any], known: frozenset[str]) -> LabelTable:
    """Return the table of a JSON object. Raises ValueError for a wrong field."""
    _refuse_unknown(content, _KEYS, "its content")
    name = _name_at(field_of(content, "name", ""), "name")
    listed = [_class_at(one, k) for k, one in enumerate(list_at(field_of(content, "classes", ""), "classes"))]
    if not 2 <= len(listed) <= IGNORE:
        raise ValueError(f'"classes" lists {counted(len(listed), "class", "classes")}, not 2 to {IGNORE}')
    _refuse_twice([one["name"] for one in listed])
    names = [one["name"] for one in listed]
    background = _background_at(content, names)
    listed.sort(key=lambda one: one["name"] != background)  # stable
    names = [one["name"] for one in listed]
    pairs = [_pair_at(pair, k) for k, pair in enumerate(list_at(content.get("pairs", []), "pairs"))]
    mirrors = pair_sides(names, pairs)
    if background in mirrors:
        raise ValueError(f'"{background}" is the background and has a left and right side')
    values, ignored = tuple(one["value"] for one in listed), _ignored_at(content.get("ignore", IGNORE))
    _refuse_shared(names, values, ignored)
    labels = {name: label for label, name in enumerate(names)}
    classes = [
        Class(k, one["name"], one["color"] or voc_color(k), labels.get(mirrors.get(one["name"], "")))
        for k, one in enumerate(listed)
    ]
    folder = content.get("folder")
    return LabelTable(
        LabelSet(name, tuple(classes)),
        {key: text_at(content[key], key) for key in TEXTS if content.get(key) is not None},
        tuple(_meaning(one, k, known) for k, one in enumerate(listed)),
        tuple(one["differs"] for one in listed),
        values,
        ignored,
        {
            key: dict(object_at(table, f"from.{key}"))
            for key, table in object_at(content.get("from", {}), "from").items()
        },
        None if folder is None else object_at(folder, "folder"),
    )


def _background_at(content: dict[str, Any], names: list[str]) -> str:
    """Return the class that is background; one of that name which is neither the first nor declared is refused."""
    background = text_at(content.get("background", names[0]), "background")
    if background not in names:
        raise ValueError(f'"background" is {shown(background)}, which "classes" does not list')
    called = [name for name in names if name.strip("_").casefold() == "background"]
    if called and background not in called and "background" not in content:
        found = f"the first class, {shown(background)}, would be the background, although {shown(called[0])} is listed"
        remedy = f'Add "background": {shown(called[0])}, which keeps the values in masks.'
        raise OptionError("classes", found, "the background first, or named", remedy)
    return background


def _refuse_unknown(content: dict[str, Any], keys: set[str], place: str) -> None:
    odd = sorted(set(content) - keys)
    if odd:
        raise ValueError(f"{place} has the unknown key {shown(odd[0])}; known are {', '.join(sorted(keys))}")


def _name_at(value: Any, place: str) -> str:
    name = text_at(value, place)
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(f"{place} is {shown(name)}, not a name of 1 to {MAX_NAME} printable characters")
    return name


def _class_at(value: Any, place: int) -> dict[str, Any]:
    """Return a class with all its keys, as far as given; ``value`` defaults to its place in the list."""
    where = f"classes[{place}]"
    one = {"name": value} if isinstance(value, str) else object_at(value, where)
    _refuse_unknown(one, _CLASS_KEYS, where)
    color = one.get("color")
    if color is not None:
        color = tuple(_byte_at(part, f"{where}.color") for part in list_at(color, f"{where}.color"))
        if len(color) != 3:
            raise ValueError(f"{where}.color has {counted(len(color), 'number')}, not 3: red, green, blue")
    return {
        "name": _name_at(field_of(one, "name", where), f"{where}.name"),
        "color": color,
        "value": _byte_at(one.get("value", place), f"{where}.value"),
        "meaning": one.get("meaning", ...),
        "differs": text_at(one.get("differs", ""), f"{where}.differs"),
    }


def _byte_at(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255:
        raise ValueError(f"{place} has {shown(value)}, not a whole number from 0 to 255")
    return value


def _pair_at(value: Any, place: int) -> tuple[str, str]:
    pair = [text_at(name, f"pairs[{place}]") for name in list_at(value, f"pairs[{place}]")]
    if len(pair) != 2:
        raise ValueError(f"pairs[{place}] has {counted(len(pair), 'name')}, not 2: left and right")
    return pair[0], pair[1]


def _ignored_at(value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(_byte_at(one, "ignore") for one in values)


def _refuse_twice(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        plain = name.casefold().replace("_", "-").replace(" ", "-")
        if plain in seen:
            twice = f"{shown(name)} twice" if seen[plain] == name else f"{shown(seen[plain])} and {shown(name)}"
            raise ValueError(f'"classes" lists {twice}; each class must have one place and one name')
        seen[plain] = name


def _refuse_shared(names: list[str], values: tuple[int, ...], ignored: tuple[int, ...]) -> None:
    seen = dict.fromkeys(ignored, '"ignore"')
    for name, value in zip(names, values, strict=True):
        if value in seen:
            raise ValueError(f"value {value} belongs to both {seen[value]} and {shown(name)}")
        seen[value] = shown(name)


def _meaning(one: dict[str, Any], label: int, known: frozenset[str]) -> str | None:
    """Return the meaning of a class: the given one, or its name, if that is a meaning."""
    if label == 0:
        return "background"
    if one["meaning"] is ...:
        plain = one["name"].casefold().replace("_", "-").replace(" ", "-")
        return plain if plain in known else None
    if one["meaning"] is not None and one["meaning"] not in known:
        raise ValueError(f"{shown(one['meaning'])} is not a meaning; mhp labels --meanings lists them")
    return None if one["meaning"] is None else str(one["meaning"])
