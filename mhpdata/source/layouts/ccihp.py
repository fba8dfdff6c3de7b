"""CCIHP (Characterized CIHP): CIHP's images with masks of 22 other classes, in CIHP's folders.

The folders are those of CIHP (mhpdata.source.layouts.cihp): replace ``Category_ids`` and ``Human_ids`` of each split by
those of CCIHP. Nothing in a folder tells the two sets apart, so the layout must be named. The maps of sizes, patterns
and colours are not read. The developers have never seen CCIHP, and found no public code that reads its own folders.
"""

from __future__ import annotations

from dataclasses import replace

from mhpdata.labels import LABEL_SETS
from mhpdata.source.entry import SPLITS as SPLITS
from mhpdata.source.entry import Listing
from mhpdata.source.layouts import cihp
from mhpdata.source.remote import Root

LABELS = LABEL_SETS["ccihp"]


def scan(root: Root, follow_links: bool = False) -> Listing:
    """Return the entries of every split, in list order, and the problems, as ``cihp.scan`` does."""
    return replace(cihp.scan(root, follow_links), layout="ccihp", labels=LABELS)
