"""Verify a download before packing it: decode and check every image and every mask, and list all problems.

Packing would stop at the first problem, or skip the entries one by one. The check also compares the folder with the
full release. Images are decoded as strictly as in packing; if an image's size is unknown, its masks are checked against
their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mhpdata.checking.release import DIGEST_BYTES, LISTS, Compared, compare_with_release, digest_of
from mhpdata.checking.report import Report
from mhpdata.errors import ImageError, SourceError
from mhpdata.faults import Value
from mhpdata.images.decode import Pixels, decode_file
from mhpdata.images.header import read_header
from mhpdata.images.label_png import decode_mask
from mhpdata.images.notes import Note, describe_notes
from mhpdata.labels import IGNORE
from mhpdata.options import Layout, check_path
from mhpdata.processes.threads import crew
from mhpdata.source.annotation import PERSONS, check_maps, persons_of, read_persons, unlabelled_of
from mhpdata.source.entry import MAPS, RED, Entry, Listing, empty_split
from mhpdata.source.files import read_file
from mhpdata.source.scan import AUTO, scan
from mhpdata.storage.duplicates import count_shared, identical
from mhpdata.wording import counted


@dataclass(frozen=True)
class Release:
    """Contents of the full release of a dataset.

    ``images``: number of images per split. ``persons``: number of persons in all; None if unknown. ``broken``: images
    known not to decode.
    """

    images: dict[str, int]
    persons: int | None
    broken: tuple[str, ...] = ()


RELEASES = {
    "mhp-v1": Release({"train": 3000, "val": 1000, "test": 980}, 14969, ("images/3492.jpg",)),
    "mhp-v2": Release(
        {"train": 15403, "val": 5000, "test": 5000},
        None,
        tuple(f"train/images/{name}.jpg" for name in (1396, 18613, 19012, 19590, 24328)),
    ),
    "cihp": Release({"train": 28280, "val": 5000, "test": 5000}, None),
    "lip": Release({"train": 30462, "val": 10000, "test": 10000}, None),
}
"""The full release of each layout. Source: the releases' own lists and folders."""


@dataclass(frozen=True)
class _Surveyed:
    """Result of the check of one entry.

    ``findings``: its problems. ``sha256``: hash of its image, empty if unreadable. ``gray``: whether the image is gray.
    ``persons``: number of persons. ``unlabelled``: number of those without a labelled pixel. ``notes``: notes on the
    image, by code. ``digests``: ``digest_of`` each file that was read, by path, if mhp lists the release.
    """

    findings: list[SourceError]
    sha256: bytes
    gray: bool
    persons: int
    unlabelled: int
    notes: dict[str, tuple[Value, ...]]
    digests: dict[str, bytes]


