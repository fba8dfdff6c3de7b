"""Datasets for multi-human parsing: pack a download into shards, verify it, load it.

::

    import mhpdata

    mhpdata.pack("LV-MHP-v1", "rec")
    train = mhpdata.open("rec", "train")
    sample = train[0]        # sample.image, sample.labels, sample.persons, sample.name

This package imports no deep-learning framework, and heavy dependencies only when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = [
    "Batch",
    "Cache",
    "CentreCrop",
    "Choose",
    "EditOptions",
    "Loader",
    "Manifest",
    "Mix",
    "Output",
    "Record",
    "Sample",
    "Share",
    "Split",
    "TrainCrop",
    "Whole",
    "class_weights",
    "diff",
    "edit",
    "export",
    "fetch",
    "fetch_weights",
    "open",
    "pack",
    "update",
    "verify_packed",
    "verify_source",
]

if TYPE_CHECKING:
    from mhpdata.checking.packed import verify_packed, verify_source
    from mhpdata.editing.diff import diff
    from mhpdata.editing.edit import edit
    from mhpdata.editing.plan import EditOptions
    from mhpdata.editing.update import update
    from mhpdata.exporting.export import export
    from mhpdata.fetching.fetch import fetch
    from mhpdata.fetching.weights import fetch_weights
    from mhpdata.loading.batch import Batch
    from mhpdata.loading.loader import Loader
    from mhpdata.loading.weights import class_weights
    from mhpdata.packing.pack import pack
    from mhpdata.settings.caching import Cache
    from mhpdata.settings.choosing import Choose
    from mhpdata.settings.mixing import Mix
    from mhpdata.settings.output import Output
    from mhpdata.settings.share import Share
    from mhpdata.settings.views import CentreCrop, TrainCrop, Whole
    from mhpdata.storage.manifest import Manifest
    from mhpdata.storage.record import Record
    from mhpdata.storage.sample import Sample
    from mhpdata.storage.split import Split
    from mhpdata.storage.split import open_split as open

_WHERE = {
    "Batch": ("mhpdata.loading.batch", "Batch"),
    "Cache": ("mhpdata.settings.caching", "Cache"),
    "CentreCrop": ("mhpdata.settings.views", "CentreCrop"),
    "Choose": ("mhpdata.settings.choosing", "Choose"),
    "EditOptions": ("mhpdata.editing.plan", "EditOptions"),
    "Loader": ("mhpdata.loading.loader", "Loader"),
    "Manifest": ("mhpdata.storage.manifest", "Manifest"),
    "Mix": ("mhpdata.settings.mixing", "Mix"),
    "Output": ("mhpdata.settings.output", "Output"),
    "Record": ("mhpdata.storage.record", "Record"),
    "Sample": ("mhpdata.storage.sample", "Sample"),
    "Share": ("mhpdata.settings.share", "Share"),
    "Split": ("mhpdata.storage.split", "Split"),
    "TrainCrop": ("mhpdata.settings.views", "TrainCrop"),
    "Whole": ("mhpdata.settings.views", "Whole"),
    "class_weights": ("mhpdata.loading.weights", "class_weights"),
    "diff": ("mhpdata.editing.diff", "diff"),
    "edit": ("mhpdata.editing.edit", "edit"),
    "export": ("mhpdata.exporting.export", "export"),
    "fetch": ("mhpdata.fetching.fetch", "fetch"),
    "fetch_weights": ("mhpdata.fetching.weights", "fetch_weights"),
    "open": ("mhpdata.storage.split", "open_split"),
    "pack": ("mhpdata.packing.pack", "pack"),
    "update": ("mhpdata.editing.update", "update"),
    "verify_packed": ("mhpdata.checking.packed", "verify_packed"),
    "verify_source": ("mhpdata.checking.packed", "verify_source"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mhpdata' has no attribute {name!r}")
    import importlib

    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)
