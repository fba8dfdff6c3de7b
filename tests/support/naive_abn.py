"""InPlaceABN's CPU source in NumPy: ``forward_cpu`` of ``inplace_abn_cpu.cpp``, then the activation, step by step."""

from __future__ import annotations

import numpy as np

EPS, SLOPE = np.float32(1e-5), np.float32(0.01)


def naive_abn(x, mean, var, weight, bias, activation="leaky_relu"):
    """Return float32 (N, C, H, W) normalised by the running statistics, as the extension does in inference."""
    gamma = np.abs(weight) + EPS
    factor = (1 / np.sqrt(var + EPS)) * gamma
    x = x - mean[:, None, None]
    x = x * factor[:, None, None]
    x = x + bias[:, None, None]
    if activation == "leaky_relu":
        return np.where(x < 0, x * SLOPE, x).astype(np.float32)
    assert activation == "none"
    return x.astype(np.float32)
