"""Scan a downloaded dataset in any of the supported layouts. A layout turns a folder into entries; nothing is decoded.

A layout is a module with ``LABELS`` (its LabelSet), ``NAMES`` (the contents of its folder), ``evidence(root, names)``
(the paths that identify this layout; empty for others) and ``scan(root, follow_links) -> Listing``. The layout "folder"
is a dataset of one's own: its classes and files are in a label file.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal, cast

from mhpdata.errors import FolderError, OptionError
from mhpdata.label_sets.built_in import find_table
from mhpdata.options import Layout, check_choice
from mhpdata.source.entry import Entry, Listing, Problem, empty_split
from mhpdata.source.exported import check_exported
from mhpdata.source.files import names_alike
from mhpdata.source.layouts import ccihp, cihp, folder, lip, mhp_v1, mhp_v2
from mhpdata.source.remote import RemoteFolder, Root, missing_folder
from mhpdata.wording import either, to_read, why

__all__ = ["AUTO", "LAYOUTS", "Entry", "Layout", "Listing", "Problem", "empty_split", "scan"]

AUTO: Literal["auto"] = "auto"
FOLDER = "folder"
_PACKED = {"manifest.json", "build.json"}
"""Files of a packed folder (mhpdata.storage.manifest)."""
_RELEASES: dict[str, ModuleType] = {"mhp-v1": mhp_v1, "mhp-v2": mhp_v2, "cihp": cihp, "lip": lip}
"""The layouts that are recognised."""
LAYOUTS: dict[str, ModuleType] = {**_RELEASES, "ccihp": ccihp, FOLDER: folder}


def scan(root: Root, layout: str = AUTO, follow_links: bool = False, labels: str | Path | None = None) -> Listing:
    """Return the entries of a downloaded dataset, each split in the order of its list.

    Args:
        root: The folder as extracted, here or in object storage.
        layout: A name in LAYOUTS, or "auto" to recognise it from the folder's contents; it is never guessed.
        follow_links: Whether to follow links out of the folder, which are refused otherwise.
        labels: Path of the label file of a dataset of one's own, for the layout "folder", which it implies.

    Raises:
        OptionError: The layout is unknown, or the label file is missing or wrong.
        FolderError: The folder has another layout, or several, or cannot be listed, or is an export of mhp with other
            classes than those of the layout.
        RemoteError: A folder in object storage cannot be listed.
    """
    check_choice("layout", layout, (AUTO, *LAYOUTS))
    if labels is not None and layout not in (AUTO, FOLDER):
        remedy = f"Pass --layout {FOLDER} for a dataset of your own; for {layout}, leave out --labels."
        raise OptionError("labels", f"given with layout {layout}", f"layout {FOLDER}", remedy)
    if layout == FOLDER and labels is None:
        remedy = "Pass --labels mine.json; docs/datasets.md (Your own dataset) shows what it contains."
        raise OptionError("labels", "missing", f"the label file, with --layout {FOLDER}", remedy)
    names = _names_in(root)
    flags = flags_of(layout, labels, follow_links)
    if labels is not None:
        return replace(folder.scan(root, follow_links, find_table(labels), str(labels)), flags=flags)
    chosen = _recognise(root, names) if layout == AUTO else layout
    known = {name: module.LABELS for name, module in LAYOUTS.items() if name != FOLDER}
    check_exported(root, names, chosen, known, follow_links)
    return replace(cast(Listing, LAYOUTS[chosen].scan(root, follow_links)), flags=flags)


def flags_of(layout: str, labels: str | Path | None, follow_links: bool) -> str:
    """Return options of a command that reads a download, as typed: " --labels mine.json"; empty for the defaults."""
    found = f" --layout {layout}" if layout != AUTO and labels is None else ""
    found += f" --labels {shlex.quote(str(labels))}" if labels is not None else ""
    return found + " --follow-links" * follow_links


def _names_in(root: Root) -> set[str]:
    """Return the names of files and folders of the download. Raises FolderError, RemoteError."""
    if isinstance(root, RemoteFolder):
        level = root.level()
        if not level.folders and not level.objects:
            raise missing_folder("", ())
        return {*level.folders, *level.objects}
    try:
        return {path.name for path in root.iterdir()}
    except OSError as error:
        otherwise = remedy = "Pass the folder that the dataset's archive was extracted to."
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            remedy = to_read(error, "SRC/", otherwise)
        found = "no such folder" if isinstance(error, FileNotFoundError) else f"cannot be listed ({why(error)})"
        raise FolderError(".", found, "a dataset folder as extracted", remedy) from error


def _recognise(root: Root, names: set[str]) -> str:
    """Return the name of the one layout that a folder has. Raises FolderError for none or several."""
    if names >= _PACKED:
        remedy = "Check it with mhp verify SRC/ (without --src), or pack its records again with mhp pack --from SRC/."
        raise FolderError(".", "is a packed folder", "a download", remedy)
    evidence = {name: module.evidence(root, names) for name, module in _RELEASES.items()}
    layouts = [name for name, paths in evidence.items() if paths]
    if len(layouts) == 1:
        return layouts[0]
    if layouts:
        what = " and ".join(f"{name} ({', '.join(evidence[name])})" for name in layouts)
        remedy = f"Pass --layout {' or --layout '.join(layouts)}, or move each dataset to a separate folder."
        raise FolderError(".", f"holds files of several datasets: {what}", "one dataset", remedy)
    wanted = " or ".join(f"{', '.join(module.NAMES)} ({name})" for name, module in _RELEASES.items())
    here = ", ".join(sorted(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
    found = f"no known dataset layout (found {here})"
    remedy = (
        f"Pass as --src the folder that contains these, or pass --layout {either(_RELEASES)} to see what is missing. "
    )
    remedy += f"For a dataset of your own, pass --layout {FOLDER} --labels mine.json."
    alike = {
        (name, right) for module in _RELEASES.values() for right in module.NAMES for name in names_alike(names, right)
    }
    if alike:
        remedy = f"Rename {' and '.join(f'{name} to {right}' for name, right in sorted(alike))}."
    if not names:
        remedy = "Extract the archive into this folder, or pass the folder that it was extracted to."
    raise FolderError(".", found, wanted, remedy)
