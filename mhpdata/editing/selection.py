"""Select records of packed folders: by split, by a list of names, and by a condition."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mhpdata.editing.packs import Pack
from mhpdata.editing.where import Where
from mhpdata.errors import OptionError
from mhpdata.filesystem.regular import read_regular
from mhpdata.masks.mask_runs import inflate_runs
from mhpdata.processes.threads import crew
from mhpdata.storage.content import record_digest
from mhpdata.storage.record import Record
from mhpdata.wording import counted, either, printable

MOST_BYTES = 1 << 28
"""Maximum bytes of a list of names."""
AHEAD = 32
"""Records that are asked for together, while those before them are read."""
IN_MANIFEST = frozenset({"name", "split", "classes", "duplicate"})
"""Fields of a condition that need no record."""


class Chosen(NamedTuple):
    """One record of the result.

    Attributes:
        split: Split of the result.
        pack, source, position: Number of its pack, its split and its index there.
        name: Name of the sample.
    """

    split: str
    pack: int
    source: str
    position: int
    name: str


@dataclass(frozen=True)
class Choice:
    """Rules that select records.

    Attributes:
        splits: Split of the result for each split to take; all splits, under their own names, if empty.
        names: Names to take, ``name`` or ``split/name``; None for all.
        where: Condition; None for all.
    """

    splits: dict[str, str]
    names: frozenset[str] | None = None
    where: str | None = None

    @property
    def filters(self) -> bool:
        """Whether it may leave records of a split out."""
        return self.names is not None or self.where is not None

    def recorded(self) -> dict[str, Any]:
        """Return what the manifest records: the condition, and the SHA-256 of the sorted names."""
        names = None
        if self.names is not None:
            names = hashlib.sha256("\n".join(sorted(self.names)).encode()).hexdigest()
        return {key: value for key, value in (("where", self.where), ("names", names)) if value is not None}


def read_names(path: Path) -> frozenset[str]:
    """Return the names in a text file, one per line; empty lines and lines that begin with # are skipped.

    Raises:
        OptionError: The file is not a list of names, or has none.
    """
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            "names", f"{path} cannot be read ({error})", "a text file with a name per line", "Correct the path."
        ) from error
    names = frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not names:
        raise OptionError("names", f"{path} has no names", "a name per line, such as 5 or train/5", "Add some.")
    return names


def parse_splits(given: Iterable[str], packs: Sequence[Pack], known: Sequence[str]) -> dict[str, str]:
    """Return the split of the result for each split to take, from arguments such as "train" or "val=train".

    Args:
        given: The arguments; empty for all splits.
        packs: Packs to take records from.
        known: Names of the layout's splits.

    Raises:
        OptionError: A split does not exist, or is given twice.
    """
    there = [name for name in known if any(name in pack.splits for pack in packs)]
    splits: dict[str, str] = {}
    for text in given:
        new, equals, old = text.partition("=")
        old = old if equals else new
        if old not in there:
            raise OptionError("split", f"no split {old!r} in the packed folders", either(there), "Check the spelling.")
        if new not in known:
            raise OptionError(
                "split", f"{new!r} is not a split of the layout", either(known), "Pass one of these before =."
            )
        if old in splits:
            raise OptionError("split", f"{old} is given twice", "each split once", "Omit one of the two.")
        splits[old] = new
    return splits or {name: name for name in there}


def choose(packs: Sequence[Pack], choice: Choice, workers: int | None, progress: bool) -> list[Chosen]:
    """Select records.

    Args:
        packs: Packs to take records from.
        choice: Rules, with the splits of ``parse_splits``.
        workers: Number of threads; None for one per core.
        progress: Whether to show a bar, if records have to be read for the condition.

    Returns:
        The records in the order of the splits, packs and indices.

    Raises:
        OptionError: A name is in no pack; the condition is invalid; packs have different samples of one name.
        PackedError: A record is damaged.
    """
    order = list(dict.fromkeys(choice.splits.values()))
    found = [one for pack, _ in enumerate(packs) for one in _listed(packs, pack, choice)]
    _refuse_unknown(found, choice)
    found.sort(key=lambda one: order.index(one.split))  # stable: packs and indices keep their order
    if choice.names is not None:
        found = [one for one in found if _is_named(one, choice.names)]
    if choice.where is not None:
        found = _filtered(packs, found, Where(choice.where, packs[0].manifest.classes), workers, progress)
    return _without_doubles(packs, found)


def _listed(packs: Sequence[Pack], pack: int, choice: Choice) -> Iterator[Chosen]:
    for source, split in choice.splits.items():
        if source in packs[pack].splits:
            for index, name in enumerate(packs[pack].split(source).names):
                yield Chosen(split, pack, source, index, name)


def _is_named(one: Chosen, names: frozenset[str]) -> bool:
    return one.name in names or f"{one.source}/{one.name}" in names


def _refuse_unknown(listed: Iterable[Chosen], choice: Choice) -> None:
    """Raise OptionError for a name that is in none of the splits."""
    if choice.names is None:
        return
    known = {text for one in listed for text in (one.name, f"{one.source}/{one.name}")}
    if missing := sorted(choice.names - known):
        more = f" and {counted(len(missing) - 1, 'other')}" if len(missing) > 1 else ""
        found = printable(f"{missing[0]!r}{more} in none of the splits {', '.join(choice.splits)}")
        raise OptionError("names", found, "names of packed samples, such as 5 or train/5", "Correct the list.")


def _filtered(
    packs: Sequence[Pack], found: list[Chosen], where: Where, workers: int | None, progress: bool
) -> list[Chosen]:
    values = _Values(packs, where.fields)
    if where.fields <= IN_MANIFEST:
        return [one for one in found if where(values(one))]
    with crew(len(found), "images read", workers, progress) as threads:
        kept = threads.each(lambda one: where(values(one)), asked(packs, found))
        return [one for one, keep in zip(found, kept, strict=True) if keep]


def asked(packs: Sequence[Pack], chosen: Sequence[Chosen]) -> Iterator[Chosen]:
    """Yield records to read, and ask for the next ones: at an address, each would wait for an answer."""
    for start in range(0, len(chosen), AHEAD):
        for block in (start, start + AHEAD) if start == 0 else (start + AHEAD,):
            places: dict[tuple[int, str], list[int]] = {}
            for one in chosen[block : block + AHEAD]:
                places.setdefault((one.pack, one.source), []).append(one.position)
            for (pack, source), positions in places.items():
                packs[pack].split(source).ask(positions)
        yield from chosen[start : start + AHEAD]


class _Values:
    """The values of a condition's fields, of one record at a time; a call reads the record only if it must.

    Args:
        packs: Packs to take records from.
        fields: Names of the fields that the condition uses.
    """

    def __init__(self, packs: Sequence[Pack], fields: set[str]) -> None:
        self._packs, self._fields = packs, fields
        self._names = packs[0].manifest.classes
        self._bits = [
            {name: [bits for shard in split.shards for bits in shard.classes] for name, split in splits.items()}
            for splits in (pack.manifest.splits for pack in packs)
        ]
        self._doubled = [{name for group in pack.manifest.duplicates for name in group} for pack in packs]

    def __call__(self, one: Chosen) -> dict[str, Any]:
        """Return the values of a record's fields."""
        bits = self._bits[one.pack][one.source][one.position]
        values: dict[str, Any] = {
            "name": one.name,
            "split": one.source,
            "classes": frozenset(name for label, name in enumerate(self._names) if bits >> label & 1),
            "duplicate": f"{one.source}/{one.name}" in self._doubled[one.pack],
        }
        if self._fields <= IN_MANIFEST:
            return values
        _, record = self._packs[one.pack].read(one.source, one.position)
        values |= {"contested": record.contested, "conflicting": record.conflicting, "gray": record.gray}
        values["height"], values["width"] = record.size
        values["source_height"], values["source_width"] = record.source_size
        if "persons" in self._fields:
            values["persons"] = len(record.masks) - unlabelled_persons(record)
        return values


def unlabelled_persons(record: Record) -> int:
    """Return the number of persons of a record without a labelled pixel, whom scores do not count."""
    return sum(not inflate_runs(mask, record.source_size).area for mask in record.masks)


def _without_doubles(packs: Sequence[Pack], found: list[Chosen]) -> list[Chosen]:
    """Keep one of several equal records with the same split and name.

    Raises:
        OptionError: Records of the same split and name differ.
    """
    first: dict[tuple[str, str], Chosen] = {}
    kept = list[Chosen]()

    def digest(one: Chosen) -> bytes:
        return record_digest(packs[one.pack].read(one.source, one.position)[0])

    for one in found:
        other = first.setdefault((one.split, one.name), one)
        if other is one:
            kept.append(one)
        elif digest(one) != digest(other):
            there = f"{packs[other.pack].folder} ({other.source}) and {packs[one.pack].folder} ({one.source})"
            remedy = "Leave one of them out with --names or --where."
            raise OptionError("from", printable(f"{there} have different samples named {one.name!r}"), "", remedy)
    return kept
