"""The loss: cross-entropy over labelled pixels, by log-softmax in float32.

GluonCV takes the logarithm of a softmax: a pixel whose true logit lies 104 below the largest has probability 0, and the
loss is infinite, or NaN in MXNet before 1.6. A log-softmax is finite for any gap of finite logits.

GluonCV's losses also leave the gradient to SoftmaxOutput, which ignores what is multiplied to the loss: there the
weights of auxiliary outputs had no effect. Here they act.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.memory import put


def output_losses(
    outputs: Sequence[Any],
    labels: Any,
    weights: Sequence[float],
    scale: float,
    class_weights: Sequence[float] | None = None,
) -> list[Any]:
    """``scale`` x the weight of each output x its cross-entropy, summed over the labelled pixels.

    Args:
        outputs: float32 (N, classes, height, width) each, logits; resized to the labels' size, as GluonCV does.
        labels: uint8 (N, H, W), on the same context; ``classes`` or more is not labelled.
        weights: one for each output.
        scale: one over the number of labelled pixels, for a mean.
        class_weights: a pixel's entropy counts times that of its label; None for 1.

    Returns:
        float32 (1,) for each output, recorded where recording is on; 0, with gradient 0, where no pixel is labelled.
    """
    height, width = labels.shape[1:]
    labelled = labels < outputs[0].shape[1]
    index = labels.astype("float32")
    nothing = mx.nd.zeros_like(index)
    # take() and pick() take the last class for 255, and where() leaves that pixel out
    rates = None
    if class_weights is not None:
        rates = mx.nd.take(put(np.array(class_weights, np.float32), labels.context), index)
    parts = []
    for logits, weight in zip(outputs, weights, strict=True):
        if logits.shape[2:] != (height, width):
            logits = mx.nd.contrib.BilinearResize2D(logits, height=height, width=width)
        # classes last: along axis 1 MXNet's CPU log_softmax takes twice as long, the transposition included
        logs = mx.nd.log_softmax(mx.nd.transpose(logits, (0, 2, 3, 1)), axis=-1)
        entropy = -mx.nd.pick(logs, index, axis=-1)
        entropy = entropy if rates is None else entropy * rates
        parts.append(mx.nd.sum(mx.nd.where(labelled, entropy, nothing)) * (weight * scale))
    return parts
