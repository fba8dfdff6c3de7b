"""Decorators of functions that Numba compiles: ``kernel`` is called from Python, ``callee`` from kernels only.

::

    @kernel    an entry: compiled once per machine (mhpdata.kernels.compiling) and kept on disk (mhpdata.kernels.cache)
    @callee    compiled into each kernel that calls it; no entry for Python, no file

A kernel has one signature: Python code brings arguments to one dtype, layout and writability before the call. A second
one costs as much compiling again; ``several`` names the kernels that have one, and the tests refuse it.

All run without the GIL and with NumPy's error model: a division by zero is not looked for, so divisors are positive by
what their callers check. Bounds are checked only where NUMBA_BOUNDSCHECK=1 asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

from mhpdata.kernels import compiling
from mhpdata.kernels.cache import KernelCache, Signature, folders

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_kernels: list[Any] = []


def kernel(function: Function) -> Function:
    """Compile a function over arrays when it is first called, or take it from the disk."""
    compiled: Any = njit(**_OPTIONS, no_cfunc_wrapper=True)(function)
    if hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT
        compiled._cache = KernelCache(function)
        compiled._compiler.compile = _compile_once(compiled)
        _kernels.append(compiled)
    return compiled  # type: ignore[no-any-return]


def callee(function: Function) -> Function:
    """Compile a function that only kernels call: into each caller, without an entry for Python or a cached file."""
    compiled: Function = njit(**_OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Write a function into each kernel that calls it, once per call, before types are known: a part with a name.

    It costs no compilation of its own, and a tuple handed to it costs nothing; for a part with one call in all.
    """
    compiled: Function = njit(**_OPTIONS, inline="always")(function)
    return compiled


def several() -> list[str]:
    """Name the kernels, module and function, that were called with more than one signature in this process."""
    return [f"{k.__module__}.{k.__name__}" for k in _kernels if len(k.signatures) > 1]


def _compile_once(dispatcher: Any) -> Callable[[Signature, Any], Any]:
    """Numba's compiler of one function, in its turn among all processes; it is called where no file was found."""
    compile_here, cache, target = dispatcher._compiler.compile, dispatcher._cache, dispatcher.targetctx

    def compile_or_load(signature: Signature, returned: Any) -> Any:
        with compiling.turn(folders()):
            found = cache.load_overload(signature, target)  # another process may have compiled it meanwhile
            if found is not None:
                if not found.objectmode:
                    target.insert_user_function(found.entry_point, found.fndesc, [found.library])
                return found
            compiling.begin()
            found = compile_here(signature, returned)
            cache.keep(signature, found)
            return found

    return compile_or_load
