"""The torch engine: PSPNet, ICNet or a user-defined network, one process per GPU.

::

    torchrun    start the processes, and return the exit status of the first that failed
    ranks       rank and device of this process, sums over all ranks
    weights     files of weights, torch's and GluonCV's
    backbone    pretrained weights from ImageNet
    loss        cross-entropy over the labelled pixels
    optimizer   SGD, Adam and AdamW, and their state
    statistics  running statistics: collected in a step, followed or rolled back
    scaler      loss scaling for float16
    copies      batches prefetched to a GPU
    trainer     a training step
    engine      network, files and trainer, as mhpmodels.engines.engine.Engine
    export      export to ONNX

torch is imported when ``build`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mhpmodels.engines.engine import Engine
from mhpmodels.networks.architecture import Architecture

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


def build(config: TrainConfig, training: bool = True) -> Engine:
    """Return the engine for ``config``; arguments and errors as for ``mhpmodels.engines.engine.open_engine``.

    Raises:
        CheckpointError: the pretrained backbone cannot be read.
    """
    Architecture.of_config(config).check()
    from mhpmodels.engines.torch.engine import TorchEngine

    return TorchEngine(config, training)
