"""The torch engine: PSPNet, ICNet or a network of one's own, one process per GPU.

::

    torchrun    starts them, with an exit status that tells
    ranks       processes that train together, their device, their sums
    weights     files of weights, torch's and GluonCV's
    backbone    weights that were trained on ImageNet
    loss        cross-entropy over the labelled pixels
    optimizer   SGD, Adam, and what they remember, on disk
    statistics  buffers kept aside during a step
    scaler      float16: a loss so large that no gradient vanishes
    copies      batches copied to a GPU ahead of their use
    trainer     a training step of all of these
    engine      network, files and trainer, as mhpmodels.engines.engine.Engine
    export      a network as ONNX

torch is imported when ``build`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mhpmodels.engines.engine import Engine
from mhpmodels.networks.architecture import Architecture

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


def build(config: TrainConfig, training: bool = True) -> Engine:
    """The engine for ``config``. Raises EngineError, OptionError, CheckpointError: see ``mhpmodels.engines.engine``."""
    Architecture.of_config(config).check()
    from mhpmodels.engines.torch.engine import TorchEngine

    return TorchEngine(config, training)
