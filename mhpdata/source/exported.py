"""Refuse an export of mhp whose classes are not those of the layout that it is read as.

An export of a packed folder has the folders of a release (cihp, lip), but the labels of the packed folder. Its files do
not tell the classes; its export.json does (mhpdata.exporting.output), which is written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mhpdata.errors import FolderError
from mhpdata.fields import parse_json
from mhpdata.labels import LabelSet
from mhpdata.options import EXPORT_FORMS
from mhpdata.source.files import read_file, scan_folder
from mhpdata.source.remote import Root
from mhpdata.source.source_file import Refused

NAME, FORMAT = "export.json", "mhp-export"
MAX_BYTES = 1 << 22
"""Maximum size of an export.json; mhp writes a few KB."""


def check_exported(
    root: Root, names: set[str], layout: str, known: Mapping[str, LabelSet], follow_links: bool = False
) -> None:
    """Raise FolderError if a folder is an export of data with other classes than the layout has.

    Args:
        root: The source folder.
        names: Names of its files and folders.
        layout: Name of the layout, a key of ``known``.
        known: Classes by layout.
        follow_links: As for ``scan_folder``.

    Raises:
        FolderError: See above; or export.json is a link that is not followed.
        UnreadableError: export.json cannot be read.
        RemoteError: An object cannot be listed or read.
    """
    content = _read(root, follow_links) if NAME in names else {}
    classes = content.get("classes")
    if content.get("format") != FORMAT or classes == list(known[layout].names):
        return
    same = [name for name, labels in known.items() if classes == list(labels.names)]
    found = f"this folder is an export of data with {f'the classes of {same[0]}' if same else 'other classes'}"
    raise FolderError(NAME, found, f"the classes of {layout}", _remedy(same, content.get("form")))


def _remedy(same: list[str], form: object) -> str:
    """Return the remedy for an export to a form of data whose classes are those of the layouts ``same``."""
    if "ccihp" in same and form == "cihp":
        return "Pass --layout ccihp."
    for name in same:
        if name in EXPORT_FORMS:
            return f"Pack the original dataset, or export the packed folder with --to {name} and pack that export."
    return "Pack the original dataset, or describe this folder in a label file: --layout folder --labels mine.json."


def _read(root: Root, follow_links: bool) -> dict[str, Any]:
    """Return the content of export.json; {} if there is none, or it is not a file of mhp."""
    file = scan_folder(root, "", follow_links).get(NAME)
    if isinstance(file, Refused):
        raise file.error()
    if file is None or file.size > MAX_BYTES:
        return {}
    data = read_file(root, file, MAX_BYTES)
    try:
        content = parse_json(data.decode())
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
