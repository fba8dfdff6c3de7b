"""Make photorealistic surfaces: noise of several octaves, woven and printed cloth, hair, skin, relief by light.

Noise tiles are computed once per process, and cropped, flipped and resized for every use, which keeps an image under a
tenth of a second. The tiles are constant, so the bytes of an image do not depend on the process. Fields are float32
(height, width) of mean 0 and deviation 1 unless said otherwise.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.opencv import cv2
from mhpdata.synth.planning.wardrobe import Surface

TILE = 768
Field = NDArray[Any]


def _octaves(rng: np.random.Generator, cells: list[tuple[int, int]], keep: float) -> Field:
    out = np.zeros((TILE, TILE), np.float32)
    for k, (rows, columns) in enumerate(cells):
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        out += keep**k * cv2.resize(grid, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray((out - out.mean()) / out.std(), np.float32)


@cache
def bank() -> dict[str, Field]:
    """Return the noise tiles by name: float32 (768, 768), mean 0, deviation 1."""
    rng = np.random.default_rng(1528)
    fold = _octaves(rng, [(9, 22), (16, 44), (40, 90)], 0.6)
    fold = -np.abs(fold)  # creases: sharp valleys between round folds
    grain = cv2.GaussianBlur(rng.standard_normal((TILE, TILE)).astype(np.float32), (0, 0), 0.55)
    return {
        "cloud": _octaves(rng, [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)], 0.62),
        "leaf": _octaves(rng, [(24, 24), (60, 60), (150, 150), (384, 384)], 0.9),
        "strand": _octaves(rng, [(4, 96), (10, 256), (24, 512)], 0.9),
        "plank": _octaves(rng, [(60, 3), (160, 8), (384, 30)], 0.8),
        "fold": (fold - fold.mean()) / fold.std(),
        "weave": _octaves(rng, [(256, 384), (512, 300)], 1.0),
        "grain": grain / grain.std(),
    }


def noise(name: str, shape: tuple[int, int], rng: np.random.Generator, zoom: float = 1.0) -> Field:
    """Return a random crop of tile ``name``, scaled by ``zoom`` and possibly flipped, of ``shape`` (height, width)."""
    tile = bank()[name]
    height, width = (int(min(TILE, max(2, np.ceil(n / zoom)))) for n in shape)
    top, left = (int(rng.integers(0, TILE - n + 1)) for n in (height, width))
    piece = tile[top : top + height, left : left + width]
    if rng.random() < 0.5:
        piece = np.asarray(cv2.flip(piece, 1))
    if piece.shape == tuple(shape):
        return piece
    return np.asarray(cv2.resize(piece, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def _wave(phase: Field) -> Field:
    """Return a soft square wave of period 1, in 0..1."""
    return np.asarray(np.clip(0.5 + 2.2 * np.sin(2 * np.pi * phase), 0, 1))


def printed(surface: Surface, shape: tuple[int, int], size: float, warp: Field) -> Field:
    """Return the share of the accent colour at each pixel, 0..1; ``warp`` bends the pattern with the folds."""
    period = max(3.0, surface.period * size)
    rows = np.arange(shape[0], dtype=np.float32)[:, None] / period
    columns = np.arange(shape[1], dtype=np.float32)[None, :] / period
    c, s = np.float32(np.cos(np.radians(surface.angle))), np.float32(np.sin(np.radians(surface.angle)))
    bend = warp * np.float32(0.08)
    u, v = c * columns + s * rows + bend, c * rows - s * columns + bend
    if surface.pattern == "stripes":
        return _wave(v)
    if surface.pattern == "bars":
        return _wave(u)
    if surface.pattern == "checks":
        return np.asarray(np.float32(0.5) * (_wave(u) + _wave(v)))
    if surface.pattern == "dots":
        return np.asarray(np.clip((np.sin(6.2832 * u) * np.sin(6.2832 * v) - 0.35) * 4, 0, 1))
    if surface.pattern == "knit":
        return np.asarray(np.float32(0.35) * _wave(4 * u + np.abs(np.mod(2 * v, 1) - 0.5)))
    twill = np.sin(6.2832 * (u + v))  # denim
    return np.asarray(np.float32(0.5) + np.float32(0.35) * twill)


def relief(ids: NDArray[Any], size: float, light: tuple[float, float]) -> Field:
    """Return the brightness (about 1) of lit, rounded parts: each region of equal ``ids`` is convex, with a dark rim.

    Args:
        ids: uint8 (height, width), number of the body part at each pixel.
        size: Stature in pixels; parts are rounded over about 3 % of it.
        light: Direction to the light, (columns, rows).
    """
    edge = np.zeros(ids.shape, np.uint8)
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    edge[1:] |= ids[1:] != ids[:-1]
    far = cv2.distanceTransform(1 - edge, cv2.DIST_L2, 3)
    radius = max(2.0, 0.04 * size)
    inside = np.minimum(far / np.float32(radius), 1)
    height = cv2.GaussianBlur(np.sqrt(inside * (2 - inside)), (0, 0), max(0.6, 0.008 * size)) * np.float32(radius)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    lit = np.float32(-light[0] * 0.4) * -slope_x + np.float32(-light[1] * 0.4) * -slope_y
    rim = np.float32(0.88) + np.float32(0.12) * np.minimum(far / np.float32(max(1.5, 0.012 * size)), 1)
    return np.asarray(np.clip(rim * (np.float32(1.02) - lit), 0.35, 1.5))
