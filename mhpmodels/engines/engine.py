"""The interface of engines, the frameworks that train and predict.

An engine builds a network, takes training steps, and reads and writes weights. Shards, epochs, schedules, logs and file
names belong to the loop (``mhpmodels.training.loop``), which is shared by all engines.
``tests/engines/test_contract.py`` tests the interface with every installed engine.

This module imports no framework; ``open_engine`` imports the requested one. An engine is a module
``mhpmodels.engines.NAME`` with a function ``build(config, training) -> Engine``. From mhp it imports only
``mhpdata.errors``, ``mhpmodels.config``, ``mhpmodels.files.params``, ``mhpmodels.networks``,
``mhpmodels.engines.batch`` and this module. Weights of other programs are opened as a ``ForeignPredictor``.
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
from mhpdata.wording import either

if TYPE_CHECKING:
    from mhpdata.label_sets.table import LabelTable
    from mhpmodels.config import TrainConfig
    from mhpmodels.networks.preprocessing import Preprocessing

ENGINES = {"torch": ("torch",), "mxnet": ("mxnet", "gluoncv")}
"""{engine: libraries that it imports}, the preferred engine first; the pip extra has the engine's name."""


def install(extra: str) -> str:
    """Return the advice to install a pip extra, without a final period."""
    return f'In the folder of mhp\'s source, run: pip install ".[{extra}]"'


@dataclass(frozen=True)
class Step:
    """Result of one training step.

    Attributes:
        loss: weighted sum of the losses of the main and auxiliary outputs. Each is the cross-entropy, times the label's
            ``config.loss.class_weights``, averaged over the labelled pixels of the whole batch (all contexts and
            ranks); 0 if no pixel is labelled, non-finite if a logit is. With ``config.run.old_recipe``, the loss that
            GluonCV prints: the average over all pixels, unlabelled ones counting 0, with the outputs weighted as in the
            config, although all weigh 1 in the gradient. The losses of ``dice_weight``, ``lovasz_weight`` and of the
            heads of persons are added with their weights; a network with a loss of its own (``networks.loss``) gives
            that loss instead.
        gradient: L2 norm of the whole gradient of that loss, before clipping and without weight decay; may be
            non-finite.
        applied: whether the update was applied. If not, the loss or the gradient was non-finite, and weights, running
            statistics and the optimiser's state are bit for bit as before the step.
    """

    loss: float
    gradient: float
    applied: bool


class Predictor(Protocol):
    """Interface for evaluation and prediction.

    Attributes:
        name: key of ENGINES, or "onnx".
        config: config that the engine was opened with.
    """

    name: str
    config: TrainConfig

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return the logits of the main output at the images' size, in inference mode: float32 (N, classes, H, W).

        Args:
            images: as in ``Engine.train_step``.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return framework, versions, number of parameters and devices, as JSON values for logs and reports."""
        ...

    def close(self) -> None:
        """Free the network and leave the process group; may be called twice."""
        ...


class ForeignPredictor(Predictor, Protocol):
    """Interface of a predictor with weights that mhp did not train.

    ``predict`` takes uint8 (N, H, W, 3), RGB, and normalises as ``preprocessing`` says; only if that is IMAGENET, it
    also gets normalised float32 (N, 3, H, W). ``describe`` also returns ``weights``, as ``foreign_facts`` does. The
    config has the class names of ``labels``.

    Attributes:
        preprocessing: what the network expects of its input.
        labels: its classes: a label set of mhp, or the names in its own file.
        source: path of the weights.
    """

    preprocessing: Preprocessing
    labels: LabelTable
    source: str


class Engine(Predictor, Protocol):
    """Interface for the training loop.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes that train together, at least 1.
    """

    rank: int
    world_size: int

    def train_step(self, images: NDArray[Any], labels: NDArray[np.uint8], rate: float, seed: int) -> Step:
        """Run one forward and backward pass and one update.

        The arrays may be views of memory that the caller reuses afterwards.

        Args:
            images: float32 (N, 3, H, W), RGB normalised by ImageNet's mean and deviation, or uint8 (N, H, W, 3), RGB,
                which the engine normalises. C-contiguous.
            labels: uint8 (N, H, W), a class in 0..classes-1, or 255 for unlabelled pixels. C-contiguous.
            rate: learning rate of the backbone; the heads take ``rate * config.optim.head_rate``.
            seed: seed of the step's random draws (dropout), 0..2**31-1. The same state, batch, rate and seed give the
                same result, bit for bit on the same CPU.

        Raises:
            EngineError: the network does not support the batch; the message names the supported sizes.
        """
        ...

    def prefetch(self, loader: Any) -> Any:
        """Return the loader, or one with the same batches and states that prefetches batches to the device.

        Args:
            loader: a loader with the interface of ``mhpdata.Loader``.
        """
        ...

    def broadcast(self, value: float) -> float:
        """Return rank 0's value on all ranks, once all have called this.

        Raises:
            EngineError: a rank is lost, or silent for longer than ``config.machine.timeout``.
        """
        ...

    def save(self, path: str | Path) -> None:
        """Write the weights and running statistics. Raises OutputError."""
        ...

    def load(self, path: str | Path) -> None:
        """Read a file that ``save`` wrote. Raises CheckpointError, and keeps the weights, if it does not fit."""
        ...

    def save_state(self, path: str | Path) -> None:
        """Write the optimiser's state, which together with the weights determines the next step. Raises OutputError."""
        ...

    def load_state(self, path: str | Path) -> None:
        """Read a file that ``save_state`` wrote. Raises CheckpointError, and keeps the state, if it does not fit."""
        ...


