"""Draw the head: hair, neck, face with its features, hat, sunglasses, scarf.

Coordinates are relative to the head: u to the right of the image, v down, both -1..1 across the skull. Turning the head
moves the face towards one side and shows hair on the other; seen from the back, hair replaces the face.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mhpdata.synth.painting.clothes import TORSO
from mhpdata.synth.painting.shapes import Points, Shape, capsule, ellipse, hull, round_corners
from mhpdata.synth.planning.person import Person

HAT, HAIR, SUNGLASSES, FACE, SCARF = 1, 2, 3, 11, 17

# The outline of a face seen from the front: (u, v) from the left temple over the chin to the right temple.
OUTLINE = np.array(
    [(-0.9, -0.5), (-0.97, -0.1), (-0.93, 0.3), (-0.72, 0.72), (-0.3, 1.0), (0.3, 1.0), (0.72, 0.72), (0.93, 0.3),
     (0.97, -0.1), (0.9, -0.5)]
)  # fmt: skip


class Head:
    """Position, size and orientation of a head."""

    def __init__(self, center: Points, person: Person) -> None:
        self.person = person
        self.outfit = person.outfit
        self.center = center
        self.size = person.stature
        self.rx = 0.046 * person.build.head * self.size
        self.ry = 0.064 * person.build.head * self.size
        self.behind = person.pose.behind
        self.turn = 0.0 if self.behind else float(np.sin(np.radians(person.pose.yaw + person.pose.head_turn)))
        tilt = np.radians(person.pose.tilt) * (1 if not self.behind else -1)
        self.axes = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

    def put(self, uv: Points) -> Points:
        """Convert points from the head's coordinates to the image."""
        return np.asarray(self.center + (np.asarray(uv, np.float64) * (self.rx, self.ry)) @ self.axes)

    def on_face(self, uv: Points) -> Points:
        """Convert points on a face seen from the front to the image, moved by the turn of the head."""
        uv = np.array(uv, np.float64)
        uv[:, 0] = uv[:, 0] * (1 - 0.38 * abs(self.turn)) + 0.42 * self.turn
        return self.put(uv)

    def spot(self, u: float, v: float, ru: float, rv: float) -> Points:
        """Return an ellipse on the face."""
        return self.on_face(ellipse(np.array([u, v]), ru, rv))

    def back_hair(self) -> Iterator[Shape]:
        """Yield hair that hangs down the back, which is painted before the trunk."""
        length = {"long": 2.6, "bob": 1.15}.get(self.outfit.hair, 0.0)
        if length and not self.behind:
            sides = [(-1.12, -0.3), (-1.25, 0.5), (-1.3, length), (1.3, length), (1.25, 0.5), (1.12, -0.3)]
            yield Shape(HAIR, "hair", (round_corners(self.put(np.array(sides))),))


def neck_shapes(head: Head, base: Points, chest: Points) -> Iterator[Shape]:
    """Yield the neck (labelled torso skin with a low neckline, else face) and a scarf around it."""
    if not head.behind or head.outfit.hair in ("short", "bald", "bun"):
        label = TORSO if head.outfit.low_neck and not head.behind else FACE
        root = base if head.outfit.low_neck or head.behind else base + 0.5 * (chest - base)
        yield Shape(
            label, "skin", (capsule(head.center + 0.4 * (base - head.center), root, 0.6 * head.rx, 0.7 * head.rx),)
        )
    if head.outfit.scarf:
        wide = np.array([0.062 * head.size, 0])
        ring = capsule(base - wide * 0.7, base + wide * 0.7, 0.026 * head.size, 0.026 * head.size)
        tail = capsule(base, chest + 1.6 * (chest - base) + 0.3 * wide, 0.02 * head.size, 0.026 * head.size)
        yield Shape(SCARF, "scarf", (ring, tail))


def head_shapes(head: Head) -> Iterator[Shape]:
    """Yield skull, hair, face, features, hat and sunglasses, in painting order."""
    bald = head.outfit.hair == "bald"
    if head.behind:
        yield Shape(FACE if bald else HAIR, "skin" if bald else "hair", (head.put(ellipse(np.zeros(2), 1.03, 1.02)),))
        yield from _hat(head)
        return
    for sign in (-1, 1):  # the ear on the far side of a turned head is hidden
        if sign * head.turn < 0.35 and head.outfit.hair in ("short", "bald", "bun", "tail"):
            yield Shape(FACE, "skin", (head.put(ellipse(np.array([sign * 1.0, 0.1]), 0.13, 0.2)),))
    if bald:
        yield Shape(FACE, "skin", (head.put(ellipse(np.array([0, -0.15]), 0.97, 0.88)),))
    else:
        low = {"short": 0.12, "bun": 0.0, "tail": 0.05}.get(head.outfit.hair, 0.75)
        cap = ellipse(np.array([0.0, -0.22]), 1.1, 0.97)
        cap[:, 1] = np.minimum(cap[:, 1], low)
        yield Shape(HAIR, "hair", (head.put(cap),))
        if head.outfit.hair == "bun":
            yield Shape(HAIR, "hair", (head.put(ellipse(np.array([-0.4 * head.turn, -1.25]), 0.5, 0.35)),))
    yield Shape(FACE, "skin", (round_corners(head.on_face(OUTLINE)),), detail=bald)
    yield from _features(head)
    if not bald and head.outfit.hair != "short":
        yield from _fringe(head)
    yield from _sunglasses(head)
    yield from _hat(head)


