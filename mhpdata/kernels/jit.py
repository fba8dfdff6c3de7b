"""Decorators for functions that Numba compiles: ``kernel`` is called from Python, ``callee`` from kernels only.

::

    @kernel    an entry: compiled once per machine (mhpdata.kernels.compiling), cached on disk (mhpdata.kernels.cache)
    @callee    compiled into each kernel that calls it; no entry for Python, no file

A kernel has one signature: Python code brings arguments to one dtype, layout and writability before the call. A second
signature would double its compile time; ``several`` lists kernels with more than one, and the tests reject them.

All run without the GIL and with NumPy's error model, which does not detect division by zero: callers ensure that
divisors are positive. Bounds are checked only with NUMBA_BOUNDSCHECK=1.
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
    """Compile a function over arrays when it is first called, or load it from disk."""
    compiled: Any = njit(**_OPTIONS, no_cfunc_wrapper=True)(function)
    if hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT
        compiled._cache = KernelCache(function)
        compiled._compiler.compile = _compile_once(compiled)
        _kernels.append(compiled)
    return compiled  # type: ignore[no-any-return]


def callee(function: Function) -> Function:
    """Compile a function that only kernels call into each of its callers, without a Python entry or a cached file."""
    compiled: Function = njit(**_OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Inline a function into each kernel that calls it, once per call, before type inference.

    It has no compilation of its own, and passing a tuple to it is free. Use it for functions with a single call.
    """
    compiled: Function = njit(**_OPTIONS, inline="always")(function)
    return compiled


def several() -> list[str]:
    """List the kernels, as module.function, that were called with more than one signature in this process."""
    return [f"{k.__module__}.{k.__name__}" for k in _kernels if len(k.signatures) > 1]


def _compile_once(dispatcher: Any) -> Callable[[Signature, Any], Any]:
    """Return Numba's compiler of one function, serialised across processes; Numba calls it if no file was found."""
    compile_here, cache, target = dispatcher._compiler.compile, dispatcher._cache, dispatcher.targetctx

    def compile_or_load(signature: Signature, returned: Any) -> Any:
        with compiling.turn(folders()):
            compiled = cache.load_overload(signature, target)  # another process may have compiled it meanwhile
            if compiled is not None:
                if not compiled.objectmode:
                    target.insert_user_function(compiled.entry_point, compiled.fndesc, [compiled.library])
                return compiled
            compiling.begin()
            compiled = compile_here(signature, returned)
            cache.keep(signature, compiled)
            return compiled

    return compile_or_load
