"""Train, evaluate and visualise networks on packed shards. Frameworks are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Confusion", "most_likely", "to_torch"]

if TYPE_CHECKING:
    from mhpmodels.evaluation.metrics import Confusion, most_likely
    from mhpmodels.training.handover import to_torch

_WHERE = {
    "Confusion": "mhpmodels.evaluation.metrics",
    "most_likely": "mhpmodels.evaluation.metrics",
    "to_torch": "mhpmodels.training.handover",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'mhpmodels' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