def _features(head: Head) -> Iterator[Shape]:
    for sign in (-1, 1):
        u = 0.42 * sign
        yield Shape(FACE, "shade", (head.spot(u, 0.0, 0.25, 0.12),), detail=True)
        yield Shape(FACE, "white", (head.spot(u, 0.02, 0.17, 0.065),), detail=True)
        yield Shape(FACE, "iris", (head.spot(u + 0.05 * head.turn, 0.015, 0.075, 0.07),), detail=True)
        brow = head.on_face(np.array([(u - 0.24, -0.16), (u, -0.23), (u + 0.24, -0.16), (u, -0.17)]))
        yield Shape(FACE, "brow", (brow,), detail=True)
    nose = np.array([(0.0, 0.05), (0.17 + 0.15 * head.turn, 0.42), (0.0, 0.47), (-0.17 + 0.15 * head.turn, 0.42)])
    yield Shape(FACE, "shade", (head.on_face(nose[1:]),), detail=True)
    yield Shape(FACE, "lips", (head.spot(0.0, 0.66, 0.3, 0.075),), detail=True)
    if head.person.pose.tilt > 0:  # a smile
        yield Shape(FACE, "white", (head.spot(0.0, 0.66, 0.2, 0.03),), detail=True)


def _fringe(head: Head) -> Iterator[Shape]:
    side = 1 if head.person.pose.head_turn > 0 else -1
    lock = np.array([(-0.15 * side, -0.72), (-0.75 * side, -0.5), (-1.0 * side, 0.1), (-1.08 * side, -0.6)])
    yield Shape(HAIR, "hair", (round_corners(head.on_face(lock), 1),))


def _sunglasses(head: Head) -> Iterator[Shape]:
    if not head.outfit.sunglasses:
        return
    lenses = tuple(head.spot(0.44 * sign, 0.04, 0.34, 0.2) for sign in (-1, 1))
    bar = head.on_face(np.array([(-0.98, -0.1), (0.98, -0.1), (0.98, -0.03), (-0.98, -0.03)]))
    yield Shape(SUNGLASSES, "glass", (*lenses, bar))
    for sign in (-1, 1):
        yield Shape(SUNGLASSES, "glint", (head.spot(0.44 * sign - 0.08, -0.03, 0.1, 0.05),), detail=True)


def _hat(head: Head) -> Iterator[Shape]:
    kind = head.outfit.hat
    if not kind:
        return
    low = -0.32 if kind == "beanie" else -0.42
    crown = np.array([(-1.1, low), (-1.08, -0.95), (-0.6, -1.38), (0.6, -1.38), (1.08, -0.95), (1.1, low)])
    polygons = [round_corners(head.put(crown), 1)]
    if kind == "brim":
        polygons.append(head.put(ellipse(np.array([0.0, low]), 1.95, 0.2)))
    elif kind == "cap" and not head.behind:
        visor = np.array(
            [(-0.85, low), (0.85, low), (0.7 + 0.8 * head.turn, low + 0.24), (-0.7 + 0.8 * head.turn, low + 0.24)]
        )
        polygons.append(round_corners(head.put(visor), 1))
    yield Shape(HAT, "hat", tuple(polygons))


def front_hair(head: Head) -> Iterator[Shape]:
    """Yield hair over the trunk: long hair and tails seen from the back; strands over the shoulders from the front."""
    kind = head.outfit.hair
    if head.behind and kind in ("long", "bob", "tail"):
        length, wide = {"long": (2.5, 1.15), "bob": (1.2, 1.15), "tail": (2.1, 0.42)}[kind]
        yield Shape(HAIR, "hair", (hull([head.put(ellipse(np.zeros(2), wide, 0.8)),
                                         head.put(ellipse(np.array([0.0, length]), wide * 0.8, 0.25))]),))  # fmt: skip
    elif kind == "long" and head.person.pose.lean > 0:
        for sign in (-1, 1):
            strand = [
                (sign * 1.12, -0.2),
                (sign * 1.2, 0.7),
                (sign * 1.15, 2.2),
                (sign * 0.75, 2.3),
                (sign * 0.85, 0.6),
            ]
            yield Shape(HAIR, "hair", (round_corners(head.put(np.array(strand))),))
