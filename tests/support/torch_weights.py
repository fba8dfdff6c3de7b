"""The weights of torch's engine."""

from __future__ import annotations


def weights(engine):
    """Return a copy of the tensors of an engine's network, by name."""
    return {name: tensor.clone() for name, tensor in engine._network.state_dict().items()}