def verify_source(
    src: str | Path,
    *,
    layout: Layout = AUTO,
    labels: str | Path | None = None,
    follow_links: bool = False,
    allow_empty: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Report:
    """Check a downloaded dataset before packing it, and list all problems.

    Args:
        src: Extracted folder. Nothing is written there.
        layout: "auto", or a name in mhpdata.source.scan.LAYOUTS.
        labels: Path of the label file of a dataset of one's own, for the layout "folder".
        follow_links: Follow links that point outside ``src``; otherwise they are refused.
        allow_empty: Accept a split without images.
        workers: Number of threads, by default one per core that this process may use.
        progress: Show a bar, if stderr is a terminal.

    Returns:
        The report; its findings are SourceError. Remarks list files that no list names, files accepted under another
        name, byte-identical images, and, for LV-MHP v1, differences from the release. An entry with a missing file or a
        wrong number of masks is a finding; its files are not decoded. An image or a mask with other bytes than in the
        release is a finding, too.

    Raises:
        FolderError: ``src`` is not a dataset of this layout, or a folder or list of it is unreadable.
        OptionError: The layout is unknown, or ``workers`` is out of range.
    """
    src = check_path("src", src)
    try:
        listing = scan(src, layout, follow_links, labels)
    except SourceError as error:
        raise error.below(src) from error.__cause__
    report = Report(f"{src}: {listing.layout}; every image and mask decoded")
    report.findings += [problem.error.below(src) for problem in listing.problems]
    report.findings += [] if allow_empty else [error.below(src) for error in _empty(listing)]
    hashes: list[tuple[str, bytes]] = []
    notes: list[Note] = []
    digests: dict[str, bytes] = {}
    listed = listing.layout in LISTS
    masks = unlabelled = 0
    with crew(sum(map(len, listing.entries.values())), "images", workers, progress) as threads:
        for split, entries in listing.entries.items():
            usable = gray = persons = 0
            work = partial(_survey, src, labels=len(listing.labels), listed=listed)
            for entry, done in zip(entries, threads.each(work, entries), strict=True):
                report.findings += [error.below(src) for error in done.findings]
                hashes += [(f"{split}/{entry.name}", done.sha256)] if done.sha256 else []
                notes += [Note(split, entry.name, code, values) for code, values in done.notes.items()]
                digests |= done.digests
                usable += not done.findings
                gray += done.gray
                persons += done.persons - done.unlabelled
                masks, unlabelled = masks + done.persons, unlabelled + done.unlabelled
            report.counts[split] = _counts(listing, split, usable, gray, persons)
    damaged = {error.place for error in report.findings}
    compared = compare_with_release(src, listing.layout, digests, follow_links)
    _add_comparison(report, compared, src, damaged)
    report.remarks += [*_compare_release(listing, report.counts, masks, src, damaged)]
    if unlabelled:
        report.remarks.append(f"{counted(unlabelled, 'person')} without a labelled pixel, not counted by any score")
    report.remarks += [f"{split}: no image shows a person" for split in _without_persons(listing, report.counts)]
    report.remarks += [*_describe_identical(listing, hashes), *describe_notes(notes)]
    report.remarks += [*(renamed.text for renamed in listing.renamed), *listing.remarks]
    report.remarks += [*compared.remarks()][1:] if compared else []
    report.more += compared.absent() if compared else []
    return report


def _add_comparison(report: Report, compared: Compared | None, src: Path, damaged: set[str]) -> None:
    """Add the comparison with the release: its first sentence, and files that differ and have no finding yet."""
    if compared is not None:
        report.release = compared.as_dict()
        report.remarks.append(next(compared.remarks()))
        differing = (error.below(src) for error in compared.findings())
        report.findings += [error for error in differing if error.place not in damaged]


def _empty(listing: Listing) -> Iterator[SourceError]:
    """Yield an error for each split without images, unless a problem of the listing explains it already."""
    filled = [split for split, entries in listing.entries.items() if entries]
    for split, entries in listing.entries.items():
        if not entries and all(problem.split not in ("", split) for problem in listing.problems):
            yield empty_split(split, filled)


def _survey(root: Path, entry: Entry, labels: int, listed: bool) -> _Surveyed:
    """Decode the image and the masks of one entry; may run on several threads."""
    findings: list[SourceError] = []
    digests: dict[str, bytes] = {}
    digest, gray, notes = b"", False, dict[str, tuple[Value, ...]]()
    size: tuple[int, int] | None = None
    try:
        data = read_file(root, entry.image)
        digest = hashlib.sha256(data).digest()
        digests |= {entry.image.path: digest[:DIGEST_BYTES]} if listed else {}
        size = _declared_size(data, entry.image.path)
        decoded = decode_file(data, entry.image.path)
        gray, notes = decoded.header.gray, decoded.notes
    except SourceError as error:
        findings.append(error)
    if entry.own is None:
        wrong, persons, unlabelled = _survey_masks(root, entry, size, labels, digests if listed else None)
        findings += wrong
    else:
        wrong, persons, unlabelled = _survey_own(root, entry, size, labels)
        findings = [error.of_own() for error in (*findings, *wrong)]
    return _Surveyed(findings, digest, gray, persons, unlabelled, notes, digests)


def _survey_masks(
    root: Path, entry: Entry, size: tuple[int, int] | None, labels: int, digests: dict[str, bytes] | None
) -> tuple[list[SourceError], int, int]:
    """Decode the masks of an entry, or its two maps, which must have the size of the image if that is known.

    ``digests`` receives ``digest_of`` each file by path; None to compute none.

    Returns:
        Problems, number of persons, and number of persons without a labelled pixel.
    """
    findings: list[SourceError] = []
    maps: list[Pixels] = []
    unlabelled = 0
    for number, file in enumerate(entry.masks or ()):
        values = PERSONS if entry.form == MAPS and number else labels
        try:
            data = read_file(root, file)
            if digests is not None:
                digests[file.path] = digest_of(data)
            expected = size or _declared_size(data, file.path) or (0, 0)
            mask = decode_mask(data, file.path, expected, values, red=entry.form == RED)
        except SourceError as error:
            findings.append(error)
            continue
        if entry.form == MAPS:
            size = expected
            maps.append(mask)
        unlabelled += not ((mask != 0) & (mask != IGNORE)).any()
    if entry.form != MAPS or entry.masks is None:
        return findings, len(entry.masks or ()), unlabelled
    if findings:
        return findings, 0, 0
    try:
        check_maps(entry, *maps)
    except SourceError as error:
        return [error], 0, 0
    return [], len(persons_of(maps[1])), unlabelled_of(*maps)


def _survey_own(
    root: Path, entry: Entry, size: tuple[int, int] | None, labels: int
) -> tuple[list[SourceError], int, int]:
    """Check the annotation of an entry of a dataset of one's own, up to its first problem, as ``_survey_masks`` does.

    If the size of the image is unknown, nothing is checked.
    """
    persons = unlabelled = 0
    if size is None or entry.masks is None:
        return [], 0, 0
    try:
        for person in read_persons(root, entry, size, labels):
            persons += 1
            unlabelled += not person.runs.area
    except SourceError as error:
        return [error], 0, 0
    return [], persons, unlabelled


def _declared_size(data: bytes, place: str) -> tuple[int, int] | None:
    """Return (height, width) from a file's header; None if it is invalid, which decoding reports."""
    try:
        header = read_header(data, place)
    except ImageError:
        return None
    return header.height, header.width


def _counts(listing: Listing, split: str, usable: int, gray: int, persons: int) -> dict[str, int]:
    listed = len(listing.entries[split]) + sum(p.split == split and p.entry for p in listing.problems)
    counts = {"images": listed, "usable": usable, "persons": persons, "gray": gray}
    release = RELEASES.get(listing.layout)
    return counts | ({"release": release.images[split]} if release else {})


def _compare_release(
    listing: Listing, counts: dict[str, dict[str, int]], persons: int, src: Path, damaged: set[str]
) -> Iterator[str]:
    release = RELEASES.get(listing.layout)
    if release is None:
        return
    images = {split: count["images"] for split, count in counts.items()}
    numbers = ", ".join(f"{count} {split}" for split, count in release.images.items())
    masks = "" if release.persons is None else f" and {release.persons} masks"
    if images == release.images and release.persons in (None, persons):
        yield f"complete, with the counts of the full release: {numbers} images{masks.replace(' and', ',')}"
    else:
        here = counted(persons, "mask" if masks else "person")
        yield f"not the full release, which has {numbers} images{masks}; found {here}"
    for image in release.broken:
        if f"{src}/{image}" in damaged:
            yield f"{image}: damaged in the release itself; pass --on-error skip to pack without it"


def _without_persons(listing: Listing, counts: dict[str, dict[str, int]]) -> list[str]:
    """Return the splits whose images have annotations, but no person."""
    labelled = {split: count for split, count in counts.items() if split not in listing.unlabelled}
    return [split for split, count in labelled.items() if count["usable"] and not count["persons"]]


def _describe_identical(listing: Listing, hashes: list[tuple[str, bytes]]) -> Iterator[str]:
    """Yield the numbers of byte-identical images within and across splits, then each group."""
    groups = identical(hashes)
    if not groups:
        yield "no two images are byte-identical"
        return
    yield f"byte-identical images: {sum(map(len, groups))} in {counted(len(groups), 'group')}"
    within, across = count_shared(groups, listing.entries)
    yield f"byte-identical images within a split: {counted(within, 'group')}"
    for (a, b), count in across.items():
        yield f"byte-identical images in {a} and {b}: {counted(count, 'group')}"
    for group in groups:
        yield f"byte-identical: {', '.join(group)}"
