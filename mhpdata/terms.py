"""Licence and citation of each dataset, as its authors state them, and their meaning for files generated from it.

A manifest repeats them; None means that no source for them is known. A folder written by mhp synth has the form of a
release but none of its images: it contains SYNTHETIC.txt, and its pack does not claim the licence of the release.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mhpdata.filesystem.ours import head


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

TERMS = {
    "mhp-v1": Terms(
        "non-commercial research only (https://lv-mhp.github.io)",
        "Jianshu Li, Jian Zhao, Yunchao Wei, Congyan Lang, Yidong Li, Terence Sim, Shuicheng Yan, Jiashi Feng: "
        "Multiple-Human Parsing in the Wild. arXiv:1705.07206, 2017.",
    ),
    "mhp-v2": Terms(
        None,
        "Jian Zhao, Jianshu Li, Yu Cheng, Terence Sim, Shuicheng Yan, Jiashi Feng: Understanding Humans in Crowded "
        "Scenes: Deep Nested Adversarial Learning and A New Benchmark for Multi-Human Parsing. ACM Multimedia, 2018, "
        "pages 792-800.",
    ),
    "cihp": Terms(None, None),
}
"""Terms by layout. Sources: lv-mhp.github.io (licence of v1); arXiv 1705.07206; doi 10.1145/3240508.3240509."""


def terms_of(folder: Path, layout: str) -> Terms:
    """Return the terms of a download.

    Args:
        folder: Folder of the download; if it contains ``SYNTHETIC_NAME``, mhp synth wrote it.
        layout: Its layout, of ``mhpdata.options.LAYOUT_NAMES``.
    """
    return terms_by(layout, head(folder / SYNTHETIC_NAME, SYNTHETIC_BYTES) or b"")


def terms_by(layout: str, text: bytes) -> Terms:
    """Return the terms of a download of a layout; ``text`` is the content of its ``SYNTHETIC_NAME``, b"" for none."""
    return Terms(SYNTHETIC) if text == f"{SYNTHETIC}\n".encode() else TERMS.get(layout, Terms())


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
