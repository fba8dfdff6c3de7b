"""Dress the trunk and the legs: tops, trousers, skirts, dresses and belts, fitted to a body.

Labels are LV-MHP v1's. A dress is a bodice and a skirt of one label; torso skin shows in a low neckline and below a
crop top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mhpdata.synth.painting.body import Body
from mhpdata.synth.painting.shapes import Points, Shape, ellipse, hull, limb, round_corners

UPPER, SKIRT, PANTS, DRESS, BELT, TORSO = 4, 5, 6, 7, 8, 18


def trouser_leg(body: Body, side: int) -> Shape:
    """Return one leg of trousers or shorts."""
    tag, size, g, length = "lr"[side], body.size, body.girth, body.outfit.length
    hip, knee, ankle = (body.at(f"{n}_{tag}") for n in ("hip", "knee", "ankle"))
    loose = 0.006 * size * body.outfit.flare
    chain, radii = [hip], [0.058 * g * size + loose]
    if length <= 1:
        chain.append(hip + length * (knee - hip))
        radii.append((0.058 - 0.02 * length) * g * size + 1.6 * loose)
    else:
        chain += [knee, knee + (length - 1) * (ankle - knee)]
        radii += [0.037 * g * size + loose, (0.037 - 0.012 * (length - 1)) * g * size + 1.2 * loose]
    return Shape(PANTS, "pants", limb(chain, radii))


def _pelvis(body: Body, label: int, surface: str) -> Shape:
    left, right = body.band((0.27, 0.1, -0.08), 0.002)
    crotch = [(body.at("hip_l") + body.at("hip_r")) / 2 + np.array([0, 0.05 * body.size])]
    ring = np.concatenate([left, np.array(crotch), right[::-1]])
    return Shape(label, surface, (round_corners(ring, 1),), detail=True)  # continues the cloth of the nearer leg


def _skirt(body: Body, label: int, surface: str) -> Shape:
    """Return the convex hull of the hips and of both legs down to the hem, which fits any pose."""
    size, length = body.size, body.outfit.length
    outlines = list(body.band((0.3, 0.1, -0.05), 0.006))
    for tag in "lr":
        hip, knee, ankle = (body.at(f"{n}_{tag}") for n in ("hip", "knee", "ankle"))
        for t in (min(length, 1.0), length):
            point = hip + t * (knee - hip) if t <= 1 else knee + (t - 1) * (ankle - knee)
            radius = (0.05 + 0.022 * body.outfit.flare * t) * size
            outlines.append(ellipse(point, radius, radius * 0.55))
    return Shape(label, surface, (hull(outlines),))


def _neckline(body: Body, depth: float) -> Points:
    center, across = body.trunk(1.0 - depth)
    return np.array([center + k * 0.018 * body.size * across for k in (1.0, 0.0, -1.0)])


def _shirt(body: Body, label: int, surface: str, hem: float, shoulder: float, depth: float, loose: float) -> Shape:
    """Return a top from the neck to the hem; ``shoulder`` widens (sleeves) or narrows (straps) its upper corners."""
    left, right = body.band((1.04, 0.92, 0.76, 0.4, 0.12, hem + 0.03, hem), loose)
    for outline, sign in ((left, -1.0), (right, 1.0)):
        center, across = body.trunk(1.04)
        outline[0] = center + sign * (0.034 if shoulder > 0 else 0.045) * body.size * across
        outline[1] += sign * shoulder * body.size * across
    ring = np.concatenate([left, right[::-1], _neckline(body, depth)])
    return Shape(label, surface, (round_corners(ring),))


def _buttons(body: Body, label: int, depth: float) -> Iterator[Shape]:
    """Yield the open front of a jacket with the shirt under it."""
    if body.behind:
        return
    top, across = body.trunk(1 - depth * 0.3)
    low, _ = body.trunk(-0.26)
    wide = 0.022 * body.size * across
    panel = np.array([top - wide, top + wide, low + 1.4 * wide, low - 1.4 * wide])
    yield Shape(label, "inner", (panel,), detail=True)


def top(body: Body) -> Iterator[Shape]:
    """Yield a shirt, jacket, tank top, crop top or the upper half of a dress, without sleeves."""
    outfit = body.outfit
    depth = 0.0 if body.behind else 0.26 if outfit.low_neck else 0.1
    shoulder = 0.016 if outfit.sleeve > 0 else -0.012
    if outfit.top == "dress":
        yield replace(_shirt(body, DRESS, "dress", 0.1, shoulder, depth, 0.002), detail=True)  # continues the skirt
        return
    hem = {"crop": 0.46, "jacket": -0.28}.get(outfit.top, 0.16 if outfit.tucked else -0.16)
    if outfit.top == "crop":
        yield Shape(
            TORSO, "skin", (np.concatenate([*(b[:: 1 - 2 * k] for k, b in enumerate(body.band((0.6, 0.2), 0)))]),)
        )
    yield _shirt(body, UPPER, "top", hem, shoulder, depth, 0.012 if outfit.top == "jacket" else 0.005)
    if outfit.top == "jacket" and outfit.bottom != "dress":
        yield from _buttons(body, UPPER, depth)


def belt(body: Body) -> Iterator[Shape]:
    """Yield a belt, and its buckle in front."""
    low, high = (0.2, 0.27) if body.outfit.bottom != "dress" else (0.36, 0.42)
    left, right = body.band((high, low), 0.007)
    yield Shape(BELT, "belt", (np.concatenate([left, right[::-1]]),))
    if not body.behind:
        center, _ = body.trunk((low + high) / 2)
        yield Shape(BELT, "buckle", (ellipse(center, 0.011 * body.size, 0.009 * body.size),), detail=True)


def neckline_skin(body: Body) -> Iterator[Shape]:
    """Yield the chest in a low neckline, which is painted before the top."""
    if body.outfit.low_neck and not body.behind:
        left, right = body.band((1.0, 0.9, 0.6), -0.012)
        yield Shape(TORSO, "skin", (np.concatenate([left, right[::-1]]),))


def around_hips(body: Body) -> Shape:
    """Return the shape that joins the legs: the seat of trousers, or a skirt down to its hem."""
    kind = body.outfit.bottom
    if kind == "pants":
        return _pelvis(body, PANTS, "pants")
    return _skirt(body, DRESS if kind == "dress" else SKIRT, kind)
