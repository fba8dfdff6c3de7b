"""Layouts: how each dataset lies on disk after unpacking. A layout turns a folder into entries; nothing is decoded.

A layout is a module with ``LABELS`` (its LabelSet), ``SPLITS`` (names, in order), ``matches(names)`` (does a folder
with these names look like it) and ``scan(root) -> Listing``.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import cast

from mhpdata.errors import FolderError, OptionError
from mhpdata.layouts import mhp_v1
from mhpdata.layouts.entry import Entry, Listing, Problem

__all__ = ["AUTO", "LAYOUTS", "Entry", "Listing", "Problem", "scan"]

AUTO = "auto"
LAYOUTS: dict[str, ModuleType] = {"mhp-v1": mhp_v1}


def scan(root: Path, layout: str = AUTO) -> Listing:
    """The entries of a downloaded dataset, each split in the order of its list.

    Args:
        root: the folder as unpacked.
        layout: a name in LAYOUTS, or "auto": told from the names in the folder.

    Raises:
        OptionError: an unknown layout.
        FolderError: the folder is not of this layout, or cannot be listed.
    """
    if layout != AUTO and layout not in LAYOUTS:
        raise OptionError("--layout", repr(layout), " or ".join([AUTO, *LAYOUTS]))
    try:
        names = {path.name for path in root.iterdir()}
    except OSError as error:
        raise FolderError(
            ".", f"cannot be listed ({error.strerror})", "an unpacked dataset", "Check the path."
        ) from error
    if layout != AUTO:
        return cast(Listing, LAYOUTS[layout].scan(root))
    for module in LAYOUTS.values():
        if module.matches(names):
            return cast(Listing, module.scan(root))
    wanted = " or ".join(f"{', '.join(module.NAMES)} ({name})" for name, module in LAYOUTS.items())
    raise FolderError(".", "not a layout that mhp knows", wanted, "Pass the folder that holds these, or --layout.")
