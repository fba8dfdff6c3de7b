"""Is a packed folder what was packed? Every file, record and count against the manifest; all problems in one list.

::

    manifest.json ─> options, classes, names      against themselves and the layout      mhpdata.checking.manifest
                  ─> files                        length, SHA-256; stray shards
                  ─> records, on threads          bytes, sizes, runs; deep: maps         mhpdata.checking.record
                       └─> statistics, duplicates, counted anew = the manifest's?        mhpdata.checking.manifest

Memory does not grow with the folder but for a name and a hash a record. ``verify_source`` (mhpdata.checking.source)
checks a download instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mhpdata.checking.manifest import (
    Wrong,
    check_layout,
    check_names,
    compare_duplicates,
    compare_record,
    compare_statistics,
    pack_options,
)
from mhpdata.checking.record import Checked, RecordCheck
from mhpdata.checking.report import Report
from mhpdata.checking.source import verify_source
from mhpdata.errors import ManifestError, OptionError, ShardError, caused, copy_again
from mhpdata.images.notes import describe_notes
from mhpdata.options import PackOptions, check_path
from mhpdata.packing.journal import FOLDER
from mhpdata.source.entry import ALLOW_EMPTY
from mhpdata.storage.manifest import NAME, Manifest, Shard, ShardFile, Statistics, read_manifest
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.file import how_to_open, sha256_file
from mhpdata.threads import Crew, crew
from mhpdata.wording import counted, why

__all__ = ["verify_packed", "verify_source"]

_AGAIN = copy_again("all of it")


def verify_packed(
    folder: str | Path,
    *,
    deep: bool = False,
    allow_empty: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Check a packed folder against its manifest, and find all that is wrong.

    Checked are the manifest itself; of every file its length and SHA-256; shards that the manifest does not name; of
    every record its CRC, place, name, sizes and runs. Statistics and duplicates are counted anew. Every byte is read
    twice, once for the file's hash and once for its records.

    Args:
        folder: where mhp-pack has written.
        deep: also decode every image and every person's mask, and merge and resize the masks again: labels and persons
            must be the stored ones.
        allow_empty: a split without records is nothing wrong.
        workers: threads; by default one for each core that this process may use.
        progress: show bars, where stderr is a terminal.

    Returns:
        The report; its findings are ManifestError, ShardError and RecordError.

    Raises:
        ManifestError: there is no manifest, or it cannot be parsed.
        OptionError: ``workers`` out of range.
    """
    folder = check_path("folder", folder)
    verification = _Verification(folder, read_manifest(folder), deep)
    if not allow_empty:
        verification.find_empty()
    return verification.run(workers, progress)


