"""Let kernels run in plain Python: every intrinsic becomes a function that Numba compiles by itself when it is called.

With NUMBA_DISABLE_JIT=1 kernels are plain functions, and coverage sees their lines. Intrinsics build machine code and
have no plain Python, so each is wrapped in a compiled function of the same arguments, in every module that names it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import config
from numba.core.extending import _Intrinsic

import mhpdata


def compile_intrinsics() -> None:
    """Replace the intrinsics in all modules of mhpdata."""
    compiled: dict[int, Any] = {}
    for found in pkgutil.walk_packages(mhpdata.__path__, "mhpdata."):
        module = importlib.import_module(found.name)
        for name, value in list(vars(module).items()):
            if isinstance(value, _Intrinsic):
                compiled.setdefault(id(value), (_compiled(value), value))  # alive, so that its id stays its own
                setattr(module, name, compiled[id(value)][0])


def _compiled(intrinsic: Any) -> Callable[..., Any]:
    """Return a function of the arguments that the intrinsic takes after the typing context."""
    names = ", ".join(list(inspect.signature(intrinsic._defn).parameters)[1:])
    scope: dict[str, Any] = {"intrinsic": intrinsic}
    exec(f"def function({names}): return intrinsic({names})", scope)
    config.DISABLE_JIT = 0
    function: Any = numba.njit(scope["function"])
    config.DISABLE_JIT = 1

    def call(*arguments: Any) -> Any:
        returned = function(*arguments)
        # Numba boxes integers as Python's, which do not wrap
        return returned if returned is None else getattr(np, function.nopython_signatures[0].return_type.name)(returned)

    return call
