"""A downloaded folder to a packed one: scan, convert in parallel, write in order, resumable.

::

    scan ──entries──> a pool of threads: convert ──records, in list order──> the same threads, in turn: shards
                                                                                 │ a whole shard
                                                                                 v
                                            manifest last <── journal <── one thread: sync, final name

Everything heavy in ``convert`` lets go of the GIL, so threads scale as processes do and start at once
(benchmarks/pack.py compares the two). At most a few records a worker wait at any time. Records are written in list
order whoever finishes first, shards are cut by bytes alone, and nothing that is written depends on time: the same
source and options give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from mhpdata import __version__, compiling
from mhpdata.errors import ManifestError, OptionError, OutputError, SourceError, is_outside
from mhpdata.filesystem.atomic import sync_folder, write_atomically
from mhpdata.options import ON_ERROR, PackOptions, check_choice, check_path, check_range
from mhpdata.packing.convert import Converted, convert
from mhpdata.packing.journal import Finished, Journal, fingerprint
from mhpdata.packing.shard_stream import Publisher, ShardStream
from mhpdata.source.entry import Entry, Listing, empty_split
from mhpdata.source.scan import AUTO, LAYOUTS, scan
from mhpdata.storage.manifest import (
    BUILD_NAME,
    NAME,
    Manifest,
    PackedSplit,
    Skipped,
    Statistics,
    dump,
    identical,
    read_manifest,
)
from mhpdata.threads import crew, usable_cores
from mhpdata.wording import writing

_ON = "run the same command again: it goes on where it stopped"

MB = 1 << 20
_COMPILING_S = 5
"""Seconds that a first pack compiles kernels (benchmarks/results/cold_start.md)."""


def pack(
    src: str | Path,
    out: str | Path,
    *,
    layout: str = AUTO,
    splits: Sequence[str] | None = None,
    format: str = "recordio",
    size: int = 768,
    size_of: str = "short",
    overlap: str = "first",
    image: str = "jpeg",
    quality: int = 95,
    shard_mb: int = 256,
    workers: int | None = None,
    on_error: str = "fail",
    damaged: str = "fail",
    overwrite: bool = False,
    follow_links: bool = False,
    allow_empty: bool = False,
    progress: bool = False,
) -> Manifest:
    """Pack a downloaded dataset into shards. An interrupted pack goes on when called again with the same arguments.

    Args:
        src: the folder as unpacked, such as LV-MHP-v1. Nothing is written there.
        out: the packed folder; new, empty, or an unfinished pack with the same options.
        layout: "auto", or a name in mhpdata.source.scan.LAYOUTS.
        splits: which splits; all by default.
        format, size, size_of, overlap, image, quality, shard_mb: see PackOptions.
        workers: threads; by default one for each core that this process may use. Changes no byte.
        on_error: "fail" raises the first error; "skip" leaves such entries out and records them in the manifest.
        damaged: "keep" takes a JPEG whose pixels are damaged as far as it decodes, and notes it in the manifest.
        overwrite: replace another packed dataset in ``out``.
        follow_links: read what links out of ``src`` lead to; they are refused otherwise.
        allow_empty: pack a split that has no image, or of which all are left out; an error otherwise.
        progress: show a bar with images/s and the time left, where stderr is a terminal.

    Returns:
        The manifest that was written. If ``out`` already holds just this dataset, it is returned and nothing is done.

    Raises:
        SourceError: the download is not what it should be.
        OutputError: ``out`` cannot be written, is full, or holds something else.
        OptionError: an argument is outside what it may be.
    """
    options = PackOptions(format, size, size_of, overlap, image, quality, shard_mb, damaged)
    check_choice("on_error", on_error, ON_ERROR)
    workers = usable_cores() if workers is None else workers
    check_range("workers", workers, 1, 4096)
    src, out = check_path("src", src), check_path("out", out)
    with _below(src):
        listing = scan(src, layout, follow_links)
        chosen = _chosen(splits, listing.layout)
        problems = [problem for problem in listing.problems if problem.split in ("", *chosen)]
        if problems and on_error == "fail":
            raise problems[0].error
        for split in chosen:
            if not listing.entries[split] and not allow_empty:
                left_out = [(p.name, type(p.error).__name__) for p in problems if p.split in ("", split)]
                raise empty_split(split, _filled(listing), left_out)
    with _below(src), writing(out, _ON):
        _make_folder(out)
        with Journal(out, LAYOUTS[listing.layout].SPLITS) as journal:
            run = _Run(
                src, listing, chosen, options, workers, on_error == "skip", journal, progress, allow_empty, follow_links
            )
            manifest = None if overwrite else run.already_done()
            if manifest is None:
                journal.begin({"layout": listing.layout, **run.recorded_options}, overwrite)
                manifest = run.pack()
            journal.end()
            return manifest


@dataclass(frozen=True)
class _Run:
    """One call of ``pack``, its arguments checked and the source scanned."""

    src: Path
    listing: Listing
    splits: tuple[str, ...]
    options: PackOptions
    workers: int
    skip: bool
    journal: Journal
    progress: bool
    allow_empty: bool
    follow_links: bool

    @property
    def recorded_options(self) -> dict[str, object]:
        """The options as the manifest holds them."""
        return {"splits": list(self.splits), **self.options.as_dict()}

    @property
    def source_state(self) -> str:
        """A hash of the chosen splits' names, sizes and times of files, and of what is wrong with lists and names."""
        entries = [entry for split in self.splits for entry in self.listing.entries[split]]
        chosen = [problem for problem in self.listing.problems if problem.split in ("", *self.splits)]
        problems = [(problem.split, problem.name, str(problem.error)) for problem in chosen]
        state = f"{fingerprint(entries)} {problems}" + (f" {self._renamed}" if self._renamed else "")
        return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def _renamed(self) -> tuple[str, ...]:
        """Return, in sentences, what was taken under another name in the chosen splits and the lists."""
        return tuple(renamed.text for renamed in self.listing.renamed if renamed.split in ("", *self.splits))

    def already_done(self) -> Manifest | None:
        """The manifest in the folder, if it is of this source as it is, packed with these options, all there."""
        out = self.journal.out
        if not (out / NAME).exists() or (out / NAME).is_symlink():
            return None
        try:
            manifest = read_manifest(out)
        except ManifestError as error:
            if is_outside(error) or self.journal.is_ours(out / NAME):
                raise
            return None  # somebody else's manifest.json, which Journal.begin refuses
        if any(not (out / f.file).is_file() or (out / f.file).stat().st_size != f.bytes for f in manifest.files):
            return None
        ours = (self.listing.layout, self.recorded_options, self.source_state)
        theirs = (manifest.layout, manifest.options, self.journal.read_build().get("source_state"))
        if ours != theirs or (manifest.skipped and not self.skip):
            return None
        self._refuse_empty(manifest)
        return manifest

    def pack(self) -> Manifest:
        """Pack what the journal does not have yet, and write the manifest."""
        compiling.expect(_COMPILING_S)
        started, compiled = time.perf_counter(), compiling.seconds()
        total = sum(len(self.listing.entries[split]) for split in self.splits)
        with Publisher() as publisher, crew(total, "images", self.workers, self.progress) as workers:
            streams = {split: self._stream(split, publisher) for split in self.splits}
            todo = [entry for split in self.splits for entry in self.listing.entries[split][streams[split].place :]]
            workers.skip(total - len(todo))
            try:
                workers.in_turn(self._convert, todo, partial(self._write, streams))
                packed = {split: stream.finished() for split, stream in streams.items()}
            except BaseException:
                for stream in streams.values():
                    stream.abort()
                raise
        return self._finish(packed, time.perf_counter() - started - (compiling.seconds() - compiled))

    def _stream(self, split: str, publisher: Publisher) -> ShardStream:
        entries, options = self.listing.entries[split], self.options
        finished = self.journal.finished(split, entries, self.skip)
        limit, classes = options.shard_mb * MB, len(self.listing.labels)
        return ShardStream(self.journal, publisher, options.format, limit, split, entries, finished, classes)

    def _convert(self, entry: Entry) -> Converted | SourceError:
        try:
            return convert(self.src, entry, self.listing.labels, self.options)
        except SourceError as error:
            if not self.skip:
                raise
            return error

    def _write(self, streams: dict[str, ShardStream], entry: Entry, result: Converted | SourceError) -> None:
        stream = streams[entry.split]
        if isinstance(result, SourceError):
            stream.skip(result)
        else:
            stream.add(result)
        if stream.place == len(self.listing.entries[entry.split]):
            stream.close()

    def _finish(self, packed: dict[str, list[Finished]], seconds: float) -> Manifest:
        labels = self.listing.labels
        manifest = Manifest(
            layout=self.listing.layout,
            classes=labels.names,
            flip_pairs=labels.flip_pairs,
            options=self.recorded_options,
            splits={split: self._split(split, finished) for split, finished in packed.items()},
            skipped=self._skipped(packed),
            duplicates=_duplicates(packed),
            notes=tuple(note for finished in packed.values() for done in finished for note in done.notes),
            renamed=self._renamed,
        )
        self._refuse_empty(manifest)
        out = self.journal.out
        self.journal.remove_others({file.file for file in manifest.files})
        sync_folder(out)
        write_atomically(out / BUILD_NAME, dump(self._build(seconds)))
        write_atomically(out / NAME, manifest.to_json())
        return manifest

    def _refuse_empty(self, manifest: Manifest) -> None:
        """Raises FolderError where a split has no record, unless that was asked for."""
        for split, packed in manifest.splits.items():
            if not packed.records and not self.allow_empty:
                left_out = [(skip.name, skip.error) for skip in manifest.skipped if skip.split in ("", split)]
                raise empty_split(split, [name for name, one in manifest.splits.items() if one.records], left_out)

    def _split(self, split: str, finished: list[Finished]) -> PackedSplit:
        classes = len(self.listing.labels)
        statistics = Statistics(class_pixels=[0] * classes, class_images=[0] * classes)
        for done in finished:
            statistics.add(done.statistics)
        shards = tuple(done.shard for done in finished if done.shard.names)
        return PackedSplit(shards, statistics, split not in self.listing.unlabelled)

    def _skipped(self, packed: dict[str, list[Finished]]) -> tuple[Skipped, ...]:
        """What was left out: first what is wrong with the lists, then each split's."""
        problems = [Skipped(p.split, p.name, type(p.error).__name__, str(p.error)) for p in self.listing.problems]
        skipped = [skip for skip in problems if skip.split == ""]
        for split in self.splits:
            skipped += [skip for skip in problems if skip.split == split]
            skipped += [skip for finished in packed[split] for skip in finished.skipped]
        return tuple(skipped)

    def _build(self, seconds: float) -> dict[str, object]:
        libraries = ("numpy", "opencv-python", "numba", "h5py", "simplejpeg")
        return {
            "mhp": __version__,
            "source": os.fsencode(self.src.resolve()).decode("utf-8", "backslashreplace"),
            "source_state": self.source_state,
            "follow_links": self.follow_links,
            "workers": self.workers,
            "seconds_of_the_last_run": round(seconds, 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "python": platform.python_version(),
            "machine": platform.platform(),
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
            "libraries": {name: _version(name) for name in libraries},
        }


def _chosen(splits: Sequence[str] | None, layout: str) -> tuple[str, ...]:
    known = LAYOUTS[layout].SPLITS
    for split in splits or ():
        check_choice("split", split, known)
    if splits is not None and not splits:
        remedy = f"Pass splits=[{known[0]!r}], or leave splits out to pack all."
        raise OptionError("splits", "an empty list", " or ".join(known), remedy)
    return tuple(split for split in known if splits is None or split in splits)


def _filled(listing: Listing) -> list[str]:
    """The splits that have entries."""
    return [split for split, entries in listing.entries.items() if entries]


def _version(library: str) -> str | None:
    """The version of a library; None where it is installed under another name, as opencv-python-headless is."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _duplicates(packed: dict[str, list[Finished]]) -> tuple[tuple[str, ...], ...]:
    """Groups of records whose photos are the same file, byte for byte, as split/name."""
    return identical(
        (f"{split}/{name}", digest)
        for split, finished in packed.items()
        for done in finished
        for name, digest in zip(done.shard.names, done.shard.photos, strict=True)
    )


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        remedy = "Choose another --out, such as rec/, or move the file away."
        raise OutputError(out, "is a file, or below one", "a folder, new or empty", remedy) from error


@contextmanager
def _below(src: Path) -> Iterator[None]:
    """Errors inside name files below the source folder; outside they name the folder, too."""
    try:
        yield
    except SourceError as error:
        raise error.below(src) from error.__cause__
