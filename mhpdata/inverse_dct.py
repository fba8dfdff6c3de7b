"""Coefficients of 16 neighbouring blocks of a JPEG -> samples, uint8: libjpeg's "accurate" integer inverse DCT.

Coefficient n of all 16 blocks lies side by side (:mod:`mhpdata.entropy`), so that each line below is done to 16 blocks
at once: these loops over ``lane`` are what compilers make vectors of, on any machine.

The rule: the same integers as libjpeg's jidctint; where damaged coefficients overflow, 32 bits wrap (libjpeg's own
variants differ there).

Source: Loeffler, Ligtenberg, Moschytz 1989, "Practical fast 1-D DCT algorithms with 11 multiplications", with constants
of 13 bits, and 2 bits kept from the first pass to the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from mhpdata.jit import kernel

BLOCKS = 16
"""Blocks that are done together."""


@njit(inline="always")
def _times(x: Any, factor: Any) -> Any:
    return np.int32(x * np.int32(factor))


@njit(inline="always")
def _plus(x: Any, y: Any) -> Any:
    return np.int32(x + y)


@njit(inline="always")
def _minus(x: Any, y: Any) -> Any:
    return np.int32(x - y)


@njit(inline="always")
def _transform(x0: Any, x1: Any, x2: Any, x3: Any, x4: Any, x5: Any, x6: Any, x7: Any) -> Any:
    """One dimension: int32 in and out, out by 8192 times too large."""
    z = _times(_plus(x2, x6), 4433)
    low, high = _plus(z, _times(x6, -15137)), _plus(z, _times(x2, 6270))
    total, difference = _times(_plus(x0, x4), 8192), _times(_minus(x0, x4), 8192)
    e0, e1, e2, e3 = _plus(total, high), _plus(difference, low), _minus(difference, low), _minus(total, high)
    z3, z4 = _plus(x7, x3), _plus(x5, x1)
    z5 = _times(_plus(z3, z4), 9633)
    z1, z2 = _times(_plus(x7, x1), -7373), _times(_plus(x5, x3), -20995)
    z3, z4 = _plus(z5, _times(z3, -16069)), _plus(z5, _times(z4, -3196))
    o0 = _plus(_plus(_times(x1, 12299), z1), z4)
    o1 = _plus(_plus(_times(x3, 25172), z2), z3)
    o2 = _plus(_plus(_times(x5, 16819), z2), z4)
    o3 = _plus(_plus(_times(x7, 2446), z1), z3)
    return (
        _plus(e0, o0), _plus(e1, o1), _plus(e2, o2), _plus(e3, o3),
        _minus(e3, o3), _minus(e2, o2), _minus(e1, o1), _minus(e0, o0),
    )  # fmt: skip


@njit(inline="always")
def _scaled(x: Any) -> Any:
    return np.int32(_plus(x, np.int32(1 << 10)) >> np.int32(11))


@njit(inline="always")
def _byte(x: Any, place: Any) -> Any:
    """A sample as a byte of a word."""
    level = np.int32(_plus(x, np.int32((1 << 17) + (128 << 18))) >> np.int32(18))
    return np.uint32(min(max(level, np.int32(0)), np.int32(255))) << np.uint32(8 * place)


@kernel
def inverse_dct(coefficients: Any, steps: Any, work: Any, out: Any, begin: Any, stride: Any) -> Any:
    """Samples of 16 blocks, 128 x 8.

    Args:
        coefficients: int16 (64 * 16,), quantised.
        steps: int32 (64,), the quantiser.
        work: int32 (64 * 16,), scratch.
        out: uint64, flat: rows of 16 words at ``begin``, ``begin + stride``, ...: the bytes of a plane, little-endian.
    """
    for x in range(8):
        q0, q1, q2, q3 = steps[x], steps[8 + x], steps[16 + x], steps[24 + x]
        q4, q5, q6, q7 = steps[32 + x], steps[40 + x], steps[48 + x], steps[56 + x]
        for lane in range(16):
            i = x * 16 + lane
            t = _transform(
                _times(np.int32(coefficients[i]), q0), _times(np.int32(coefficients[i + 128]), q1),
                _times(np.int32(coefficients[i + 256]), q2), _times(np.int32(coefficients[i + 384]), q3),
                _times(np.int32(coefficients[i + 512]), q4), _times(np.int32(coefficients[i + 640]), q5),
                _times(np.int32(coefficients[i + 768]), q6), _times(np.int32(coefficients[i + 896]), q7),
            )  # fmt: skip
            work[i] = _scaled(t[0])
            work[i + 128] = _scaled(t[1])
            work[i + 256] = _scaled(t[2])
            work[i + 384] = _scaled(t[3])
            work[i + 512] = _scaled(t[4])
            work[i + 640] = _scaled(t[5])
            work[i + 768] = _scaled(t[6])
            work[i + 896] = _scaled(t[7])
    for y in range(8):
        row = out[begin + y * stride : begin + y * stride + 16]
        for lane in range(16):
            i = y * 128 + lane
            t = _transform(
                work[i],
                work[i + 16],
                work[i + 32],
                work[i + 48],
                work[i + 64],
                work[i + 80],
                work[i + 96],
                work[i + 112],
            )
            low = _byte(t[0], 0) | _byte(t[1], 1) | _byte(t[2], 2) | _byte(t[3], 3)
            high = _byte(t[4], 0) | _byte(t[5], 1) | _byte(t[6], 2) | _byte(t[7], 3)
            row[lane] = np.uint64(np.uint32(low)) | np.uint64(np.uint32(high)) << np.uint64(32)