class PersonPredictor(Predictor, Protocol):
    """Interface of a predictor whose network tells persons apart (``config.network.persons``)."""

    def predict_persons(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits and person maps at the images' size, in inference mode: float32 (N, classes + maps, H, W).

        There are ``config.network.person_maps`` maps. Those of heads are three: the centre heatmap, and the offset
        down and to the right in pixels. Those of queries are two: the person of each pixel, from 1, 0 for nobody, and
        that person's score.

        Args:
            images: as in ``Engine.train_step``.
        """
        ...


class PersonEngine(Engine, PersonPredictor, Protocol):
    """Interface of an engine whose network tells persons apart."""

    def train_step(
        self,
        images: NDArray[Any],
        labels: NDArray[np.uint8],
        rate: float,
        seed: int,
        targets: NDArray[Any] | None = None,
    ) -> Step:
        """Run a step as ``Engine.train_step`` does, with the loss of the heads of persons if there are targets.

        That loss is ``config.loss.person_weights`` times the mean squared error of the heatmap over all pixels, and
        times the mean absolute error of the offsets where they count, over the batch of all ranks. Without targets the
        weights of the heads do not change. A network with queries has a loss of its own (``networks.loss``).

        Args:
            images, labels, rate, seed: as in ``Engine.train_step``.
            targets: as in ``mhpdata.Batch``, for heads the targets, float32 (N, 4, H, W), for queries the masks, uint8
                (N, K, H, W); None trains the labels alone.
        """
        ...


def installed() -> tuple[str, ...]:
    """Return the engines whose libraries are installed, the preferred one first, without importing them."""
    return tuple(name for name in ENGINES if not _missing(name))


def open_engine(config: TrainConfig, training: bool = True) -> Engine:
    """Open the engine ``config.machine.engine`` with the network of ``config``.

    Args:
        config: model, backbone, devices, optimiser and seed; the seed determines the initial weights.
        training: False opens the engine for ``predict`` only: no pretrained backbone is loaded, and ``train_step`` and
            the state are not available.

    Raises:
        OptionError: the engine is unknown.
        EngineError: its framework is not installed, or cannot be used on this machine.
    """
    name = config.machine.engine
    check_installed(name)
    engine: Engine = import_module(f"mhpmodels.engines.{name}").build(config, training)
    return engine


def check_installed(name: str) -> None:
    """Raise OptionError unless there is an engine of this name, and EngineError unless its libraries are installed."""
    if name not in ENGINES:
        raise OptionError(
            "engine", repr(name), either(ENGINES), "Pass torch for PyTorch, or mxnet for MXNet and GluonCV."
        )
    missing = _missing(name)
    if missing:
        raise EngineError(
            f"engine {name}",
            f"{' and '.join(missing)} not installed",
            remedy=install(name) + _others(name),
        )


def _missing(name: str) -> list[str]:
    return [module for module in (*ENGINES[name], f"mhpmodels.engines.{name}") if find_spec(module) is None]


def _others(name: str) -> str:
    others = [other for other in installed() if other != name]
    if others:
        return f"; or pass --engine {others[0]}, which is installed."
    return "".join(f'; or install ".[{other}]" and pass --engine {other}' for other in ENGINES if other != name) + "."
