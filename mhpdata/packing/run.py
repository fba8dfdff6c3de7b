"""Run one pack: keep the finished shards, convert the remaining entries, and write the manifest.

::

    scan ──entries──> a pool of threads: convert ──records, in list order──> the main thread: shards
                                                                                 │ a finished shard
                                                                                 v
                                            manifest last <── journal <── another thread: sync, final name

The expensive parts of ``convert`` release the GIL, so threads scale as processes do and start immediately
(benchmarks/pack.py compares the two). At most a few records per worker wait at any time. Records are written in list
order, shards are cut by the records' lengths only, and nothing that is written depends on time: the same source and
options give the same bytes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from mhpdata.errors import OutputError, SourceError
from mhpdata.faults import FAULTS, describe
from mhpdata.kernels import compiling
from mhpdata.options import PackOptions
from mhpdata.packing.build import describe_build
from mhpdata.packing.changes import find_changes
from mhpdata.packing.convert import Converted, Refused, convert
from mhpdata.packing.journal import Finished, Journal
from mhpdata.packing.open_shard import Target, skipped
from mhpdata.packing.output.bucket import AnyOutput
from mhpdata.packing.shard_stream import Publisher, ShardStream
from mhpdata.packing.sources import Source, source_digest
from mhpdata.processes.threads import crew
from mhpdata.source.entry import Entry, empty_split
from mhpdata.source.remote import held
from mhpdata.storage.content import split_content
from mhpdata.storage.duplicates import identical
from mhpdata.storage.manifest import VERSION, Manifest, dump
from mhpdata.storage.packed import PackedSplit, Skipped
from mhpdata.storage.statistics import Statistics

_log = logging.getLogger(__name__)
MB = 1 << 20
COMPILING_S = 5
"""Seconds that the first pack needs to compile kernels (benchmarks/results/cold_start.md)."""


@dataclass(frozen=True)
class Run:
    """One call of ``pack``, with checked arguments and a scanned source.

    Attributes:
        source: Source to pack.
        output: Place of the pack; a folder is locked.
        options: Options of the pack.
        skip: Whether to skip damaged entries.
        allow_empty: Whether a split may have no records.
        follow_links: Whether links out of the source were followed.
    """

    source: Source
    output: AnyOutput
    options: PackOptions
    skip: bool
    allow_empty: bool
    follow_links: bool

    @property
    def recorded_options(self) -> dict[str, object]:
        """Return the options as recorded in the manifest."""
        return {"splits": list(self.source.splits), **self.options.as_dict()}

    @property
    def key(self) -> dict[str, object]:
        """Return layout, options and format version: only a pack with the same ones may resume this one."""
        return {"layout": self.source.listing.layout, "version": VERSION, **self.recorded_options}

    @property
    def limit(self) -> int:
        """Return the maximum bytes of records per shard."""
        return self.options.shard_mb * MB

    def already_done(self, refuse: bool = False) -> Manifest | None:
        """Return the manifest in the output if it is complete and packed from this source with these options.

        Args:
            refuse: Raise OutputError, with what has changed, if only the source is another one.
        """
        manifest = self.output.manifest()
        if manifest is None:
            return None
        ours, theirs = (self.source.listing.layout, self.recorded_options), (manifest.layout, manifest.options)
        if ours != theirs or (manifest.skipped and not self.skip):
            return None
        changes = find_changes(manifest, self.output.read_build(), self.source)
        if changes and refuse:
            found, remedy = f"packed from other files ({changes})", "Pass another --out, or --overwrite to replace it."
            raise OutputError(self.output.out, found, "", remedy)
        if changes is not None:
            return None
        self._refuse_empty(manifest)
        return manifest

    def pack(self) -> Manifest:
        """Pack the entries that the journal does not cover, and write the manifest."""
        compiling.expect(COMPILING_S)
        started, compiled = time.perf_counter(), compiling.seconds()
        source, entries = self.source, self.source.listing.entries
        total = len(source.entries)
        finished, targets = self.finished(), self.targets()
        with Publisher() as publisher, crew(total, "images", source.workers, source.progress) as workers:
            streams = {
                split: ShardStream(targets[split], publisher, self.limit, done) for split, done in finished.items()
            }
            todo = [entry for split in source.splits for entry in entries[split][streams[split].position :]]
            workers.skip(total - len(todo))
            _log.debug("%s of %s images to convert on %s threads", len(todo), total, source.workers)
            try:
                with source.fetching(todo) as some:
                    for entry, made in zip(todo, workers.each(self.convert, some), strict=True):
                        self._write(streams, entry, made)
                packed = {split: stream.finished() for split, stream in streams.items()}
            except BaseException:
                for stream in streams.values():
                    stream.abort()
                raise
        return self.finish(packed, time.perf_counter() - started - (compiling.seconds() - compiled))

    def targets(self) -> dict[str, Target]:
        """Return what the shards of each split are written with."""
        journal, listing = self._journal, self.source.listing
        classes, format = len(listing.labels), self.options.format
        return {one: Target(journal, format, one, listing.entries[one], classes) for one in self.source.splits}

    def finished(self) -> dict[str, list[Finished]]:
        """Return the shards of each split that an interrupted pack has finished, and that still match the source."""
        entries = self.source.listing.entries
        return {split: self._journal.finished(split, entries[split], self.skip) for split in self.source.splits}

    @property
    def _journal(self) -> Journal:
        return Journal(self.output, self.key, self.source.read)

    def convert(self, entry: Entry) -> Converted | Refused:
        """Convert an entry; return its error if damaged entries are skipped, and otherwise raise it."""
        root = self.source.root
        with held(root, entry.files):
            try:
                return convert(root, entry, self.source.listing.labels, self.options)
            except SourceError as error:
                if not self.skip:
                    raise
                return Refused(error, source_digest(root, entry))

    def _write(self, streams: dict[str, ShardStream], entry: Entry, made: Converted | Refused) -> None:
        stream = streams[entry.split]
        if isinstance(made, Refused):
            stream.skip(made)
        else:
            stream.add(made)
        if stream.position == len(self.source.listing.entries[entry.split]):
            stream.close()

    def finish(self, packed: dict[str, list[Finished]], seconds: float) -> Manifest:
        """Write build.json, then the manifest.

        Args:
            packed: All shards of each split, published.
            seconds: Duration of the pack.
        """
        source, labels = self.source, self.source.listing.labels
        terms = source.terms()
        manifest = Manifest(
            layout=source.listing.layout,
            classes=labels.names,
            flip_pairs=labels.flip_pairs,
            options=self.recorded_options,
            splits={
                split: describe_split(finished, len(labels), split not in source.listing.unlabelled)
                for split, finished in packed.items()
            },
            skipped=self._skipped(packed),
            duplicates=find_duplicates(packed),
            notes=tuple(note for finished in packed.values() for done in finished for note in done.notes),
            renamed=source.renamed,
            licence=terms.licence,
            citation=terms.citation,
            written=True,
        )
        self._refuse_empty(manifest)
        content = source.content([digest for finished in packed.values() for one in finished for digest in _own(one)])
        build = describe_build(source.root, source.state(), content, self.follow_links, source.workers, seconds)
        self.output.complete(dump(build), manifest)
        return manifest

    def _refuse_empty(self, manifest: Manifest) -> None:
        """Raise FolderError if a split has no record, unless empty splits are allowed."""
        for split, packed in manifest.splits.items():
            if not packed.records and not self.allow_empty:
                left_out = [
                    (skip.name, describe(FAULTS, skip.code, skip.values))
                    for skip in manifest.skipped
                    if skip.split in ("", split)
                ]
                filled = [name for name, one in manifest.splits.items() if one.records]
                raise empty_split(split, filled, left_out, self.source.listing.flags)

    def _skipped(self, packed: dict[str, list[Finished]]) -> tuple[Skipped, ...]:
        """Return the skipped entries: first the problems of no particular split, then those of each split."""
        problems = [skipped(problem.split, problem.name, problem.error) for problem in self.source.listing.problems]
        left_out = [skip for skip in problems if skip.split == ""]
        for split in self.source.splits:
            left_out += [skip for skip in problems if skip.split == split]
            left_out += [skip for finished in packed[split] for skip in finished.skipped]
        return tuple(left_out)


def _own(done: Finished) -> list[str]:
    """Return the digests of the entries that a finished shard covers, without the entry after them."""
    return list(done.sources[: done.stop - done.start])


def describe_split(finished: list[Finished], classes: int, labelled: bool) -> PackedSplit:
    """Return the manifest's description of a split.

    Args:
        finished: All of its shards.
        classes: Number of labels of the dataset.
        labelled: Whether its records have labels.
    """
    statistics = Statistics(class_pixels=[0] * classes, class_images=[0] * classes)
    for done in finished:
        statistics.add(done.statistics)
    shards = tuple(done.shard for done in finished if done.shard.names)
    content = split_content(done.contents.raw(i) for done in finished for i in range(len(done.contents)))
    return PackedSplit(shards, statistics, labelled, content)


def find_duplicates(packed: dict[str, list[Finished]]) -> tuple[tuple[str, ...], ...]:
    """Return groups of records whose source images are byte-identical, as split/name."""
    return identical(
        (f"{split}/{name}", digest)
        for split, finished in packed.items()
        for done in finished
        for name, digest in zip(done.shard.names, done.shard.photos, strict=True)
    )
