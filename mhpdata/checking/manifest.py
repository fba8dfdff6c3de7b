"""Check a manifest for consistency: within itself, with its layout, and with the records. Nothing is read from disk.

Each function yields problems as (found, expected), of which ``mhpdata.checking.packed`` makes errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from mhpdata.errors import PACK_AGAIN, OptionError
from mhpdata.options import PackOptions
from mhpdata.source.scan import LAYOUTS
from mhpdata.storage.content import pack_content
from mhpdata.storage.duplicates import identical
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.packed import PackedSplit, Shard, contents
from mhpdata.storage.shards.formats import SUFFIXES
from mhpdata.storage.statistics import Statistics
from mhpdata.wording import either

Wrong = Iterator[tuple[str, str]]


def pack_options(manifest: Manifest) -> PackOptions:
    """Return the options that a folder was packed with.

    Raises:
        OptionError: An option is missing, unknown or invalid.
    """
    given = {name: value for name, value in manifest.options.items() if name != "splits"}
    known = PackOptions().as_dict()
    odd = sorted(set(given) ^ set(known))
    if odd:
        raise OptionError(", ".join(odd), "missing or unknown", f"only these: {', '.join(known)}", PACK_AGAIN)
    return PackOptions(**given)


def check_layout(manifest: Manifest) -> Wrong:
    """Check layout, classes, left/right pairs, and the splits that the options name."""
    splits = list(manifest.splits)
    if manifest.options.get("splits") != splits:
        yield f"option splits {manifest.options.get('splits')}", f"{splits}, the splits in the manifest"
    if manifest.layout not in LAYOUTS:
        yield f"layout {manifest.layout!r}", either(LAYOUTS)
        return
    labels = LAYOUTS[manifest.layout].LABELS
    if labels is None:  # a dataset of one's own
        return
    if manifest.classes != labels.names:
        yield f"classes {', '.join(manifest.classes)}", f"those of {labels.name}: {', '.join(labels.names)}"
    if manifest.flip_pairs != labels.flip_pairs:
        yield f"flip_pairs {manifest.flip_pairs}", f"those of {labels.name}: {labels.flip_pairs}"


def check_names(manifest: Manifest) -> Wrong:
    """Check the names of files, records and skipped entries."""
    suffixes = SUFFIXES.get(str(manifest.options.get("format")), ())
    for name, split in manifest.splits.items():
        for number, shard in enumerate(split.shards):
            files = [file.file for file in shard.files]
            expected = [f"{name}-{number:05d}{suffix}" for suffix in suffixes]
            if files != expected:
                yield f"shard {number} of split {name} in {', '.join(files)}", ", ".join(expected)
        for record, count in Counter(record_names(split)).items():
            if count > 1:
                yield f"split {name} names {record} {count} times", "once"
    for skip in manifest.skipped:
        if skip.split not in ("", *manifest.splits):
            yield f"{skip.name!r} skipped in split {skip.split!r}", either(manifest.splits)


def compare_statistics(manifest: Manifest, name: str, counted: Statistics) -> Wrong:
    """Compare the statistics of split ``name`` with those counted in its records, if all of these were counted."""
    split = manifest.splits[name]
    stated = split.statistics
    where = f"statistics of split {name}:"
    if stated.images != split.records:
        yield f"{where} images {stated.images}", f"{split.records}, its records"
    if counted.images != split.records:
        return
    for what, count in vars(counted).items():
        says = getattr(stated, what)
        older = manifest.version == 1 and what == "unlabelled_persons" and not says  # mhp 0.1 may not have counted them
        if what == "images" or says == count or older:
            continue
        if not isinstance(count, list):
            yield f"{where} {what} {says}", f"{count}, as in its records"
        elif len(says) != len(count):
            yield f"{where} {what} of {len(says)} classes", f"{len(count)}"
        else:
            for label in (label for label in range(len(count)) if says[label] != count[label]):
                about = f"of label {label} ({manifest.classes[label]})"
                yield f"{where} {what} {says[label]} {about}", f"{count[label]}, as in its records"


def compare_content(manifest: Manifest, name: str, content: str) -> Wrong:
    """Compare the content digest of split ``name`` with that of its records, all of which were read."""
    stated = manifest.splits[name].content
    if stated and stated != content:
        yield f"content of split {name} {stated}", f"{content}, by its records"


def content_of(manifest: Manifest, counted: dict[str, str]) -> str | None:
    """Return the content digest of the pack, from those of its splits' records; None if one of these is missing."""
    if counted.keys() != manifest.splits.keys():
        return None
    splits = [split._replace(content=counted[split.name]) for split in contents(manifest.splits)]
    return pack_content(manifest.layout, manifest.classes, manifest.flip_pairs, splits)


def compare_record(shard: Shard, position: int, record: str, sha256: bytes, classes: int | None) -> Wrong:
    """Compare the manifest's entry for a record with the record: SHA-256 of its source image, and labels, if known."""
    if shard.photos and sha256 and shard.photos[position] != sha256.hex():
        yield f"source image {shard.photos[position]} of {record}", f"{sha256.hex()}, as in its record"
    if shard.classes and classes is not None and shard.classes[position] != classes:
        yield f"labels {_labels(shard.classes[position])} in {record}", f"{_labels(classes)}, as in its record"


def compare_duplicates(manifest: Manifest, hashes: list[tuple[str, bytes]]) -> Wrong:
    """Compare the groups of identical images with those by ``hashes``, (split/name, SHA-256), if these are complete."""
    known = {f"{name}/{record}" for name, split in manifest.splits.items() for record in record_names(split)}
    for record in chain.from_iterable(manifest.duplicates):
        if record not in known:
            yield f"duplicates name {record}", "a record, as split/name"
    if len(hashes) != sum(split.records for split in manifest.splits.values()):
        return
    stated, counted = set(manifest.duplicates), identical(hashes)
    for group in manifest.duplicates:
        if group not in counted and known.issuperset(group):
            yield f"duplicates group {', '.join(group)}", "all records of one source image, in order"
    for group in counted:
        if group not in stated:
            yield (
                f"duplicates without {', '.join(group)}",
                "a group of these records: their source images are identical",
            )


def _labels(bits: int) -> str:
    """Return the labels whose bits are set in a number, as text."""
    return ", ".join(str(label) for label in range(bits.bit_length()) if bits >> label & 1) or "none"


def record_names(split: PackedSplit) -> Iterator[str]:
    """Return the names of a split's records, in order."""
    return chain.from_iterable(shard.names for shard in split.shards)
