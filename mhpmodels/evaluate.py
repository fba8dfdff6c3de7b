"""Predictions against labels, over a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.loader import Batch
from mhpmodels.metrics import Confusion, most_likely

Predict = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Images as an engine takes them -> logits float32 (N, C, H, W)."""


def validate(
    predict: Predict, loader: Iterable[Batch], classes: int, progress: Callable[[int], None] | None = None
) -> Confusion:
    """Score the centre crops of a loader without ``augment``: what training does after an epoch.

    Args:
        predict: images -> logits, as ``Engine.predict``.
        loader: batches; a record that was left out counts nothing, an empty batch is passed over.
        classes: how many labels there are.
        progress: is told how many images were done, after each batch.

    Returns:
        The confusion of this rank's images; ``merge`` those of all ranks.

    Raises:
        EngineError: logits that are no numbers.
        OptionError: labels outside the classes, logits of another shape.
    """
    confusion = Confusion(classes)
    for batch in loader:
        if len(batch.indices):
            confusion.update(most_likely(predict(batch.images)), batch.labels)
        if progress is not None:
            progress(len(batch.indices))
    return confusion
