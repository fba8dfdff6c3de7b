"""Summarise a pack as text or JSON: the closing report of mhp pack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mhpdata.images.notes import describe_notes
from mhpdata.options import differences
from mhpdata.storage.duplicates import count_shared
from mhpdata.storage.manifest import Manifest
from mhpdata.storage.statistics import Statistics
from mhpdata.wording import UNCHANGED, counted, printable

SHOWN = 20
FORMAT_1 = (
    "The folder is of format 1, which every command reads. Pack again with --overwrite to write format 2, which adds a "
    "content id, and digests that locate damaged bytes."
)
"""Note on a folder that mhp 0.1 packed."""


def report(manifest: Manifest, folder: str | Path, source: str | Path = "SRC", flags: str = "") -> str:
    """Return a manifest as text: entries per split, skipped entries, overlap, gray and identical images.

    Args:
        manifest: Manifest of the packed folder.
        folder: Packed folder.
        source: Path of the download, which the manifest does not record.
        flags: Options with which mhp verify reads it, from ``mhpdata.source.scan.flags_of``.
    """
    what = f"{manifest.layout}, packed as {manifest.options['format']}"
    lines = [f"{folder}: {what}"] if manifest.written else [f"{folder}: {UNCHANGED} It holds:", what]
    lines += [f"content {manifest.content_id}" if manifest.content_id else f"Complete. {FORMAT_1}", ""]
    lines.append(
        f"{'split':8}{'images':>9}{'persons':>9}{'gray':>7}{'overlapping px':>16}{'conflicting px':>16}{'MB':>10}"
    )
    total = Statistics()
    for name, split in manifest.splits.items():
        total.add(split.statistics)
        lines.append(_row(name, split.statistics, sum(f.bytes for shard in split.shards for f in shard.files)))
    lines.append(_row("all", total, sum(file.bytes for file in manifest.files)))
    images, rule = counted(total.contested_images, "image"), manifest.options["overlap"]
    lines += ["", f"overlapping: labelled by more than one person, in {images}; the overlap rule is '{rule}'. "]
    lines[-1] += "conflicting: with different labels."
    if total.unlabelled_persons:
        without = counted(total.unlabelled_persons, "person")
        lines.append(f"{without} without a labelled pixel: kept in the records, not counted here or by mhp score.")
    lines += ["", *_duplicates(manifest), *_skipped(manifest, source, flags), *_renamed(manifest)]
    if manifest.notes:
        lines.append("Notes, each recorded in the manifest:")
        lines += [f"  {line}" for line in describe_notes(manifest.notes)]
    return "\n".join(map(printable, lines))


def as_dict(manifest: Manifest, folder: str | Path) -> dict[str, Any]:
    """Return the contents of ``report`` as JSON types; pixels are counted at source size."""
    names = ("images", "gray", "contested", "conflicting")
    splits = {
        name: {
            **{key: getattr(split.statistics, key) for key in names},
            "persons": split.statistics.labelled_persons,
            "bytes": sum(file.bytes for shard in split.shards for file in shard.files),
        }
        for name, split in manifest.splits.items()
    }
    skipped = [{"split": skip.split, "name": skip.name, "message": skip.message} for skip in manifest.skipped]
    return {
        "out": str(folder),
        "written": manifest.written,
        "layout": manifest.layout,
        "content": manifest.content_id,
        "options": dict(manifest.options),
        "splits": splits,
        "duplicates": [list(group) for group in manifest.duplicates],
        "skipped": skipped,
        "renamed": [one.text for one in manifest.renamed],
        "notes": list(describe_notes(manifest.notes)),
    }


def why_not(
    manifest: dict[str, Any], options: dict[str, Any], skip: bool, classes: Sequence[str] = ()
) -> tuple[str, str]:
    """Return why a finished pack is not the one that was asked for, and the remedy.

    Args:
        manifest: Fields of its manifest.json.
        options: Layout, splits, options and format version of the pack that was asked for.
        skip: Whether that pack skips damaged entries.
        classes: Classes of the download; empty if that pack is made from others.
    """
    other = "another --out, or --overwrite to replace it."
    if manifest.get("version") == 1:
        return "holds a packed folder of format 1, which every command reads", f"Pass {other}"
    theirs, ours = manifest.get("options"), {n: value for n, value in options.items() if n not in ("version", "from")}
    ours.setdefault("selection", None)
    theirs = {**(theirs if isinstance(theirs, dict) else {}), **{n: manifest.get(n) for n in ("layout", "selection")}}
    if theirs != ours:
        return f"packed with other options ({differences(theirs, ours)})", f"Pass the same options, {other}"
    if manifest.get("skipped") and not skip:
        return "packed with --on-error skip", f"Pass --on-error skip, {other}"
    before = manifest.get("classes")
    if classes and isinstance(before, list) and before != list(classes):
        found = f"packed with other classes ({_changed(before, classes)}); the label file has changed since"
        return found, f"Pass the label file as it was, {other}"
    if manifest.get("layout") == "folder":
        return "packed from other files or with another label file, or damaged since", f"Pass {other}"
    return "packed from other files, or damaged since", f"Pass {other}"


def _changed(before: list[Any], now: Sequence[str]) -> str:
    """Return the first difference between two lists of classes."""
    if len(before) != len(now):
        return f"{len(before)}, now {len(now)}"
    label, old, new = next((k, old, new) for k, (old, new) in enumerate(zip(before, now, strict=True)) if old != new)
    return f"label {label} is {old}, now {new}"


def _row(name: str, count: Statistics, size: int) -> str:
    numbers = f"{count.images:9}{count.labelled_persons:9}{count.gray:7}{count.contested:16}{count.conflicting:16}"
    return f"{name:8}{numbers}{size / 2**20:10.1f}"


def _duplicates(manifest: Manifest) -> list[str]:
    if not manifest.duplicates:
        return ["No two images are byte-identical."]
    count = sum(map(len, manifest.duplicates))
    groups = counted(len(manifest.duplicates), "group")
    lines = [f"Byte-identical images: {count} in {groups}; all kept, listed in the manifest."]
    within, across = count_shared(manifest.duplicates, manifest.splits)
    lines.append(f"  within a split: {counted(within, 'group')}")
    return lines + [f"  {a} and {b} share: {counted(count, 'group')}" for (a, b), count in across.items()]


def _skipped(manifest: Manifest, source: object, flags: str) -> list[str]:
    if not manifest.skipped:
        return ["Nothing was skipped."]
    lines = [f"Skipped: {len(manifest.skipped)}, each recorded in the manifest."]
    lines[0] += f" Run mhp verify --src {str(source).rstrip('/') or '/'}{flags} for what to do about them."
    lines += [f"  {skip.split or 'all splits'}/{skip.name}: {skip.message}" for skip in manifest.skipped[:SHOWN]]
    if len(manifest.skipped) > SHOWN:
        lines.append(f"  ... and {len(manifest.skipped) - SHOWN} more")
    return lines


def _renamed(manifest: Manifest) -> list[str]:
    if not manifest.renamed:
        return []
    return ["Names and lines of the source, recorded in the manifest:", *(f"  {r.text}" for r in manifest.renamed)]
