"""SGD with momentum and Adam, with MXNet's update operators.

``gluon.Trainer`` is not used, because its state can only be saved as a pickle and depends on private attributes, which
changed from 1.6 to 1.9. The operators are the same in both versions.

::

    SGD    m = momentum m - rate (scale g + decay w)                            w += m
    Adam   g' = scale g + decay w; m, v = means of g', g'^2 (0.9, 0.999)        w -= rate' m / (sqrt(v) + 1e-8)
           rate' = rate sqrt(1 - 0.999^t) / (1 - 0.9^t)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mhpmodels.engines.mxnet.libraries import mx

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

MOMENTS = {"sgd": ("momentum",), "adam": ("mean", "variance")}
"""Arrays that each optimiser keeps per weight."""
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class _Weight:
    name: str
    arrays: list[Any]
    gradients: list[Any]
    moments: list[list[Any]]
    rate: float
    decay: float


class Optimizer:
    """The optimiser of a network; each context updates its weights with its own copy of the whole gradient.

    Args:
        parameters: initialised gluon parameters by name; those without a gradient are not updated.
        heads: prefixes of names that take ``config.optim.head_rate`` times the rate.
        config: optimizer, momentum, weight_decay, no_wd and head_rate are used.

    Attributes:
        steps: number of updates.
    """

    def __init__(self, parameters: Mapping[str, Any], heads: tuple[str, ...], config: TrainConfig) -> None:
        self.steps = 0
        self._config = config
        self._weights = []
        for name, parameter in parameters.items():
            if parameter.grad_req == "null":
                continue
            spared = config.optim.no_wd and name.rpartition(".")[2] in ("gamma", "beta", "bias")
            arrays = parameter.list_data()
            self._weights.append(
                _Weight(
                    name,
                    arrays,
                    parameter.list_grad(),
                    [[mx.nd.zeros_like(array) for array in arrays] for _ in MOMENTS[config.optim.optimizer]],
                    config.optim.head_rate if name.startswith(heads) else 1.0,
                    0.0 if spared else config.optim.weight_decay,
                )
            )

    @property
    def gradients(self) -> list[list[Any]]:
        """The gradients, per weight one array per context."""
        return [weight.gradients for weight in self._weights]

    def update(self, rate: float, scale: float) -> None:
        """Update the weights with ``scale`` times the gradient, at a learning rate."""
        self.steps += 1
        if self._config.optim.optimizer == "adam":
            rate *= math.sqrt(1 - _BETA2**self.steps) / (1 - _BETA1**self.steps)
        for weight in self._weights:
            for array, gradient, *moments in zip(weight.arrays, weight.gradients, *weight.moments, strict=True):
                options = {"lr": rate * weight.rate, "wd": weight.decay, "rescale_grad": scale, "lazy_update": False}
                if self._config.optim.optimizer == "adam":
                    options |= {"beta1": _BETA1, "beta2": _BETA2, "epsilon": _EPSILON}
                    mx.nd.adam_update(array, gradient, *moments, out=array, **options)
                else:
                    options["momentum"] = self._config.optim.momentum
                    mx.nd.sgd_mom_update(array, gradient, *moments, out=array, **options)

    def moments(self) -> dict[str, list[Any]]:
        """Return the arrays that the optimiser keeps, by ``kind:weight``: equal arrays, one per context."""
        kinds = MOMENTS[self._config.optim.optimizer]
        return {
            f"{kind}:{weight.name}": arrays
            for weight in self._weights
            for kind, arrays in zip(kinds, weight.moments, strict=True)
        }
