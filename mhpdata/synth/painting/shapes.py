"""Build the closed polygons of a figure.

A shape is painted over the shapes before it, so a figure is a list in painting order. Points are float64 (n, 2) of
column, row in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[Any]


@dataclass(frozen=True)
class Shape:
    """Polygons of one label and one surface.

    A ``detail`` (an eye, a button) lies flat on the shape before it. The last ``tips`` polygons of an arm are its hand,
    those of a leg its foot.
    """

    label: int
    surface: str
    polygons: tuple[Points, ...]
    detail: bool = False
    tips: int = 0


_TURN = np.linspace(0, 2 * np.pi, 17)[:-1]
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def ellipse(center: Points, rx: float, ry: float, angle: float = 0.0) -> Points:
    """Return an ellipse of 16 corners, rotated by ``angle`` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(center + (_CIRCLE * (rx, ry)) @ np.array([[c, s], [-s, c]]))


def capsule(start: Points, end: Points, r0: float, r1: float) -> Points:
    """Return the outline of a bone: two joined round ends of radius r0 and r1."""
    angle = np.arctan2(end[1] - start[1], end[0] - start[0])
    half = np.linspace(-np.pi / 2, np.pi / 2, 8) + angle
    arc = np.stack([np.cos(half), np.sin(half)], axis=1)
    return np.concatenate([end + r1 * arc, start - r0 * arc])


def limb(points: list[Points], radii: list[float]) -> tuple[Points, ...]:
    """Return capsules along a chain of joints, which overlap at the joints, so bends leave no holes."""
    pairs = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return tuple(capsule(a, b, r0, r1) for a, b, r0, r1 in pairs)


def hull(sets: list[Points]) -> Points:
    """Return the convex hull (monotone chain) of several point sets."""
    points = np.concatenate(sets)
    order = points[np.lexsort((points[:, 1], points[:, 0]))].tolist()

    def chain(sequence: list[list[float]]) -> list[list[float]]:
        out: list[list[float]] = []
        for p in sequence:
            while len(out) > 1 and (
                (out[-1][0] - out[-2][0]) * (p[1] - out[-2][1]) <= (out[-1][1] - out[-2][1]) * (p[0] - out[-2][0])
            ):
                out.pop()
            out.append(p)
        return out[:-1]

    return np.array(chain(order) + chain(order[::-1]))


def round_corners(points: Points, times: int = 2) -> Points:
    """Round corners by Chaikin's algorithm: each pass replaces a corner by two points a quarter of an edge away."""
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return points


def subdivide(points: Points, longest: float) -> Points:
    """Add points so that no edge is longer than ``longest`` pixels; jitter then bends an edge instead of tilting it."""
    after = np.roll(points, -1, axis=0)
    pieces = np.maximum(1, np.ceil(np.linalg.norm(after - points, axis=1) / longest)).astype(int)
    start = np.repeat(np.arange(len(points)), pieces)
    nth = np.arange(len(start)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    t = (nth / pieces[start])[:, None]
    return np.asarray(points[start] * (1 - t) + after[start] * t)
