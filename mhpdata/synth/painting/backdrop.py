"""Paint the background: a park, a street, a room, a studio or a brick wall; float32 RGB in 0..255.

Each background is painted small and upsampled, since it is out of focus. It combines a gradient of light, a typical
noise, and straight structures such as windows, planks or joints between bricks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.opencv import cv2
from mhpdata.synth.painting.texture import noise

Painting = NDArray[Any]
RGB = tuple[float, float, float]


def _ramp(shape: tuple[int, int], top: RGB, low: RGB) -> Painting:
    t = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    rows = np.asarray(top, np.float32) * (1 - t) + np.asarray(low, np.float32) * t
    return np.ascontiguousarray(np.broadcast_to(rows, (*shape, 3)))


def _color(rng: np.random.Generator, low: float, high: float, tint: float = 18) -> RGB:
    tone = rng.uniform(low, high)
    r, g, b = (float(np.clip(tone + rng.normal(0, tint), 5, 250)) for _ in range(3))
    return r, g, b


def _darker(color: RGB, factor: float) -> RGB:
    return color[0] * factor, color[1] * factor, color[2] * factor


def _floor(canvas: Painting, rng: np.random.Generator, line: int, color: RGB, tile: str, depth: float) -> None:
    """Paint the ground from row ``line`` down; its texture is compressed towards the horizon."""
    height, width = canvas.shape[:2]
    rows = height - line
    if rows < 2:
        return
    flat = noise(tile, (256, 256), rng)
    distance = 1 / (0.18 + np.linspace(0, 1, rows, dtype=np.float32))
    down = np.repeat((255 * (1 - distance / distance[0]))[:, None], width, 1).astype(np.float32)
    across = (np.arange(width, dtype=np.float32)[None, :] - width / 2) * distance[:, None] * np.float32(0.35) + 128
    ground = cv2.remap(flat, np.abs(across), down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    shade = np.linspace(0.85, 1.1, rows, dtype=np.float32)[:, None]
    canvas[line:] = np.asarray(color, np.float32) * (shade * (1 + np.float32(depth) * ground))[..., None]


def _windows(canvas: Painting, rng: np.random.Generator, low: int) -> None:
    """Paint a grid of windows with frames and sills, lit or dark."""
    height, width = canvas.shape[:2]
    pitch_x, pitch_y = int(width * rng.uniform(0.13, 0.26)) + 4, int(height * rng.uniform(0.16, 0.3)) + 4
    w, h = int(pitch_x * rng.uniform(0.4, 0.6)), int(pitch_y * rng.uniform(0.5, 0.7))
    frame = _color(rng, 120, 230)
    for top in range(int(rng.integers(0, pitch_y)) - pitch_y // 2, low - h, pitch_y):
        for left in range(int(rng.integers(0, pitch_x)) - pitch_x, width, pitch_x):
            glass = _color(rng, 30, 130, 14)
            cv2.rectangle(canvas, (left - 2, top - 2), (left + w + 2, top + h + 3), frame, -1)
            cv2.rectangle(canvas, (left, top), (left + w, top + h), glass, -1)
            cv2.line(canvas, (left + w // 2, top), (left + w // 2, top + h), frame, 1)
            shine = np.array([(left, top), (left + w, top), (left, top + h)], np.int32)
            cv2.fillConvexPoly(canvas, shine, tuple(min(255.0, c + 30) for c in glass))


def _park(shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    canvas = _ramp(shape, (176, 206, 236), (232, 238, 240))
    height, width = shape
    canvas += 12 * noise("cloud", shape, rng)[..., None]
    base = int(height * rng.uniform(0.45, 0.7))
    for k in range(int(rng.integers(2, 4))):  # tree lines; nearer ones are darker and lower
        rise = base * rng.uniform(0.35, 0.95) / (1 + 0.6 * k)
        crown = noise("cloud", (1, width), rng, 0.4 + 0.4 * rng.random())[0]
        top = (base - rise * (0.8 + 0.16 * crown)).astype(np.float32)
        green = np.array((rng.uniform(70, 130), rng.uniform(105, 150), rng.uniform(40, 80)), np.float32) * (
            1 - 0.18 * k
        )
        body = np.arange(height, dtype=np.float32)[:, None] > top[None, :] + 4 * noise("leaf", shape, rng, 0.7)
        leaves = 1 + 0.3 * noise("leaf", shape, rng, 0.8) + 0.12 * noise("cloud", shape, rng)
        np.copyto(canvas, green * leaves[..., None], where=body[..., None])
    _floor(canvas, rng, base, (rng.uniform(96, 150), rng.uniform(124, 160), rng.uniform(60, 90)), "leaf", 0.13)
    return canvas


def _street(shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    wall = _color(rng, 90, 210, 12)
    canvas = _ramp(shape, wall, _darker(wall, 0.85))
    canvas *= 1 + 0.06 * noise("cloud", shape, rng)[..., None] + 0.03 * noise("weave", shape, rng)[..., None]
    base = int(shape[0] * rng.uniform(0.62, 0.85))
    _windows(canvas, rng, base)
    _floor(canvas, rng, base, _color(rng, 95, 180, 7), "weave", 0.06)
    return canvas


def _room(shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    wall = _color(rng, 130, 235, 11)
    canvas = _ramp(shape, _darker(wall, 0.92), wall)
    canvas *= 1 + 0.05 * noise("cloud", shape, rng, 2.0)[..., None]
    height, width = shape
    base = int(height * rng.uniform(0.68, 0.86))
    for _ in range(int(rng.integers(1, 5))):  # paintings, shelves, a curtain
        w, h = int(width * rng.uniform(0.1, 0.3)), int(height * rng.uniform(0.12, 0.4))
        x, y = int(rng.uniform(-0.1, 0.95) * width), int(rng.uniform(0, 0.45) * height)
        cv2.rectangle(canvas, (x - 3, y - 3), (x + w + 3, y + h + 3), _color(rng, 40, 120, 25), -1)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), _color(rng, 80, 230, 35), -1)
        inner = canvas[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)]
        if min(inner.shape[:2]) > 3:
            inner *= 1 + 0.16 * noise("cloud", (inner.shape[0], inner.shape[1]), rng, 0.4)[..., None]
    _floor(canvas, rng, base, (rng.uniform(120, 180), rng.uniform(85, 130), rng.uniform(55, 95)), "plank", 0.13)
    cv2.rectangle(canvas, (0, base - max(2, height // 60)), (width, base), _color(rng, 190, 240, 5), -1)
    return canvas


def _studio(shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    color = _color(rng, 90, 240, 10)
    canvas = _ramp(shape, _darker(color, 0.85), color)
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    canvas *= (1.08 - 0.22 * (rows**2 + columns**2)).astype(np.float32)[..., None]
    canvas *= 1 + 0.03 * noise("cloud", shape, rng, 2.0)[..., None]
    return canvas


def _brick(shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    height, width = shape
    high = max(5, int(height * rng.uniform(0.025, 0.05)))
    wide = int(2.6 * high)
    rows = np.arange(height)[:, None]
    columns = np.arange(width)[None, :] + (rows // high % 2) * (wide // 2)
    tones = rng.normal(1, 0.1, (height // high + 1, (width + wide) // wide + 1)).astype(np.float32)
    tone = tones[rows // high, columns // wide]
    brick = np.array((rng.uniform(130, 190), rng.uniform(80, 130), rng.uniform(60, 110)), np.float32)
    canvas = brick * (tone * (1 + 0.07 * noise("leaf", shape, rng)))[..., None]
    joint = (rows % high < max(1, high // 8)) | (columns % wide < max(1, high // 8))
    np.copyto(canvas, np.asarray(_color(rng, 150, 210, 6), np.float32), where=joint[..., None])
    _floor(canvas, rng, int(height * rng.uniform(0.75, 0.92)), _color(rng, 90, 160, 6), "weave", 0.06)
    return np.asarray(canvas)


KINDS: dict[str, Callable[[tuple[int, int], np.random.Generator], Painting]] = {
    "park": _park,
    "street": _street,
    "room": _room,
    "studio": _studio,
    "brick": _brick,
}

DETAIL = {"park": 0.11, "street": 0.07, "room": 0.04, "studio": 0.02, "brick": 0.1}
"""Maximum strength of the finest texture."""


def backdrop(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Painting:
    """Paint a background of ``shape`` (height, width): float32 RGB, about 0..255, out of focus by a random amount."""
    factor = min(1.0, 560 / max(shape))
    small = (max(24, int(shape[0] * factor)), max(24, int(shape[1] * factor)))
    canvas = KINDS[kind](small, rng).astype(np.float32)
    soft = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.35, 1.4)))
    large = cv2.resize(soft, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    fine = 1 + np.float32(DETAIL[kind] * rng.random()) * noise("leaf", shape, rng)
    return np.asarray(large * fine[..., None])
