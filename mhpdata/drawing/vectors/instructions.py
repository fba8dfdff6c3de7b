"""Write the inner steps of the kernels as explicit vector instructions, for x86-64 with AVX2 or AVX-512.

A vector step processes one block of pixels of a loop in :mod:`mhpdata.drawing.plain`, takes addresses as integers, and
computes the same integers as that loop. Each is a sequence of LLVM instructions (``numba.extending.intrinsic``), so
installing the package compiles nothing.

LEVEL is the best level that this machine supports: 2 = AVX-512 (F, BW, VL), 1 = AVX2 + FMA + F16C (x86-64-v3), 0 =
neither, use the plain loops. A step above LEVEL compiles to nothing, so a caller may branch on the level at run time,
on any machine.

Tried and slower: LLVM's own vectorisation (3 times as slow: it emits no lane-crossing permutes and no gathers for the
horizontal stage); ``vpgatherdd`` for that stage on AVX2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

I8: Any = ir.IntType(8)
I16: Any = ir.IntType(16)
I32: Any = ir.IntType(32)
I64: Any = ir.IntType(64)
F16: Any = ir.HalfType()
F32: Any = ir.FloatType()


def _level() -> int:
    if config.CPU_NAME or config.CPU_FEATURES is not None:
        return 0  # Numba is set to compile for a CPU other than this one
    features = llvm.get_host_cpu_features()
    if all(features.get(f) for f in ("avx512f", "avx512bw", "avx512vl", "f16c", "fma")):
        return 2
    return int(all(features.get(f) for f in ("avx2", "fma", "f16c")))


LEVEL = _level()
FUSED = LEVEL == 2
"""Whether this machine supports AVX-512; if not, Numba prunes the branches that depend on this constant."""


def step(level: int, arguments: int, bundle: type[Any] | None = None) -> Callable[[Callable[..., None]], Any]:
    """Make a Numba function of ``build(builder, *arguments)`` that returns nothing.

    Args:
        level: Level that the instructions need.
        arguments: Number of int64 arguments.
        bundle: Named tuple of int64 fields, the last argument; None for no such argument.
    """

    def decorate(build: Callable[..., None]) -> Any:
        kinds = [types.int64] * arguments
        if bundle:
            kinds.append(types.NamedUniTuple(types.int64, len(bundle._fields), bundle))

        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            if level <= LEVEL:
                given = list(values)
                if bundle:
                    given[-1] = bundle(*(builder.extract_value(given[-1], i) for i in range(len(bundle._fields))))
                build(builder, *given)
            return context.get_dummy_value()

        def typing(typingctx: Any, *given: Any) -> Any:
            return types.void(*kinds), codegen

        # Numba reads the number of arguments from the function's signature
        names = ", ".join(f"a{i}" for i in range(len(kinds)))
        scope: dict[str, Any] = {"typing": typing}
        exec(f"def step(typingctx, {names}): return typing(typingctx, {names})", scope)
        return intrinsic(scope["step"])

    return decorate


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Return the address of an array's data, as int64, without counting references."""

    def codegen(context: Any, b: ir.IRBuilder, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        return b.ptrtoint(context.make_array(signature.args[0])(context, b, values[0]).data, I64)

    return types.int64(array), codegen


def _pointer(b: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    return b.inttoptr(address, ir.PointerType(kind))


def load(b: ir.IRBuilder, address: ir.Value, kind: ir.Type, offset: int = 0) -> ir.Value:
    """Load a scalar or a vector, aligned or not."""
    if offset:
        address = b.add(address, I64(offset))
    return b.load(_pointer(b, address, kind), align=1)


def store(b: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int = 0, stream: int = 0) -> None:
    """Store a value unaligned, or, if ``stream`` gives an alignment, past the caches (which saves reading the line)."""
    if offset:
        address = b.add(address, I64(offset))
    done = b.store(value, _pointer(b, address, value.type), align=stream or 1)
    if stream:
        done.set_metadata("nontemporal", b.module.add_metadata([I32(1)]))


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """Return a vector of ``lanes`` copies of a value."""
    vector = ir.VectorType(value.type, lanes)
    first = b.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return b.shuffle_vector(
        first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def fixed(number: int, kind: ir.Type, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, lanes), [number] * lanes)


def call(b: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def mulhrs(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Compute (x * y + 2**14) >> 15 on int16."""
    name = "llvm.x86.avx512.pmul.hr.sw.512" if x.type.count == 32 else "llvm.x86.avx2.pmul.hr.sw"
    return call(b, name, x.type, x, y)


def madd(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Compute x[2i] * y[2i] + x[2i + 1] * y[2i + 1]: int16 in, int32 out."""
    name = "llvm.x86.avx512.pmaddw.d.512" if x.type.count == 32 else "llvm.x86.avx2.pmadd.wd"
    return call(b, name, ir.VectorType(I32, x.type.count // 2), x, y)


def saturating_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return call(b, f"llvm.sadd.sat.v{x.type.count}i16", x.type, x, y)


@step(0, 0)
def fence(b: ir.IRBuilder) -> None:
    """Make streamed stores visible to other threads before any later store."""
    b.fence("seq_cst")
