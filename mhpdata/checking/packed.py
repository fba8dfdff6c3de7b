"""Verify a packed folder: check every file, record and count against its manifest, and list all problems.

::

    manifest.json ─> options, classes, names      consistent, and as in the layout       mhpdata.checking.manifest
                  ─> files                        length, SHA-256; stray shards          mhpdata.checking.files
                  ─> records, on threads          bytes, sizes, runs; deep: maps         mhpdata.checking.record
                       └─> statistics, duplicates, content, recomputed and compared      mhpdata.checking.manifest

Memory grows with the folder by a name and two hashes per record only. ``verify_source`` (mhpdata.checking.source)
checks a download instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from mhpdata.address import Address
from mhpdata.checking.files import check_file, find_strays
from mhpdata.checking.manifest import (
    Wrong,
    check_layout,
    check_names,
    compare_content,
    compare_duplicates,
    compare_record,
    compare_statistics,
    content_of,
    pack_options,
)
from mhpdata.checking.record import Checked, RecordCheck
from mhpdata.checking.report import Report
from mhpdata.checking.source import verify_source
from mhpdata.errors import ManifestError, OptionError, ShardError, copy_again
from mhpdata.images.notes import describe_notes
from mhpdata.options import Folder, PackOptions, check_folder
from mhpdata.packing.output.contents import FOLDER, PARTS
from mhpdata.packing.summary import FORMAT_1
from mhpdata.processes.threads import Crew, crew
from mhpdata.source.entry import ALLOW_EMPTY
from mhpdata.storage.content import split_content
from mhpdata.storage.manifest import NAME, Manifest, read_manifest
from mhpdata.storage.packed import Shard, ShardFile
from mhpdata.storage.placing import place_of
from mhpdata.storage.shards.formats import Reader
from mhpdata.storage.statistics import Statistics
from mhpdata.wording import counted

__all__ = ["verify_packed", "verify_source"]

_AGAIN = copy_again("all of it")
_BATCH = 32
"""Number of records to ask for at once, at an address."""


def verify_packed(
    folder: str | os.PathLike[str] | Address,
    *,
    deep: bool = False,
    allow_empty: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Check a packed folder against its manifest, and list all problems.

    The checks cover the manifest itself; the length and SHA-256 of every file and of its blocks; shards that the
    manifest does not name; the CRC, position, name, sizes and runs of every record. Statistics, duplicates and content
    digests are recomputed. Every byte is read twice, once for the file's hash and once for its records.

    Args:
        folder: Packed folder, or its address.
        deep: Also decode every image and every person's mask, merge and resize the masks again, and compare labels and
            persons with the stored ones.
        allow_empty: Accept a split without records.
        workers: Number of threads, by default one per core that this process may use.
        progress: Show bars, if stderr is a terminal.

    Returns:
        The report; its findings are ManifestError, ShardError and RecordError.

    Raises:
        ManifestError: The manifest is missing, or cannot be parsed.
        OptionError: ``workers`` is out of range.
    """
    place = check_folder("folder", folder)
    verification = _Verification(place, read_manifest(place), deep)
    if not allow_empty:
        verification.find_empty()
    return verification.run(workers, progress)


