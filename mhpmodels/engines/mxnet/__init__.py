"""The MXNet engine: GluonCV's PSPNet and ICNet.

::

    contexts    devices, and settings that MXNet reads when it is imported
    libraries   import of mxnet and gluoncv
    backbone    backbones and their pretrained weights
    norm        batch normalisation over several contexts
    network     the networks
    loss        cross-entropy over the labelled pixels
    optimizer   SGD and Adam
    exchange    sums over contexts and processes
    files       weights and state on disk
    engine      the engine, as mhpmodels.engines.engine.Engine

MXNet is imported when ``build`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mhpmodels.engines.engine import Engine
from mhpmodels.engines.mxnet.contexts import check_supported, keep_apart

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


def build(config: TrainConfig, training: bool = True) -> Engine:
    """Return the engine for ``config``; arguments and errors as for ``mhpmodels.engines.engine.open_engine``.

    Raises:
        CheckpointError: the pretrained backbone cannot be read.
    """
    check_supported(config)
    keep_apart(config)
    from mhpmodels.engines.mxnet.engine import MXNetEngine

    return MXNetEngine(config, training)
