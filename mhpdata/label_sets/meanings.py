"""The meanings of classes, and the table from the classes of one set to those of another that follows from them.

Meanings form a hierarchy: a coat is within upper clothes, a left hand within the left arm and within hands. Each class
has at most one meaning. The rule: a class becomes the class of the same meaning, or else of the nearest one that it is
within; never a narrower one, since a wider class also holds what is not in the narrower one. A class without such a
counterpart is lost: its pixels are not counted (255).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from mhpdata.errors import OptionError
from mhpdata.fields import parse_json
from mhpdata.filesystem.regular import read_regular
from mhpdata.label_sets.table import LabelTable

DATA = Path(__file__).parent / "data"
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Meaning:
    """A meaning.

    Attributes:
        name: Its name.
        within: The meanings that it is a part or a kind of.
        color: R, G, B of the class with this meaning in a common set.
    """

    name: str
    within: tuple[str, ...]
    color: tuple[int, int, int]


@cache
def meanings() -> dict[str, Meaning]:
    """Return all meanings by name, in the order of the classes of a common set."""
    content = parse_json(read_regular(DATA / "meanings.json", 1 << 20).decode())["meanings"]
    return {one["name"]: Meaning(one["name"], tuple(one["within"]), tuple(one["color"])) for one in content}


def outwards(name: str) -> list[str]:
    """Return a meaning and all that it is within, the nearest first."""
    found = [name]
    for here in found:  # grows
        found += [wider for wider in meanings()[here].within if wider not in found]
    return found


def nearest(name: str | None, among: Container[str]) -> str | None:
    """Return the first of ``outwards(name)`` that is in ``among``; None if there is none."""
    return None if name is None else next((one for one in outwards(name) if one in among), None)


@dataclass(frozen=True)
class Conversion:
    """A table from the classes of one set to those of another.

    Attributes:
        source, target: The sets.
        table: {class of source: class of target, or None if it is lost}, in the order of the source.
    """

    source: LabelTable
    target: LabelTable
    table: dict[str, str | None]

    @property
    def lost(self) -> list[str]:
        """Classes of the source that the target has no class for."""
        return [name for name, new in self.table.items() if new is None]

    @property
    def merged(self) -> dict[str, list[str]]:
        """Classes of the target that several classes become, with these."""
        return {new: olds for new, olds in _grouped(self.table).items() if len(olds) > 1}

    @property
    def empty(self) -> list[str]:
        """Classes of the target that no class becomes."""
        return [name for name in self.target.labels.names if name not in self.table.values()]

    @property
    def differs(self) -> list[str]:
        """How classes in use differ from the meaning by which they were found, as "set: class text"."""
        used = [(self.source, {old for old, new in self.table.items() if new is not None})]
        used.append((self.target, {new for new in self.table.values() if new is not None}))
        return [
            f"{table.name}: {name} {text}"
            for table, names in used
            for name, text in zip(table.labels.names, table.differs, strict=True)
            if text and name in names
        ]


def convert(source: LabelTable, target: LabelTable) -> Conversion:
    """Return the table from the classes of ``source`` to those of ``target``.

    Raises:
        OptionError: the target's own table from a set of this name lacks a class.
    """
    given = target.given.get(source.name)
    missing = [] if given is None else [name for name in source.labels.names if name not in given]
    if source.labels.names == target.labels.names:
        given = {name: name for name in source.labels.names}
    elif missing and target.built_in:
        given = None  # another set has this name
    elif missing:
        remedy = f'Add "{missing[0]}" and its class in {target.name}, or null, to the table, or remove the table.'
        found = f'its table from {source.name} has no class "{missing[0]}"'
        raise OptionError(target.name, found, f"all classes of {source.name}", remedy)
    if given is not None:
        return Conversion(source, target, {name: given[name] for name in source.labels.names})
    by_meaning = {meaning: name for name, meaning in zip(target.labels.names, target.meanings, strict=True) if meaning}

    def becomes(meaning: str | None) -> str | None:
        found = nearest(meaning, by_meaning)
        return None if found is None else by_meaning[found]

    return Conversion(source, target, _each(source, becomes))


def _each(source: LabelTable, becomes: Callable[[str | None], _Found]) -> dict[str, _Found]:
    pairs: Iterable[tuple[str, str | None]] = zip(source.labels.names, source.meanings, strict=True)
    return {name: becomes(meaning) for name, meaning in pairs}


def _grouped(table: dict[str, str | None]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for old, new in table.items():
        if new is not None:
            groups.setdefault(new, []).append(old)
    return groups
