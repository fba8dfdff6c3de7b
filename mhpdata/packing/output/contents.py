"""Names and contents of what mhp pack writes beside the shards, and the errors for other packs in the same place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from mhpdata.errors import OutputError
from mhpdata.fields import parse_json
from mhpdata.filesystem.ours import head
from mhpdata.filesystem.regular import read_regular
from mhpdata.options import differences, recorded
from mhpdata.packing.summary import why_not
from mhpdata.storage.manifest import BUILD_NAME, MAX_BYTES, NAME

FOLDER = ".packing"
PARTS = ".tasks"
"""Folder of the parts that tasks write (mhpdata.packing.tasks)."""
OPTIONS = "options.json"
ADVICE = "or pass another --out"
MARKS = {NAME: re.compile(rb'"format"\s*:\s*"mhp-packed"'), BUILD_NAME: re.compile(rb'"source_state"\s*:')}
"""Patterns in the first bytes of the two files that describe a packed folder."""


class Wanted(NamedTuple):
    """A pack that is to be written.

    Attributes:
        options: Layout, splits, options and format version.
        overwrite: Whether it may replace another pack.
        skip: Whether it skips damaged entries.
        classes: Classes of a download; empty if the pack is made from others.
    """

    options: dict[str, Any]
    overwrite: bool
    skip: bool
    classes: tuple[str, ...] = ()


def named_shards(manifest: dict[str, Any] | None) -> set[str]:
    """Return the names of the shards' files in the fields of a manifest, which may be damaged."""
    try:
        shards = [shard for split in (manifest or {"splits": {}})["splits"].values() for shard in split["shards"]]
        return {str(file["file"]) for shard in shards for file in shard["files"]}
    except (KeyError, TypeError, AttributeError):
        return set()


def refuse_packed(out: object, manifest: dict[str, Any] | None, wanted: Wanted) -> None:
    """Raise OutputError for the finished pack in ``out``, which is not the one that is wanted."""
    found, remedy = why_not(manifest or {}, wanted.options, wanted.skip, wanted.classes)
    raise OutputError(out, found, "", remedy)


def refuse_unfinished(out: object, theirs: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise OutputError for an unfinished pack in ``out`` with other options."""
    if theirs.get("version") != options["version"]:
        found = "holds an unfinished pack of another version of mhp"
        remedy = "Finish it with that version, or pass --overwrite to pack from scratch."
        raise OutputError(out, found, "an empty folder", remedy)
    found = f"holds an unfinished pack with other options ({differences(theirs, options)})"
    remedy = f"Pass {recorded(theirs, options)} to resume it, or --overwrite to pack from scratch."
    raise OutputError(out, found, "", remedy)


def refuse_for_tasks(out: object, packed: bool, unfinished: bool, other: str = "") -> None:
    """Raise OutputError if ``out`` holds something else than parts of tasks.

    Args:
        out: Place of the pack.
        packed: Whether it holds a finished pack.
        unfinished: Whether it holds an unfinished pack that is not one of tasks.
        other: Name of another file in it; "" for none.
    """
    if packed:
        remedy = "Pass another --out, or delete the dataset first."
        raise OutputError(out, "holds a packed dataset", "an empty folder", remedy)
    if unfinished or other:
        found = "holds an unfinished pack" if unfinished else f"holds {other}"
        way = "Run it again without --task to complete it" if unfinished else f"Move {other} elsewhere"
        raise OutputError(out, found, "an empty folder", f"{way}, or pass another --out.")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file that mhp wrote; None if it is missing, or damaged by a power cut."""
    if head(path, 1) is None:
        return None
    try:
        return parse_json(read_regular(path, MAX_BYTES).decode())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file as ``read_json`` does; None also if the content is not an object."""
    content = read_json(path)
    return content if isinstance(content, dict) else None
