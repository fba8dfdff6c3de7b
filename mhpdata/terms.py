"""Licence and citation of each dataset, as its authors state them, and their meaning for files generated from it.

A manifest repeats them; None means that no source for them is known. A folder written by mhp synth has the form of a
release but none of its images: it contains SYNTHETIC.txt, and its pack does not claim the licence of the release. The
licence that a label file states comes before both.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mhpdata.filesystem.ours import head
from mhpdata.label_sets.built_in import NAMES, table_of


class Terms(NamedTuple):
    """Licence of a dataset and how to cite it, one sentence each; None where unknown."""

    licence: str | None = None
    citation: str | None = None


SYNTHETIC = "free to use for any purpose; drawn by mhp-synth from random numbers, without images of real people"
"""Licence of the images that mhp synth draws."""
SYNTHETIC_NAME = "SYNTHETIC.txt"
"""File that mhp synth writes into its folder: ``SYNTHETIC`` and a line end."""
SYNTHETIC_BYTES = len(SYNTHETIC) + 2
"""Bytes to read of a file of this name: one more than it has, to recognise a longer one."""


def _terms(name: str) -> Terms:
    texts = table_of(name).texts
    return Terms(texts.get("licence"), texts.get("citation"))


TERMS = {name: _terms(name) for name in NAMES}
"""Terms by label set, which has the name of its layout. Sources: lv-mhp.github.io (licence of v1 and v2); arXiv
1705.07206 and 2201.09594; doi 10.1145/3240508.3240509; README of Engineering-Course/CIHP_PGN."""


def terms_of(folder: Path, layout: str, own: Terms | None = None) -> Terms:
    """Return the terms of a download.

    Args:
        folder: Folder of the download; if it contains ``SYNTHETIC_NAME``, mhp synth wrote it.
        layout: Its layout, of ``mhpdata.options.LAYOUT_NAMES``.
        own: The terms that the dataset itself states, if any.
    """
    return terms_by(layout, head(folder / SYNTHETIC_NAME, SYNTHETIC_BYTES) or b"", own)


def terms_by(layout: str, text: bytes, own: Terms | None = None) -> Terms:
    """Return the terms of a download of a layout.

    Args:
        layout: Its layout.
        text: The content of its ``SYNTHETIC_NAME``, b"" for none.
        own: The terms that the dataset itself states, if any.
    """
    if text == f"{SYNTHETIC}\n".encode() and (own is None or own.licence is None):
        return Terms(SYNTHETIC)
    return TERMS.get(layout, Terms()) if own is None else own


def licence_line(licence: str | None) -> str:
    """Return the sentence about the licence to print on everything generated from a dataset: figures, pages, folders.

    Args:
        licence: Licence of the dataset, from its manifest; None if unknown.
    """
    if licence is None:
        return "Licence of the images: unknown to mhp; see the terms of the dataset, which cover this, too."
    if licence == SYNTHETIC:
        return f"Licence of the images: {SYNTHETIC}."
    return f"Licence of the images: {licence}; it covers this, too."
