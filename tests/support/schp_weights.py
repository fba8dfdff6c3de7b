"""Weights and an image for SCHP's network from a formula: the same with every version of every library.

The weights have running statistics and scales of both signs, as trained ones have; the logits are of the order of 1.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

CLASSES, SIDE = 7, 65
LONG = 65537
"""Length of the table of numbers, a prime, so that filters differ."""
VALUES = 64
"""Number of stored logits."""


def hashed(count: int) -> np.ndarray:
    """Return ``count`` numbers in -1..1, float32: a hash of 0, 1, 2 ..."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return (x / 2.0**31 - 1).astype(np.float32)


TABLE = hashed(LONG)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a weight by name and shape."""
    size = math.prod(shape)
    u = np.resize(np.roll(TABLE, zlib.crc32(name.encode()) % LONG), size).reshape(shape)
    kind = name.rpartition(".")[2]
    if len(shape) == 4:
        return u * np.float32(math.sqrt(6 / math.prod(shape[1:])))
    if kind == "running_var":
        return np.float32(1.5) + u
    if kind == "weight":  # of a normalisation: both signs; small at the end of a block, or 33 blocks would explode
        return (np.sign(u) * np.float32(0.5) + u * np.float32(0.5)) * np.float32(0.3 if ".bn3." in name else 1)
    return u * np.float32(0.2)


def image(side: int = SIDE) -> np.ndarray:
    """Return a normalised input: float32 (1, 3, side, side)."""
    return np.resize(TABLE[::-1], 3 * side * side).reshape(1, 3, side, side) * np.float32(2)


def chosen(logits: np.ndarray) -> np.ndarray:
    """Return VALUES of the logits, spread over channels and pixels."""
    flat = logits.reshape(-1)
    return flat[np.linspace(0, flat.size - 1, VALUES).astype(np.int64)]
