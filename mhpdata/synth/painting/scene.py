"""Paint the image of a plan: backdrop, then the persons from the farthest to the nearest, then the camera.

A network can learn the labels from these images. Skin, hair, cloth and leather have distinct textures, parts have
anatomical positions, light and relief mark their borders, and the face (or hair, seen from the back) shows which way a
person faces, and so left and right. Backdrop, light, colours, cut and pose are drawn independently of the labels.

Out: uint8 (height, width, 3) RGB, or (height, width) for a gray image. Large images are painted at PAINTED pixels and
upsampled, as soft as large images usually are; masks are always drawn at full size (annotation.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.opencv import cv2
from mhpdata.synth.painting.backdrop import backdrop
from mhpdata.synth.painting.figure import figure
from mhpdata.synth.painting.shapes import Shape
from mhpdata.synth.painting.texture import TILE, noise, printed, relief
from mhpdata.synth.planning.person import Person
from mhpdata.synth.planning.plan import Plan
from mhpdata.synth.planning.wardrobe import Surface

PAINTED = 640_000  # pixels; the median image has 400,000

# Strength of each noise tile on each kind of surface: creases, strands, clouds, weave.
TEXTURE = {
    "cloth": (0.085, 0.0, 0.03, 0.025),
    "skin": (0.0, 0.0, 0.022, 0.008),
    "hair": (0.0, 0.2, 0.06, 0.0),
    "leather": (0.03, 0.0, 0.05, 0.02),
    "plain": (0.0, 0.0, 0.01, 0.0),
}
SHIFT = 4  # fractional bits of the coordinates of OpenCV's polygons


def fill(canvas: NDArray[Any], shape: Shape, origin: tuple[int, int], value: int) -> None:
    """Set the pixels of ``canvas`` (uint8) that ``shape`` covers to ``value``; ``origin``: its corner (column, row)."""
    for polygon in shape.polygons:
        points = np.round((polygon - origin) * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(canvas, [points], (value,), cv2.LINE_8, SHIFT)


def bounds(shapes: list[Shape], size: tuple[int, int], margin: int = 2) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of the shapes, clipped to an image of ``size`` (height, width)."""
    points = np.concatenate([p for s in shapes for p in s.polygons])
    left, top = (int(np.floor(n)) - margin for n in points.min(axis=0))
    right, bottom = (int(np.ceil(n)) + margin + 1 for n in points.max(axis=0))
    left, top = max(left, 0), max(top, 0)
    return left, top, max(left, min(right, size[1])), max(top, min(bottom, size[0]))


