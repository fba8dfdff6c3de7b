"""Engines: the frameworks that train and predict, behind one small contract.

An engine builds a network, takes steps and reads and writes weights. It knows nothing of shards, epochs, schedules,
logs or files' names: those are the loop's (``mhpmodels.training.loop``), written once for all engines.
``tests/engines/test_contract.py`` is the contract as tests, run for every engine that is installed.

No framework is imported here: ``open_engine`` imports the one that is asked for. An engine is a module
``mhpmodels.engines.NAME`` with a function ``build(config, training) -> Engine``; of ours it imports ``mhpdata.errors``,
``mhpmodels.config``, ``mhpmodels.files.params``, ``mhpmodels.networks``, ``mhpmodels.engines.batch`` and this module
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mhpdata.errors import EngineError, OptionError

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

ENGINES = {"torch": ("torch",), "mxnet": ("mxnet", "gluoncv")}
"""The engines, the preferred one first, and the libraries that each imports; the pip extra has the engine's name."""


def install(extra: str) -> str:
    """How libraries that only some of mhp needs are installed; a sentence without its end."""
    return f'Run, in the folder of mhp\'s source: pip install ".[{extra}]"'


@dataclass(frozen=True)
class Step:
    """What one training step did.

    Attributes:
        loss: weighted sum of the main and auxiliary outputs' losses; each is the mean over the labelled pixels of the
            whole batch (all contexts and ranks) of the cross-entropy, times its label's of
            ``config.loss.class_weights``; 0 where no pixel is labelled. Not finite if a logit was not. With
            ``config.run.old_recipe`` the loss that GluonCV prints: the mean over all pixels, those without a label as
            0, and outputs weighted as the config says, although all weigh 1 in the gradient.
        gradient: L2 norm of the whole gradient of that loss before clipping, weight decay left out; may be not finite.
        applied: False: the loss or the gradient was not finite, and weights, running statistics and the optimiser's
            state are bit for bit what they were before the step.
    """

    loss: float
    gradient: float
    applied: bool


class Predictor(Protocol):
    """What evaluation and prediction ask of a network.

    Attributes:
        name: as in ENGINES, or "onnx".
        config: what it was opened with.
    """

    name: str
    config: TrainConfig

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """float32 (N, classes, H, W): logits of the main output at the images' size, in inference mode.

        Args:
            images: as in ``Engine.train_step``.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Framework, versions, number of parameters, devices, as JSON takes them, for logs and reports."""
        ...

    def close(self) -> None:
        """Frees the network and leaves the group of processes; may be called twice."""
        ...


class Engine(Predictor, Protocol):
    """What the loop asks of a framework.

    Attributes:
        rank, world_size: of this process among those that train together; 0 and 1 for a single one.
    """

    rank: int
    world_size: int

    def train_step(self, images: NDArray[Any], labels: NDArray[np.uint8], rate: float, seed: int) -> Step:
        """One forward and backward pass and one update.

        The arrays may be views of memory that the caller uses again: the engine is done with them when it returns.

        Args:
            images: float32 (N, 3, H, W), RGB normalised by ImageNet's mean and deviation; or uint8 (N, H, W, 3), RGB as
                decoded, which the engine normalises. C-contiguous.
            labels: uint8 (N, H, W), a class in 0..classes-1, or 255: not labelled. C-contiguous.
            rate: learning rate of this step for the backbone; the heads take ``rate * config.optim.head_rate``.
            seed: 0..2**31-1, of all the step's own randomness (dropout): the same state, batch, rate and seed give the
                same result, on the same CPU bit for bit.

        Raises:
            EngineError: a batch that the network cannot take (the message says which sizes it can).
        """
        ...

    def prefetch(self, loader: Any) -> Any:
        """The loader, or one that gives the same batches and states and sends each to the device ahead of its step.

        Args:
            loader: as ``mhpdata.Loader``.
        """
        ...

    def save(self, path: str | Path) -> None:
        """Writes the weights and running statistics. Raises OutputError."""
        ...

    def load(self, path: str | Path) -> None:
        """Reads what ``save`` wrote. Raises CheckpointError naming what does not fit; the weights stay as they were."""
        ...

    def save_state(self, path: str | Path) -> None:
        """Writes the optimiser's state: with the weights, all that the next step depends on. Raises OutputError."""
        ...

    def load_state(self, path: str | Path) -> None:
        """Reads what ``save_state`` wrote. Raises CheckpointError; the state stays as it was."""
        ...


def installed() -> tuple[str, ...]:
    """The engines whose libraries are installed here, the preferred one first. Imports none of them."""
    return tuple(name for name in ENGINES if not _missing(name))


def open_engine(config: TrainConfig, training: bool = True) -> Engine:
    """The engine that ``config.machine.engine`` names, with a network built as ``config`` says.

    Args:
        config: model, backbone, devices, optimiser and seed; the initial weights follow from the seed.
        training: False builds what ``predict`` needs only: no pretrained backbone is read, and ``train_step`` and the
            state may not be used.

    Raises:
        OptionError: no engine of that name.
        EngineError: its framework is not installed or cannot be used here.
    """
    name = config.machine.engine
    if name not in ENGINES:
        raise OptionError(
            "engine", repr(name), " or ".join(ENGINES), "Pass torch for PyTorch, or mxnet for MXNet and GluonCV."
        )
    missing = _missing(name)
    if missing:
        raise EngineError(
            f"engine {name}",
            f"{' and '.join(missing)} not installed",
            remedy=install(name) + _others(name),
        )
    engine: Engine = import_module(f"mhpmodels.engines.{name}").build(config, training)
    return engine


def _missing(name: str) -> list[str]:
    return [module for module in (*ENGINES[name], f"mhpmodels.engines.{name}") if find_spec(module) is None]


def _others(name: str) -> str:
    there = [other for other in installed() if other != name]
    return f"; or pass --engine {there[0]}, which is installed." if there else "."
