"""Compute the cross-entropy over labelled pixels with a float32 log-softmax.

GluonCV computes the logarithm of a softmax: if a pixel's true logit is 104 below the largest, its probability is 0 and
the loss is infinite, or NaN in MXNet before 1.6. A log-softmax is finite for all finite logits.

GluonCV's losses also take the gradient from SoftmaxOutput, which ignores factors of the loss, so the weights of
auxiliary outputs have no effect there. Here they have.
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
    """Return the weighted cross-entropy of each output, summed over the labelled pixels, times ``scale``.

    Args:
        outputs: logits, float32 (N, classes, height, width) each; resized to the labels' size, as in GluonCV.
        labels: uint8 (N, H, W), on the same context; values of ``classes`` or more are unlabelled pixels.
        weights: one weight per output.
        scale: factor of the sum; for a mean, one over the number of labelled pixels.
        class_weights: one weight per class for the pixels of its label; None for 1.

    Returns:
        float32 (1,) per output, recorded by autograd if it is recording; 0 with gradient 0 if no pixel is labelled.
    """
    height, width = labels.shape[1:]
    labelled = labels < outputs[0].shape[1]
    index = labels.astype("float32")
    zero = mx.nd.zeros_like(index)
    # take() and pick() use the last class for 255, and where() excludes those pixels
    rates = None
    if class_weights is not None:
        rates = mx.nd.take(put(np.array(class_weights, np.float32), labels.context), index)
    losses = []
    for logits, weight in zip(outputs, weights, strict=True):
        if logits.shape[2:] != (height, width):
            logits = mx.nd.contrib.BilinearResize2D(logits, height=height, width=width)
        # classes last: along axis 1 MXNet's CPU log_softmax takes twice as long as this with the transposition
        logs = mx.nd.log_softmax(mx.nd.transpose(logits, (0, 2, 3, 1)), axis=-1)
        entropy = -mx.nd.pick(logs, index, axis=-1)
        entropy = entropy if rates is None else entropy * rates
        losses.append(mx.nd.sum(mx.nd.where(labelled, entropy, zero)) * (weight * scale))
    return losses
