"""MXNet and GluonCV, imported past what stands in their way today.

- Plain NumPy 1.24 to 1.26 lacks ``np.bool``, which MXNet names at its import; it is given back. NumPy 2 lacks some 25
  names and is an error here.
- ``import gluoncv`` raises where torch 2 or newer can be imported. It does not need torch, so torch is hidden during
  that one import; both then work in one process, in either order.
- Both warn of names that NumPy and Python have since renamed; there is nothing to be done about that, so the warnings
  are dropped.

What MXNet reads from the environment when it is imported must be set before this module is: see ``contexts``.

Run here: mxnet 1.9.1 (CPU) with gluoncv 0.10.5.post0 on Python 3.11. Not run, for want of CUDA 10.1 and 11.2:
mxnet-cu101mkl 1.6.0.post0 and mxnet-cu112 1.9.1; this package uses only what all three have.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mhpdata.errors import EngineError
from mhpmodels.engines.engine import install

PLACE = "engine mxnet"
_REMEDY = (
    f"{install('mxnet')}, which brings what MXNet needs (numpy 1.23), best in a virtual environment of its own; or "
    "pass --engine torch."
)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Nobody can import ``name`` meanwhile."""
    there = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if there is None:
            del sys.modules[name]
        else:
            sys.modules[name] = there


def _import_mxnet() -> Any:
    if int(np.__version__.split(".")[0]) >= 2:
        raise EngineError(PLACE, f"numpy {np.__version__}", "numpy 1.23, the last that MXNet knows", _REMEDY)
    vars(np).setdefault("bool", bool)
    try:
        return importlib.import_module("mxnet")
    except (ImportError, OSError, AttributeError) as error:  # OSError: a CUDA build without its CUDA
        raise EngineError(PLACE, f"mxnet cannot be imported ({error})", remedy=_REMEDY) from error


def _import_gluoncv() -> Any:
    try:
        with _hidden("torch"):
            return importlib.import_module("gluoncv")
    except (ImportError, OSError, AttributeError) as error:
        raise EngineError(PLACE, f"gluoncv cannot be imported ({error})", remedy=_REMEDY) from error


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mx = _import_mxnet()
    gluoncv = _import_gluoncv()
