"""The MXNet engine: GluonCV's PSPNet and ICNet.

::

    contexts    devices, and what MXNet must be told before it is imported
    libraries   mxnet and gluoncv, imported
    backbone    backbones, and their pretrained weights
    norm        batch normalisation over several contexts
    network     the networks
    loss        cross-entropy over the labelled pixels
    optimizer   SGD, Adam
    exchange    sums over contexts and processes
    files       weights and state on disk
    engine      all of these, as mhpmodels.engines.engine.Engine

MXNet is imported when ``build`` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mhpmodels.engines.engine import Engine
from mhpmodels.engines.mxnet.contexts import check_supported, keep_apart

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


def build(config: TrainConfig, training: bool = True) -> Engine:
    """The engine for ``config``. Raises EngineError, OptionError, CheckpointError: see ``mhpmodels.engines.engine``."""
    check_supported(config)
    keep_apart(config)
    from mhpmodels.engines.mxnet.engine import MXNetEngine

    return MXNetEngine(config, training)