class _Verification:
    """One call of ``verify_packed``."""

    def __init__(self, folder: Path, manifest: Manifest, deep: bool) -> None:
        self._folder, self._manifest, self._deep = folder, manifest, deep
        how = "images and masks decoded, and merged again" if deep else "images and masks not decoded"
        format = manifest.options.get("format")
        self._report = Report(f"{folder}: {manifest.layout}, packed as {format}; {how}")
        self._hashes: list[tuple[str, bytes]] = []

    def run(self, workers: int | None, progress: bool) -> Report:
        """Check everything once, the cheap things first."""
        options = self._options()
        self._note(check_layout(self._manifest))
        self._note(check_names(self._manifest))
        self._report.findings += self._find_strays()
        files = self._manifest.files
        with crew(len(files), "files", workers, progress) as threads:
            self._report.findings += [error for error in threads.each(self._check_file, files) if error is not None]
        records = sum(split.records for split in self._manifest.splits.values())
        with crew(records, "records", workers, progress) as threads:
            for name in self._manifest.splits:
                self._check_split(name, options, threads)
        self._note(compare_duplicates(self._manifest, self._hashes))
        self._report.remarks += self._remarks()
        return self._report

    def find_empty(self) -> None:
        """Add a finding for each split without records, and for a folder without splits."""
        splits = self._manifest.splits
        if not splits:
            self._note(iter([("there is no split", "at least one")]))
        for split in (name for name, one in splits.items() if not one.records):
            others = "".join(f" --split {name}" for name, one in splits.items() if one.records)
            remedy = f"Pack again with --overwrite{others}" if others else "Pack a download that has images"
            remedy += f"; where the split is meant to be empty, pass {ALLOW_EMPTY}."
            found = f"split {split} is empty"
            self._report.findings.append(ManifestError(self._folder / NAME, found, "at least one record", remedy))

    def _note(self, wrong: Wrong) -> None:
        """Add what is wrong with the manifest to the findings."""
        place = self._folder / NAME
        self._report.findings += [ManifestError(place, found, expected, _AGAIN) for found, expected in wrong]

    def _options(self) -> PackOptions | None:
        """The options; None, and a finding, where no record can be read by them."""
        try:
            return pack_options(self._manifest)
        except OptionError as error:
            found = f"option {error.place}: {error.found}, so no record can be read"
            self._note(iter([(found, error.expected)]))
            return None

    def _find_strays(self) -> Iterator[ShardError]:
        known = {file.file for file in self._manifest.files}
        kinds = {suffix for suffixes in formats.SUFFIXES.values() for suffix in suffixes}
        for path in sorted(self._folder.iterdir()):
            if path.suffix in kinds and path.name not in known:
                remedy = f"Move {path.name} to another folder."
                yield ShardError(path, "a shard that the manifest does not name", "", remedy)

    def _check_file(self, file: ShardFile) -> ShardError | None:
        """What is wrong with a file as a whole: presence, length, hash."""
        path = self._folder / file.file
        copy = copy_again(file.file)
        try:
            if not path.is_file():
                return ShardError(path, "missing", f"a file of {file.bytes} bytes", copy)
            size = path.stat().st_size
            if size != file.bytes:
                return ShardError(path, f"has {size} bytes", f"{file.bytes}, by the manifest", copy)
            if sha256_file(path) != file.sha256:
                return ShardError(path, "its bytes are not those that were written (SHA-256)", "", copy)
        except OSError as error:
            return caused(ShardError(path, f"cannot be read ({why(error)})", "", how_to_open(error, path)), error)
        return None

    def _check_split(self, name: str, options: PackOptions | None, threads: Crew) -> None:
        """Every record of a split, then the split's statistics."""
        split, classes = self._manifest.splits[name], len(self._manifest.classes)
        total = Statistics(class_pixels=[0] * classes, class_images=[0] * classes)
        start = 0
        for shard in split.shards:
            results = self._check_shard(shard, start, options, threads, split.labelled) if options else iter(())
            # an unreadable shard has no results
            for position, (record, checked) in enumerate(zip(shard.names, results, strict=False)):
                self._report.findings += checked.findings
                self._note(compare_record(shard, position, f"{name}/{record}", checked.source_sha256, checked.classes))
                if checked.source_sha256:
                    self._hashes.append((f"{name}/{record}", checked.source_sha256))
                if checked.statistics is not None:
                    total.add(checked.statistics)
            start += len(shard.names)
        if not self._deep:
            total.unlabelled_persons = split.statistics.unlabelled_persons  # only the masks tell
        self._note(compare_statistics(self._manifest, name, total))
        self._report.counts[name] = {
            "records": start,
            "unreadable": start - total.images,
            "persons": total.labelled_persons,
            "gray": total.gray,
            "contested px": total.contested,
            "conflicting px": total.conflicting,
            "kB": sum(file.bytes for shard in split.shards for file in shard.files) // 1000,
        }

    def _check_shard(
        self, shard: Shard, start: int, options: PackOptions, threads: Crew, labelled: bool
    ) -> Iterator[Checked]:
        """The records of one shard, in order; none, and a finding, where it cannot be opened."""
        if not all((self._folder / file.file).is_file() for file in shard.files):
            return  # a finding already
        try:
            reader = formats.reader(options.format, self._folder / shard.stem, len(shard.names))
        except ShardError as error:
            self._report.findings.append(error)
            return
        file = str(self._folder / shard.files[0].file)
        classes = len(self._manifest.classes)
        check = RecordCheck(reader, file, shard.names, start, classes, options, self._deep, labelled)
        try:
            yield from threads.each(check, range(len(shard.names)))
        finally:
            reader.close()

    def _remarks(self) -> Iterator[str]:
        manifest = self._manifest
        for name, count in self._report.counts.items():
            if count["unreadable"]:
                yield f"split {name}: statistics not compared, records that cannot be read: {count['unreadable']}"
        if manifest.skipped:
            left_out = counted(len(manifest.skipped), "entry or line", "entries or lines")
            yield f"packing left out {left_out}; the manifest says which and why"
        yield from describe_notes(manifest.notes)
        yield from manifest.renamed
        if manifest.duplicates:
            photos = sum(map(len, manifest.duplicates))
            yield f"byte-identical photos: {counted(len(manifest.duplicates), 'group')} of {photos} in all"
        if (self._folder / FOLDER).exists():
            yield f"{FOLDER}: left by an mhp-pack that was interrupted; running the same command again removes it"