def _tables(shapes: list[Shape], surfaces: dict[str, Surface]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return tables by shape number (from 1): colour (n, 3), texture strengths (n, 4), number of the body part (n,)."""
    color = np.zeros((len(shapes) + 1, 3), np.float32)
    strength = np.zeros((len(shapes) + 1, 4), np.float32)
    part = np.zeros(len(shapes) + 1, np.uint8)
    for k, shape in enumerate(shapes, 1):
        color[k] = surfaces[shape.surface].color
        strength[k] = TEXTURE[surfaces[shape.surface].kind]
        part[k] = part[k - 1] if shape.detail else k
    return color, strength, part


def _print_patterns(
    rgb: NDArray[Any], numbers: NDArray[Any], shapes: list[Shape], person: Person, warp: NDArray[Any]
) -> None:
    for name in {s.surface for s in shapes}:
        surface = person.outfit.surfaces[name]
        if surface.pattern == "plain":
            continue
        chosen = np.zeros(len(shapes) + 1, np.uint8)
        chosen[[k for k, s in enumerate(shapes, 1) if s.surface == name]] = 1
        mask = chosen[numbers]
        x, y, w, h = cv2.boundingRect(mask)
        if not w:
            continue
        box = np.s_[y : y + h, x : x + w]
        mix = printed(surface, (h, w), person.stature, warp[box]) * mask[box]
        difference = np.asarray(surface.accent, np.float32) - np.asarray(surface.color, np.float32)
        rgb[box] += mix[..., None] * difference


def _dressed(
    person: Person, shapes: list[Shape], numbers: NDArray[Any], light: tuple[float, float], rng: np.random.Generator
) -> NDArray[Any]:
    """Return the colours of one person where ``numbers`` (shape numbers) is not 0: float32 RGB."""
    color, strength, part = _tables(shapes, person.outfit.surfaces)
    rgb = np.take(color, numbers, axis=0)
    zoom = max(0.3, person.stature / 620)
    size = (numbers.shape[0], numbers.shape[1])
    folds = noise("fold", size, rng, zoom)
    _print_patterns(rgb, numbers, shapes, person, folds)
    gain = relief(part[numbers], person.stature, light)
    fields = (folds, noise("strand", size, rng, zoom), noise("cloud", size, rng, zoom), noise("weave", size, rng))
    for k, field in enumerate(fields):
        gain *= 1 + strength[:, k][numbers] * field
    return np.asarray(rgb * gain[..., None])


def _shadow(canvas: NDArray[Any], person: Person) -> None:
    """Darken a soft patch of the ground below the feet."""
    wide, high = 0.24 * person.stature, 0.035 * person.stature
    x0, x1 = int(max(0, person.x - 2 * wide)), int(min(canvas.shape[1], person.x + 2 * wide))
    y0, y1 = int(max(0, person.ground - 2 * high)), int(min(canvas.shape[0], person.ground + 2 * high))
    if x1 <= x0 or y1 <= y0:
        return
    across = (np.arange(x0, x1, dtype=np.float32) - np.float32(person.x)) / np.float32(wide)
    down = (np.arange(y0, y1, dtype=np.float32) - np.float32(person.ground)) / np.float32(high)
    dark = np.exp(-(across**2))[None, :] * np.exp(-(down**2))[:, None]
    canvas[y0:y1, x0:x1] *= (1 - np.float32(0.45) * dark)[..., None]


def _paint_person(canvas: NDArray[Any], person: Person, light: tuple[float, float], rng: np.random.Generator) -> None:
    shapes = figure(person)
    left, top, right, bottom = bounds(shapes, (canvas.shape[0], canvas.shape[1]), margin=8)
    if right <= left or bottom <= top:
        return
    numbers = np.zeros((bottom - top, right - left), np.uint8)
    for k, shape in enumerate(shapes, 1):
        fill(numbers, shape, (left, top), k)
    box = canvas[top:bottom, left:right]
    cover = (numbers > 0).astype(np.float32)
    halo = cv2.blur(cover, (2 * int(0.012 * person.stature) + 3,) * 2)
    box *= (1 - np.float32(0.22) * halo)[..., None]  # the person's shadow on the background
    rgb = _dressed(person, shapes, numbers, light, rng)
    cv2.copyTo(rgb, numbers, box)  # 0.1 ms; np.copyto(where=) takes 3 ms


def _camera(canvas: NDArray[Any], plan: Plan, rng: np.random.Generator) -> NDArray[Any]:
    """Apply the light of the scene, the lens and the sensor: float32 canvas to uint8 image."""
    tint = np.array((1 + 0.06 * plan.warmth, 1.0, 1 - 0.08 * plan.warmth), np.float32) * np.float32(plan.contrast)
    size = (canvas.shape[0], canvas.shape[1])
    canvas = canvas * tint + np.float32(128 * (1 - plan.contrast))
    glow = cv2.resize(rng.normal(1.0, 0.07, (3, 3)).astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    canvas *= glow[..., None]
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), plan.blur))
    if (plan.height, plan.width) != size:
        canvas = np.asarray(cv2.resize(canvas, (plan.width, plan.height), interpolation=cv2.INTER_CUBIC))
    tiles = (-(-plan.height // TILE), -(-plan.width // TILE))
    grain = noise("grain", (min(plan.height, TILE), min(plan.width, TILE)), rng) * np.float32(plan.grain)
    if tiles != (1, 1):
        grain = np.tile(grain, tiles)[: plan.height, : plan.width]
    canvas += grain[..., None]
    return np.asarray(np.clip(canvas, 0, 255).astype(np.uint8))


def paint(plan: Plan, rng: np.random.Generator) -> NDArray[Any]:
    """Paint the image of ``plan``: uint8 RGB (height, width, 3), or (height, width) if ``plan.gray``."""
    factor = min(1.0, float(np.sqrt(PAINTED / (plan.height * plan.width))))
    size = (max(16, round(plan.height * factor)), max(16, round(plan.width * factor)))
    canvas = backdrop(plan.backdrop, size, rng)
    for person in plan.persons:
        small = replace(person, x=person.x * factor, ground=person.ground * factor, stature=person.stature * factor)
        _shadow(canvas, small)
        _paint_person(canvas, small, plan.light, rng)
    image = _camera(canvas, plan, rng)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) if plan.gray else image
