"""Datasets of multi-human parsing: pack a download into shards, check it, read it.

::

    import mhpdata

    mhpdata.pack("LV-MHP-v1", "rec")
    train = mhpdata.open("rec", "train")
    sample = train[0]        # sample.image, sample.labels, sample.persons, sample.name

No deep-learning framework is imported here, and nothing heavy until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Batch",
    "Loader",
    "Manifest",
    "Record",
    "Sample",
    "Split",
    "class_weights",
    "open",
    "pack",
    "verify_packed",
    "verify_source",
]

if TYPE_CHECKING:
    from mhpdata.batch import Batch
    from mhpdata.loader import Loader
    from mhpdata.manifest import Manifest
    from mhpdata.packing import pack
    from mhpdata.record import Record, Sample
    from mhpdata.split import Split
    from mhpdata.split import open_split as open
    from mhpdata.verify import verify_packed, verify_source
    from mhpdata.weights import class_weights

_WHERE = {
    "Batch": ("mhpdata.batch", "Batch"),
    "Loader": ("mhpdata.loader", "Loader"),
    "Manifest": ("mhpdata.manifest", "Manifest"),
    "Record": ("mhpdata.record", "Record"),
    "Sample": ("mhpdata.record", "Sample"),
    "Split": ("mhpdata.split", "Split"),
    "class_weights": ("mhpdata.weights", "class_weights"),
    "open": ("mhpdata.split", "open_split"),
    "pack": ("mhpdata.packing", "pack"),
    "verify_packed": ("mhpdata.verify", "verify_packed"),
    "verify_source": ("mhpdata.verify", "verify_source"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mhpdata' has no attribute {name!r}")
    import importlib

    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)