class _Verification:
    """One call of ``verify_packed``."""

    def __init__(self, folder: Folder, manifest: Manifest, deep: bool) -> None:
        self._folder, self._manifest, self._deep = folder, manifest, deep
        self._remote = not isinstance(folder, Path)
        self._place = place_of(folder, manifest, None)
        how = "images and masks decoded, masks merged again" if deep else "images and masks not decoded"
        format = manifest.options.get("format")
        self._report = Report(f"{folder}: {manifest.layout}, packed as {format}; {how}")
        self._hashes: list[tuple[str, bytes]] = []
        self._contents: dict[str, str] = {}

    def run(self, workers: int | None, progress: bool) -> Report:
        """Run all checks, the cheap ones first."""
        options = self._options()
        self._note(check_layout(self._manifest))
        self._note(check_names(self._manifest))
        if isinstance(self._folder, Path):
            self._report.findings += find_strays(self._folder, self._manifest)
        files, check = self._manifest.files, partial(check_file, self._folder)
        with crew(len(files), "files", workers, progress) as threads:
            self._report.findings += [error for error in threads.each(check, files) if error is not None]
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
            self._note(iter([("no splits", "at least one")]))
        for split in (name for name, one in splits.items() if not one.records):
            others = "".join(f" --split {name}" for name, one in splits.items() if one.records)
            remedy = f"Pack again with --overwrite{others}" if others else "Pack a download that has images"
            remedy += f"; if the split is meant to be empty, pass {ALLOW_EMPTY}."
            found = f"split {split} is empty"
            self._report.findings.append(ManifestError(self._folder / NAME, found, "at least one record", remedy))

    def _note(self, wrong: Wrong) -> None:
        """Add problems of the manifest to the findings."""
        place = self._folder / NAME
        self._report.findings += [ManifestError(place, found, expected, _AGAIN) for found, expected in wrong]

    def _options(self) -> PackOptions | None:
        """Return the options; if they are invalid, add a finding and return None."""
        try:
            return pack_options(self._manifest)
        except OptionError as error:
            found = f"option {error.place}: {error.found}, so the records were not checked"
            self._note(iter([(found, error.expected)]))
            return None

    def _check_split(self, name: str, options: PackOptions | None, threads: Crew) -> None:
        """Check every record of a split, then the split's statistics."""
        split, classes = self._manifest.splits[name], len(self._manifest.classes)
        total = Statistics(class_pixels=[0] * classes, class_images=[0] * classes)
        start, digests = 0, list[bytes]()
        for shard in split.shards:
            results = self._check_shard(shard, start, options, threads, split.labelled) if options else iter(())
            # an unreadable shard has no results
            for position, (record, checked) in enumerate(zip(shard.names, results, strict=False)):
                self._report.findings += checked.findings
                self._note(compare_record(shard, position, f"{name}/{record}", checked.source_sha256, checked.classes))
                digests += [checked.content] if checked.content else []
                if checked.source_sha256:
                    self._hashes.append((f"{name}/{record}", checked.source_sha256))
                if checked.statistics is not None:
                    total.add(checked.statistics)
            start += len(shard.names)
        if not self._deep:
            total.unlabelled_persons = split.statistics.unlabelled_persons  # known only from the masks
        self._note(compare_statistics(self._manifest, name, total))
        if len(digests) == start:
            self._contents[name] = split_content(digests)
            self._note(compare_content(self._manifest, name, self._contents[name]))
        self._report.counts[name] = {
            "records": start,
            "unreadable": start - total.images,
            "persons": total.labelled_persons,
            "gray": total.gray,
            "overlapping px": total.contested,
            "conflicting px": total.conflicting,
            "kB": sum(file.bytes for shard in split.shards for file in shard.files if self._is_there(file)) // 1000,
        }

    def _is_there(self, file: ShardFile) -> bool:
        """Return whether the folder has a file; at an address, where nothing is listed, it is assumed to."""
        return not isinstance(self._folder, Path) or (self._folder / file.file).is_file()

    def _check_shard(
        self, shard: Shard, start: int, options: PackOptions, threads: Crew, labelled: bool
    ) -> Iterator[Checked]:
        """Check the records of one shard, in order; if it cannot be opened, add a finding and yield nothing."""
        if isinstance(self._folder, Path) and not all((self._folder / file.file).is_file() for file in shard.files):
            return  # check_file has reported it
        try:
            (reader,) = self._place.open_shards([shard])
        except ShardError as error:
            self._report.findings.append(error)
            return
        file = str(self._folder / shard.files[0].file)
        classes = len(self._manifest.classes)
        check = RecordCheck(reader, file, shard.names, start, classes, options, self._deep, labelled)
        try:
            again = partial(self._check_again, check, reader) if self._remote else check
            for position, checked in enumerate(threads.each(again, self._ahead(reader))):
                self._place.drop(reader.span(position))
                yield checked
        finally:
            self._place.clear()
            reader.close()

    def _check_again(self, check: RecordCheck, reader: Reader, position: int) -> Checked:
        """Check a record; request it again if it seems damaged, since bytes may be changed on their way."""
        checked = check(position)
        if checked.findings and self._place.doubt(reader.span(position)):
            return check(position)
        return checked

    def _ahead(self, reader: Reader) -> Iterator[int]:
        """Yield the positions in a shard; at an address, ask for records some batches ahead."""
        count = len(reader)
        for position in range(count):
            if self._remote and position % _BATCH == 0:
                first = position + _BATCH if position else 0
                self._place.ask(map(reader.span, range(first, min(position + 2 * _BATCH, count))))
            yield position

    def _remarks(self) -> Iterator[str]:
        manifest = self._manifest
        content = content_of(manifest, self._contents)
        if content is not None:
            yield f"content {content}"
        if manifest.version == 1:
            yield FORMAT_1
        for name, count in self._report.counts.items():
            if count["unreadable"]:
                cannot = f"{counted(count['unreadable'], 'record')} cannot"
                yield f"split {name}: statistics not compared, since {cannot} be read"
        if manifest.skipped:
            left_out = counted(len(manifest.skipped), "entry or line", "entries or lines")
            yield f"{left_out} skipped in packing; the manifest lists them with the reason"
        yield from describe_notes(manifest.notes)
        yield from (renamed.text for renamed in manifest.renamed)
        if manifest.duplicates:
            images = sum(map(len, manifest.duplicates))
            yield f"byte-identical images: {images} in {counted(len(manifest.duplicates), 'group')}"
        if not isinstance(self._folder, Path):
            yield "shards that the manifest does not list were not looked for: an address is never listed"
            return
        if (self._folder / FOLDER).exists():
            yield f"{FOLDER}: left by an interrupted mhp pack; run the same command again to complete it"
        if (self._folder / PARTS).exists():
            yield f"{PARTS}: left by an interrupted mhp pack --merge; run the same command again to remove it"
