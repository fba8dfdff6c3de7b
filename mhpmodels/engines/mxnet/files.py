"""Read and write the weights and the optimiser's state as ``.params`` files.

Weights have GluonCV's names, so its ``load_parameters`` reads them. A state holds the optimiser's arrays by
``kind:weight``, and the number of updates. All names, shapes and types are checked before anything is loaded, so a file
that does not fit changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import CheckpointError
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.memory import put
from mhpmodels.engines.mxnet.optimizer import Optimizer
from mhpmodels.files.params import EARLIER, read_params, write_params
from mhpmodels.networks.architecture import to_fit

STEPS = "steps"
AUXILIARY = "auxlayer."
_STATE = (
    "Pass the .state file that mhp train wrote beside weights of the same model, backbone, number of classes and "
    "optimizer."
)


def save_weights(path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Write the parameters of the first context. Raises OutputError."""
    write_params(path, {name: parameter.list_data()[0].asnumpy() for name, parameter in parameters.items()})


def load_weights(path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Replace the parameters on all contexts. An auxiliary head is ignored if the network has none.

    Raises:
        CheckpointError: the file cannot be read, does not fit the network or has infinities or NaN.
    """
    arrays = read_params(path)
    if not any(name.startswith(AUXILIARY) for name in parameters):
        arrays = {name: array for name, array in arrays.items() if not name.startswith(AUXILIARY)}
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    _check(path, arrays, shapes, to_fit({name: array.shape for name, array in arrays.items()}, shapes))
    for name, parameter in parameters.items():
        parameter.set_data(put(arrays[name], mx.cpu()))


def save_state(path: str | Path, optimizer: Optimizer) -> None:
    """Write the optimiser's state. Raises OutputError."""
    moments = {name: arrays[0].asnumpy() for name, arrays in optimizer.moments().items()}
    write_params(path, {STEPS: np.array([optimizer.steps], np.int64), **moments})


def load_state(path: str | Path, optimizer: Optimizer) -> None:
    """Replace the optimiser's state.

    Raises:
        CheckpointError: the file cannot be read, or belongs to another network or optimiser.
    """
    arrays = read_params(path)
    moments = optimizer.moments()
    steps = arrays.pop(STEPS, None)
    if steps is None or steps.shape != (1,) or steps.dtype != np.int64 or steps[0] < 0:
        raise CheckpointError(path, f"has no number of {STEPS}", "an optimiser's state", _STATE)
    _check(path, arrays, {name: copies[0].shape for name, copies in moments.items()}, _STATE)
    for name, copies in moments.items():
        for copy in copies:
            copy[:] = arrays[name]
    optimizer.steps = int(steps[0])


def _check(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]], remedy: str
) -> None:
    missing = [name for name in shapes if name not in arrays]
    extra = [name for name in arrays if name not in shapes]
    for verb, names in (("has no", missing), ("has", extra)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            expected = f"the {len(shapes)} arrays of this network"
            raise CheckpointError(path, f"{verb} {names[0]}{more}", expected, remedy)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            found = f"{name} is {array.dtype} {array.shape}"
            raise CheckpointError(path, found, f"float32 {shape} for this network", remedy)
        if not np.isfinite(array).all():
            raise CheckpointError(path, f"{name} has infinities or NaN", "finite numbers", EARLIER)
