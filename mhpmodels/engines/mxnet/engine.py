"""The MXNet engine: training steps, prediction and files.

::

    images, labels ─ one share per context ─> network ─> loss ─> gradients
                                                                  │ exchange: the sum over contexts and ranks
                                     finite? no: restore the running statistics
                                            yes: optimiser, then the running statistics of the step

The gradient is that of the mean loss over all labelled pixels of the batch, so the update does not depend on the number
of contexts. Only the running statistics change before the check.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpdata.labels import IGNORE
from mhpmodels.engines.batch import (
    check_shapes,
    check_size,
    less_memory,
    output_weights,
    printed_weights,
    seed_of_rank,
    wrong_labels,
)
from mhpmodels.engines.engine import Step
from mhpmodels.engines.mxnet import files
from mhpmodels.engines.mxnet.contexts import open_contexts, wait_on_cpu
from mhpmodels.engines.mxnet.exchange import Exchange
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.loss import output_losses
from mhpmodels.engines.mxnet.memory import put, put_images
from mhpmodels.engines.mxnet.network import HEADS, build_network, named_parameters, set_size
from mhpmodels.engines.mxnet.norm import Statistics
from mhpmodels.engines.mxnet.optimizer import Optimizer

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


class MXNetEngine:
    """Implementation of ``mhpmodels.engines.engine.Engine``."""

    name = "mxnet"
    source = ""

    def __init__(self, config: TrainConfig, training: bool) -> None:
        self.config = config
        self.rank, self.world_size = 0, 1
        self._contexts = open_contexts(config)
        self._network = build_network(config, self._contexts, training)
        self._parameters = named_parameters(self._network)
        self._training, self._hybrid, self._size = training, not wait_on_cpu(config), (0, 0)
        if training:
            self._statistics = Statistics(self._network)
            self._optimizer = Optimizer(self._parameters, HEADS[config.network.model], config)
            self._exchange = Exchange(config, self._optimizer.gradients)
            self.rank, self.world_size = self._exchange.rank, self._exchange.world_size

    # --- a step -------------------------------------------------------------------------------------------------------

    def train_step(self, images: NDArray[Any], labels: NDArray[np.uint8], rate: float, seed: int) -> Step:
        """See ``mhpmodels.engines.engine.Engine``; the number of images must be a multiple of the contexts."""
        self._check(images, labels)
        with _explained("train_step", less_memory(self.config, training=True)), self._exchange.limited():
            return self._step(images, labels, rate, seed)

    def _step(self, images: NDArray[Any], labels: NDArray[np.uint8], rate: float, seed: int) -> Step:
        mx.random.seed(seed_of_rank(seed, self.rank))
        self._statistics.keep()
        loss = self._exchange.sum_number(self._differentiate(images, labels))
        gradient = self._measure()
        applied = math.isfinite(loss) and math.isfinite(gradient)
        if applied:
            clip = self.config.optim.clip_grad
            scale = 1.0 if clip is None or gradient <= clip else clip / gradient
            self._optimizer.update(rate, scale * self._old_scale(len(images)))
            self._statistics.settle()
        else:
            self._statistics.restore()
        mx.nd.waitall()  # raise this step's asynchronous errors now
        return Step(loss, gradient, applied)

    def _differentiate(self, images: NDArray[Any], labels: NDArray[np.uint8]) -> float:
        """Compute the gradients, summed over contexts and ranks; return this rank's share of the loss."""
        self._set_size(*labels.shape[1:])
        count = len(images) // len(self._contexts)
        shares = [slice(number * count, (number + 1) * count) for number in range(len(self._contexts))]
        scales = self._scales([labels[share] for share in shares])
        by_output = []  # per context: the loss of each output
        with mx.autograd.record():
            for share, scale, context in zip(shares, scales, self._contexts, strict=True):
                outputs = self._network(put_images(images[share], context))
                weights, classes = output_weights(self.config, len(outputs)), self.config.loss.class_weights
                by_output.append(output_losses(outputs, put(labels[share], context), weights, scale, classes))
            losses = [mx.nd.add_n(*values) for values in by_output]
        mx.autograd.backward(losses)
        self._exchange.sum_gradients(self._optimizer.gradients)
        if self.config.run.old_recipe:
            pixels = labels.size * self.world_size
            return sum(
                self._printed(values) / (scale * pixels) for values, scale in zip(by_output, scales, strict=True)
            )
        return sum(float(loss.asscalar()) for loss in losses)

    def _printed(self, losses: list[Any]) -> float:
        """Return the sum of a context's losses by output, weighted as in the loss that GluonCV prints."""
        weights = printed_weights(self.config, len(losses))
        return sum(weight * float(loss.asscalar()) for weight, loss in zip(weights, losses, strict=True))

    def _set_size(self, height: int, width: int) -> None:
        set_size(self._network, height, width)  # in every step, because GluonCV's predict changes the size
        if (height, width) != self._size:
            self._size = (height, width)
            self._network.hybridize(self._hybrid)

    def _scales(self, labels: list[NDArray[np.uint8]]) -> list[float]:
        """Return the factor of each context's sum over pixels that makes the sum over all contexts a mean."""
        counts = [float(np.count_nonzero(share < self.config.network.classes)) for share in labels]
        if self.config.run.old_recipe:  # GluonCV averages per context
            replicas = len(counts) * self.world_size
            return [1 / (max(count, 1.0) * replicas) for count in counts]
        total = self._exchange.sum_number(sum(counts))
        return [1 / max(total, 1.0)] * len(counts)

    def _old_scale(self, images: int) -> float:
        """Return the GluonCV recipe's factor of the gradient, otherwise 1.

        GluonCV sums the contexts' mean gradients and divides by the number of images: by 2 in effect with 16 images on
        8 GPUs.
        """
        return len(self._contexts) * self.world_size / images if self.config.run.old_recipe else 1.0

    def _measure(self) -> float:
        """Return the L2 norm of the whole gradient."""
        # dot, as in MXNet's clip_global_norm: sum(square()) takes longer on two cores than the backward pass
        flat = [gradients[0].reshape((-1,)) for gradients in self._optimizer.gradients]
        return math.sqrt(float(mx.nd.add_n(*(mx.nd.dot(x, x) for x in flat)).asscalar()))

    def _check(self, images: NDArray[Any], labels: NDArray[np.uint8]) -> None:
        if not self._training:
            raise EngineError(
                "train_step",
                "an engine that was opened for prediction",
                "one opened with open_engine(config, training=True)",
                "Open the engine with training=True.",
            )
        # check everything first, because an operator that fails leaves the other contexts waiting for it
        check_shapes(images, labels)
        _, height, width = labels.shape
        check_size(self.config.network.model, height, width, training=True)
        if len(images) % len(self._contexts):
            found = f"{len(images)} images for {len(self._contexts)} contexts"
            remedy = f"Pass a --batch-size that is a multiple of {len(self._contexts) * self.world_size}."
            raise EngineError("images", found, "a multiple of the number of contexts", remedy)
        known = np.count_nonzero(labels < self.config.network.classes) + np.count_nonzero(labels == IGNORE)
        if known != labels.size:
            values = [value for value in np.unique(labels).tolist() if self.config.network.classes <= value != IGNORE]
            raise wrong_labels(values, labels.size - known, self.config.network.classes)

    # --- prediction and files -----------------------------------------------------------------------------------------

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.Engine``; any size, for ICNet at least 32 pixels per side."""
        height, width = images.shape[2:] if images.dtype == np.float32 else images.shape[1:3]
        check_size(self.config.network.model, height, width, training=False)
        with _explained("predict", less_memory(self.config, training=False)):
            logits = self._predict(images)
            mx.nd.waitall()
        return logits

    def _predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        count = -(-len(images) // len(self._contexts))
        shares = [images[start : start + count] for start in range(0, len(images), count)]
        inputs = [put_images(share, context) for share, context in zip(shares, self._contexts, strict=False)]
        outputs = [_predict(self._network, x) for x in inputs]
        logits: NDArray[np.float32] = np.concatenate([output.asnumpy() for output in outputs])
        return logits

    def prefetch(self, loader: Any) -> Any:
        """Return the loader unchanged; see ``mhpmodels.engines.engine.Engine``."""
        return loader

    def broadcast(self, value: float) -> float:
        """See ``mhpmodels.engines.engine.Engine``; numbers up to 2**24 are exact."""
        return self._exchange.sum_number(0.0 if self.rank else value)

    def save(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``; GluonCV's ``load_parameters`` reads the file."""
        files.save_weights(path, self._parameters)

    def load(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``; also reads files of GluonCV's ``save_parameters``."""
        files.load_weights(path, self._parameters)
        self.source = str(path)

    def save_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        files.save_state(path, self._optimizer)

    def load_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        files.load_state(path, self._optimizer)

    def describe(self) -> dict[str, Any]:
        """See ``mhpmodels.engines.engine.Engine``."""
        return {
            "framework": "mxnet",
            "versions": {"mxnet": mx.__version__, "gluoncv": version("gluoncv"), "numpy": np.__version__},
            "parameters": sum(math.prod(parameter.shape) for parameter in self._parameters.values()),
            "devices": [str(context) for context in self._contexts],
            "world_size": self.world_size,
        }

    def close(self) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        limited = self._exchange.limited() if "_exchange" in vars(self) else nullcontext()
        with limited:  # the kvstore waits for the other processes when it is freed
            mx.nd.waitall()
            for attribute in ("_network", "_parameters", "_statistics", "_optimizer", "_exchange"):
                vars(self).pop(attribute, None)


@contextmanager
def _explained(place: str, less: str) -> Iterator[None]:
    """Convert MXNet's errors to EngineError; ``less`` is the advice for using less memory."""
    try:
        yield
    except mx.MXNetError as error:
        found = f"MXNet failed ({str(error).strip().splitlines()[-1]})"
        remedy = f"If it is out of memory: {less} Otherwise run the same command again."
        raise EngineError(place, found, remedy=remedy) from error


def _predict(network: Any, x: Any) -> Any:
    """Return logits at the size of ``x``; any size works, because GluonCV predicts layer by layer without a graph."""
    height, width = x.shape[2:]
    logits = network.predict(x)
    if logits.shape[2:] != (height, width):  # ICNet, if a side is not a multiple of 8
        logits = mx.nd.contrib.BilinearResize2D(logits, height=height, width=width)
    return logits
