"""Plan of an edit: its records by split, the options that the manifest records, and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mhpdata.editing.packs import Folders, Pack, refuse_differences
from mhpdata.editing.reused import Reused
from mhpdata.editing.selection import Choice, Chosen, choose, parse_splits, read_names
from mhpdata.errors import OptionError
from mhpdata.faults import Renamed
from mhpdata.options import FORMATS, Format, check_choice, check_path, check_range
from mhpdata.packing.convert import Converted
from mhpdata.packing.journal import Finished
from mhpdata.packing.run import describe_split, find_duplicates
from mhpdata.source.entry import Entry
from mhpdata.source.scan import LAYOUTS
from mhpdata.source.source_file import SourceFile
from mhpdata.storage.digests import SOURCE_BYTES, Digests
from mhpdata.storage.manifest import VERSION, Manifest
from mhpdata.storage.packed import Skipped

_Moved = TypeVar("_Moved", Skipped, Renamed)


class EditOptions(NamedTuple):
    """Options of an edit.

    Attributes:
        names: File with the names of the samples to take, one per line: ``name`` or ``split/name``.
        where: Condition on samples (mhpdata.editing.where).
        splits: Splits to take, such as "train", or under another name, such as "val=train"; all by default.
        format: Container of the shards, of FORMATS; that of the first pack by default.
        shard_mb: Maximum bytes of records per shard in MB (2**20 bytes); that of the first pack by default.
        workers: Number of threads; one per core by default. It changes no byte.
        allow_empty: Whether to allow a split without samples.
        progress: Whether to show a bar on a terminal.
    """

    names: str | Path | None = None
    where: str | None = None
    splits: Sequence[str] = ()
    format: Format | None = None
    shard_mb: int | None = None
    workers: int | None = None
    allow_empty: bool = False
    progress: bool = False


def open_plan(folders: Folders, options: EditOptions, stack: ExitStack) -> Plan:
    """Open packed folders, check the arguments of an edit, and select its records.

    Args:
        folders: Packed folders, or their addresses; they stay open until ``stack`` is closed.
        options: Options of the edit.

    Raises:
        OptionError: An argument is invalid, or the packs do not fit together.
        PackedError: A packed folder is damaged.
    """
    if not folders:
        raise OptionError("from", "no packed folder", "at least one", "Pass a packed folder.")
    if options.format is not None:
        check_choice("format", options.format, FORMATS)
    if options.shard_mb is not None:
        check_range("shard_mb", options.shard_mb, 1, 65536)
    packs = list[Pack]()
    for folder in folders:
        packs.append(Pack(folder))
        stack.callback(packs[-1].close)
    refuse_differences(packs)
    known = LAYOUTS[packs[0].manifest.layout].SPLITS
    names = None if options.names is None else read_names(check_path("names", options.names))
    choice = Choice(parse_splits(options.splits, packs, known), names, options.where)
    chosen = choose(packs, choice, options.workers, options.progress)
    order = [split for split in known if split in choice.splits.values()]
    plan = Plan(packs, choice, {split: [one for one in chosen if one.split == split] for split in order}, options)
    plan.check()
    return plan


class Plan:
    """A checked edit.

    Args:
        packs: Packs to take records from.
        choice: What was selected.
        chosen: Records of each split of the result.
        options: Options of the edit.

    Attributes:
        packs, chosen, options: As given.
        first: Manifest of the first pack.
        entries: Records of each split, as the entries that shards and journal are written for.
    """

    def __init__(
        self, packs: list[Pack], choice: Choice, chosen: dict[str, list[Chosen]], options: EditOptions
    ) -> None:
        self.packs, self._choice, self.chosen, self.options = packs, choice, chosen, options
        self.first = packs[0].manifest
        self._reused = [Reused(pack) for pack in packs]
        self.entries = {split: [self._entry(one) for one in taken] for split, taken in chosen.items()}

    def check(self) -> None:
        """Raise OptionError for a split that is empty, or would have both labelled and unlabelled samples."""
        for split, taken in self.chosen.items():
            if not taken and not self.options.allow_empty:
                remedy = "Change the selection, pass --split for other splits, or pass --allow-empty."
                raise OptionError("from", f"split {split} would be empty", "at least one sample in each split", remedy)
            if len(self._labelled(split)) > 1:
                found = f"split {split} would have samples with labels and samples without"
                raise OptionError("split", found, "samples of one kind", "Leave one of its splits out.")

    @property
    def recorded_options(self) -> dict[str, Any]:
        """Return the options as recorded in the manifest: those of the packs, but for splits and shards."""
        given = {"splits": list(self.chosen), "format": self.options.format, "shard_mb": self.options.shard_mb}
        return {**self.first.options, **{name: value for name, value in given.items() if value is not None}}

    @property
    def selection(self) -> dict[str, Any] | None:
        """Return how the records are selected, as recorded in the manifest; None for all records of one pack."""
        given = self._choice.recorded()
        if moved := {old: new for old, new in self._choice.splits.items() if old != new}:
            given["splits"] = moved
        earlier = [manifest.selection for manifest in (pack.manifest for pack in self.packs) if manifest.selection]
        if len(self.packs) > 1:
            given["packs"] = [pack.content_id for pack in self.packs]
        elif earlier and not given:
            return earlier[0]
        return {**given, "of": earlier} if earlier else given or None

    @property
    def key(self) -> dict[str, Any]:
        """Return what an edit must have in common with an interrupted one to resume it."""
        packs = [pack.content_id for pack in self.packs]
        options = {"layout": self.first.layout, "version": VERSION, **self.recorded_options}
        return {**options, "selection": self.selection, "from": packs}

    def content(self) -> str:
        """Return a hash (hex) of the records to take: contents of the packs, splits and indices."""
        whole = hashlib.sha256()
        for taken in self.chosen.values():
            for one in taken:
                whole.update(repr((self.packs[one.pack].content_id, one.source, one.position, one.split)).encode())
        return whole.hexdigest()

    def read(self, one: Chosen) -> Converted:
        """Read a record; raise PackedError if it is damaged."""
        return self._reused[one.pack].read(one.source, one.position)

    def sources(self, entries: Sequence[Entry]) -> Digests:
        """Return the digest of the source files of each of these entries, by their splits and names."""
        index = {(one.split, one.name): one for taken in self.chosen.values() for one in taken}
        found = (index[entry.split, entry.name] for entry in entries)
        return Digests(b"".join(self._reused[one.pack].source(one.source, one.position) for one in found), SOURCE_BYTES)

    def manifest(self, packed: dict[str, list[Finished]]) -> Manifest:
        """Return the manifest of the result.

        Args:
            packed: All shards of each split, published.
        """
        manifests, taken = [pack.manifest for pack in self.packs], {"": "", **self._choice.splits}
        return Manifest(
            layout=self.first.layout,
            classes=self.first.classes,
            flip_pairs=self.first.flip_pairs,
            options=self.recorded_options,
            selection=self.selection,
            splits={
                split: describe_split(finished, len(self.first.classes), self._labelled(split) != {False})
                for split, finished in packed.items()
            },
            skipped=_moved((one for manifest in manifests for one in manifest.skipped), taken),
            duplicates=find_duplicates(packed),
            notes=tuple(note for finished in packed.values() for done in finished for note in done.notes),
            renamed=_moved((one for manifest in manifests for one in manifest.renamed), taken),
            licence=_joined(manifest.licence for manifest in manifests),
            citation=_joined(manifest.citation for manifest in manifests),
            written=True,
        )

    def _labelled(self, split: str) -> set[bool]:
        """Return whether the splits that a split of the result is made of have labels."""
        sources = [old for old, new in self._choice.splits.items() if new == split]
        return {p.manifest.splits[old].labelled for p in self.packs for old in sources if old in p.manifest.splits}

    def _entry(self, one: Chosen) -> Entry:
        """Return a record as an entry, whose path identifies its bytes."""
        path = f"{self.packs[one.pack].content_id}/{one.source}/{one.position}"
        return Entry(one.name, one.split, SourceFile(path, 0, 0, 0, 0, None), None)


def _moved(items: Iterable[_Moved], splits: dict[str, str]) -> tuple[_Moved, ...]:
    """Return items of the manifests once each, under the new names of their splits; those of other splits go."""
    kept = (replace(one, split=splits[one.split]) for one in items if one.split in splits)
    return tuple(dict.fromkeys(kept))


def _joined(texts: Iterable[str | None]) -> str | None:
    """Return the licences or citations of several packs, each once."""
    return "\n".join(dict.fromkeys(text for text in texts if text)) or None
