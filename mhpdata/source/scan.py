"""Layouts: how each dataset lies on disk after unpacking. A layout turns a folder into entries; nothing is decoded.

A layout is a module with ``LABELS`` (its LabelSet), ``SPLITS`` (names, in order), ``NAMES`` (what its folder holds),
``evidence(root, names)`` (what in a folder is of this layout and of no use to others; nothing where it is not) and
``scan(root, follow_links) -> Listing``.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Literal, cast

from mhpdata.errors import FolderError
from mhpdata.options import Layout, check_choice
from mhpdata.source.entry import Entry, Listing, Problem, empty_split
from mhpdata.source.files import names_alike
from mhpdata.source.layouts import cihp, mhp_v1, mhp_v2
from mhpdata.wording import to_read, why

__all__ = ["AUTO", "LAYOUTS", "Entry", "Layout", "Listing", "Problem", "empty_split", "scan"]

AUTO: Literal["auto"] = "auto"
LAYOUTS: dict[str, ModuleType] = {"mhp-v1": mhp_v1, "mhp-v2": mhp_v2, "cihp": cihp}


def scan(root: Path, layout: str = AUTO, follow_links: bool = False) -> Listing:
    """The entries of a downloaded dataset, each split in the order of its list.

    Args:
        root: the folder as unpacked.
        layout: a name in LAYOUTS, or "auto": told from what the folder holds, never guessed.
        follow_links: follow links out of the folder, which are refused otherwise.

    Raises:
        OptionError: an unknown layout.
        FolderError: the folder is not of this layout, or of several, or cannot be listed.
    """
    check_choice("layout", layout, (AUTO, *LAYOUTS))
    try:
        names = {path.name for path in root.iterdir()}
    except OSError as error:
        otherwise = remedy = "Pass the folder that the dataset's archive was extracted to."
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            remedy = to_read(error, "SRC/", otherwise)
        raise FolderError(".", f"cannot be listed ({why(error)})", "a dataset folder as extracted", remedy) from error
    return cast(Listing, LAYOUTS[_told(root, names) if layout == AUTO else layout].scan(root, follow_links))


def _told(root: Path, names: set[str]) -> str:
    """The one layout that a folder has."""
    found = {name: module.evidence(root, names) for name, module in LAYOUTS.items()}
    told = [name for name, evidence in found.items() if evidence]
    if len(told) == 1:
        return told[0]
    if told:
        what = " and ".join(f"{name} ({', '.join(found[name])})" for name in told)
        remedy = f"Pass --layout {' or --layout '.join(told)}, or move each dataset to a folder of its own."
        raise FolderError(".", f"holds files of several datasets: {what}", "one dataset", remedy)
    wanted = " or ".join(f"{', '.join(module.NAMES)} ({name})" for name, module in LAYOUTS.items())
    here = ", ".join(sorted(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
    found_here = f"unknown layout; the folder holds {here}"
    remedy = f"Pass the folder that contains these, or --layout ({' or '.join(LAYOUTS)}) to see what is missing."
    alike = {
        (name, right) for module in LAYOUTS.values() for right in module.NAMES for name in names_alike(names, right)
    }
    if alike:
        remedy = f"Rename {' and '.join(f'{name} to {right}' for name, right in sorted(alike))}."
    if not names:
        remedy = "Extract the archive into this folder, or pass the folder that it was extracted to."
    raise FolderError(".", found_here, wanted, remedy)
