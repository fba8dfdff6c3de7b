"""Adapter of mhp's own loader: of this checkout, or of any version since 0.1 on PYTHONPATH."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mhpdata
from peers.task import BATCH, SIZE, Task

STORES = ("jpeg", "yuv420", "raw")
VERSIONS = ("mhp", "numba", "numpy", "simplejpeg")
ABOUT = "threads; packed shards; bilinear, antialiased; left and right labels swapped on a flip"
CODE = str(Path(mhpdata.__file__).parent.parent)
"""The checkout that is measured."""
Options = dict[str, Any]


def batches(task: Task) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches endlessly."""
    folder = task.data.parent / "rec" / task.store
    view = {"kind": "TrainCrop", "size": SIZE, "base_size": SIZE, "blur_prob": 0.0}
    rest = {"batch_size": BATCH, "seed": task.seed, "threads": task.workers, "drop_last": True}
    loader = open_loader(folder, "train", view, {"dtype": task.dtype}, **rest)
    epoch = 0
    while True:
        loader.set_epoch(epoch)
        for batch in loader:
            yield batch.images, batch.labels
        epoch += 1


def open_loader(
    folder: Any, split: str, view: Options, output: Options, mix: Options | None = None, share: Options | None = None,
    **rest: Any,
) -> Any:  # fmt: skip
    """Open a Loader of the imported version of mhp.

    Args:
        folder, split: Arguments of Loader.
        view: "kind" (TrainCrop, CentreCrop or Whole) and the fields of that class.
        output, mix, share: Fields of Output, Mix and Share.
        rest: Arguments common to all versions: batch_size, seed, threads, drop_last.
    """
    kind, fields = view["kind"], {name: value for name, value in view.items() if name != "kind"}
    mix, share = mix or {}, share or {"rank": 0, "world_size": 1}
    if hasattr(mhpdata, "TrainCrop"):
        given = {"view": getattr(mhpdata, kind)(**fields), "output": mhpdata.Output(**output)}
        return mhpdata.Loader(folder, split, mix=mhpdata.Mix(**mix), share=mhpdata.Share(**share), **given, **rest)
    if "size" in fields:
        fields["crop_size"] = fields.pop("size")
    flags = {"augment": kind == "TrainCrop", "whole": kind == "Whole"}
    return mhpdata.Loader(folder, split, **flags, **fields, **output, **mix, **share, **rest)
