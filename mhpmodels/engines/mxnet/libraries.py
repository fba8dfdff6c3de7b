"""Import MXNet and GluonCV with today's NumPy and torch.

- NumPy 1.24 to 1.26 lacks ``np.bool``, which MXNet uses when it is imported; this module restores it. NumPy 2 lacks
  some 25 names and is an error.
- ``import gluoncv`` fails if torch 2 or newer is installed. GluonCV does not need torch, so torch is hidden during that
  import; both then work in the same process, in either order.
- Both warn about names that NumPy and Python have since renamed; these warnings are suppressed.

Environment variables that MXNet reads at import must be set before this module is imported; see ``contexts``.

Tested with mxnet 1.9.1 (CPU) and gluoncv 0.10.5.post0 on Python 3.11. Not yet tested, because they need CUDA 10.1 and
11.2: mxnet-cu101mkl 1.6.0.post0 and mxnet-cu112 1.9.1. This package uses only functions that all three have.
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
    f"{install('mxnet')}, preferably in a separate virtual environment, since it installs numpy 1.23; or pass --engine "
    "torch."
)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make ``import name`` fail inside the context."""
    module = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module


def _import_mxnet() -> Any:
    if int(np.__version__.split(".")[0]) >= 2:
        raise EngineError(PLACE, f"numpy {np.__version__}", "numpy 1.23, the latest that MXNet supports", _REMEDY)
    vars(np).setdefault("bool", bool)
    try:
        return importlib.import_module("mxnet")
    except (ImportError, OSError, AttributeError) as error:  # OSError: CUDA's libraries are missing
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
