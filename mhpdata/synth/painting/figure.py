"""Compose a person of shapes, from the farthest to the nearest: legs, trunk, clothes, arms, bag; for the head: head.py.

Labels are LV-MHP v1's, and follow its annotation. Sleeves count as clothes and trouser legs as pants, so arm and leg
labels cover visible skin only. The neck belongs to the face; with a low neckline, neck and chest are torso skin.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mhpdata.synth.painting.body import Body
from mhpdata.synth.painting.clothes import DRESS, UPPER, around_hips, belt, neckline_skin, top, trouser_leg
from mhpdata.synth.painting.head import Head, front_hair, head_shapes, neck_shapes
from mhpdata.synth.painting.shapes import Shape, capsule, ellipse, hull, limb, round_corners
from mhpdata.synth.planning.person import Person

BAG = 16
SHOES, LEGS, ARMS = (9, 10), (12, 13), (14, 15)  # (own left, own right)


def _legs(body: Body, side: int) -> Iterator[Shape]:
    tag, size, outfit, g = "lr"[side], body.size, body.outfit, body.girth
    hip, knee, ankle, toe = (body.at(f"{n}_{tag}") for n in ("hip", "knee", "ankle", "toe"))
    calf = knee + 0.3 * (ankle - knee)
    radii = [0.054 * g * size, 0.033 * g * size, 0.033 * g * size, 0.018 * size]
    yield Shape(LEGS[side], "skin", limb([hip, knee, calf, ankle], radii))
    heel = ankle + np.array([0, 0.022 * size])
    ball = toe + np.array([0, 0.006 * size])
    foot = hull([ellipse(heel, 0.022 * size, 0.02 * size), ellipse(ball, 0.02 * size, 0.014 * size)])
    if outfit.shoe == "none":
        yield Shape(LEGS[side], "skin", (foot, capsule(ankle, heel, 0.018 * size, 0.02 * size)), tips=2)
        return
    yield Shape(SHOES[side], "sole", (foot + np.array([0, 0.007 * size]),))
    collar = capsule(ankle, heel, 0.0215 * size, 0.023 * size)
    shaft = (
        limb([knee + 0.45 * (ankle - knee), ankle], [0.036 * g * size, 0.027 * size]) if outfit.shoe == "boot" else ()
    )
    yield Shape(SHOES[side], "shoe", (foot, collar, *shaft), detail=True)


def _lower_body(body: Body) -> Iterator[Shape]:
    order = sorted((0, 1), key=lambda side: body.near(f"knee_{'lr'[side]}") + body.near(f"ankle_{'lr'[side]}"))
    for side in order:
        yield from _legs(body, side)
        if body.outfit.bottom == "pants":
            yield trouser_leg(body, side)
    yield around_hips(body)


def _trunk(body: Body) -> Iterator[Shape]:
    outfit = body.outfit
    yield from neckline_skin(body)
    over = outfit.top != "dress" and (outfit.tucked or body.person.pose.kind == "sit")
    for half in (top, _lower_body) if over else (_lower_body, top):
        yield from half(body)
    if outfit.belt and outfit.top != "jacket":
        yield from belt(body)


def _arm(body: Body, side: int) -> Iterator[Shape]:
    tag, size, outfit, g = "lr"[side], body.size, body.outfit, body.girth
    arm = body.person.pose.arms[side]
    shoulder, elbow, wrist, hand = (body.at(f"{n}_{tag}") for n in ("shoulder", "elbow", "wrist", "hand"))
    skin = (
        []
        if outfit.sleeve >= 1.9
        else list(limb([shoulder, elbow, wrist], [0.028 * g * size, 0.0215 * g * size, 0.0155 * size]))
    )
    if not arm.hidden:
        palm = wrist + 0.55 * (hand - wrist)
        thumb = palm + 0.5 * (hand - wrist)[::-1] * np.array([1, -1]) * (1 if side else -1)
        skin += [capsule(wrist, palm, 0.0145 * size, 0.0195 * size), capsule(palm, hand, 0.0195 * size, 0.012 * size)]
        skin.append(capsule(palm, palm + 0.6 * (thumb - palm), 0.009 * size, 0.007 * size))
    if skin:
        yield Shape(ARMS[side], "skin", tuple(skin), tips=0 if arm.hidden else 3)
    if outfit.sleeve > 0:
        label, surface = (DRESS, "dress") if outfit.top == "dress" else (UPPER, "top")
        loose = (0.01 if outfit.top == "jacket" else 0.006) * size
        chain = [shoulder, shoulder + min(outfit.sleeve, 1.0) * (elbow - shoulder)]
        radii = [0.029 * g * size + loose, (0.029 - 0.005 * min(outfit.sleeve, 1.0)) * g * size + loose]
        if outfit.sleeve > 1:
            chain.append(elbow + (outfit.sleeve - 1) * (wrist - elbow))
            radii.append(0.018 * g * size + loose)
        yield Shape(label, surface, limb(chain, radii))


def _bag(body: Body) -> Iterator[Shape]:
    size = body.size
    if body.outfit.bag == "hand":
        side = "l" if body.near("hand_l") >= body.near("hand_r") else "r"
        grip = body.at(f"hand_{side}")
        top, low = grip + np.array([0, 0.05 * size]), grip + np.array([0, 0.16 * size])
        across = np.array([0.055 * size, 0])
        yield Shape(BAG, "bag", limb([top - 0.7 * across, grip, top + 0.7 * across], [0.006 * size] * 3))
        box = np.array([top - across, top + across, low + 1.2 * across, low - 1.2 * across])
        yield Shape(BAG, "bag", (round_corners(box, 1),))
        return
    sign = 1.0 if body.person.build.hips > 1 else -1.0
    (high, across), (low, _) = body.trunk(0.97), body.trunk(0.08)
    start = high - sign * 0.75 * body.half(0.9) * across
    end = low + sign * (body.half(0.1) + 0.02 * size) * across
    yield Shape(BAG, "bag", (capsule(start, end, 0.008 * size, 0.008 * size),))
    w = np.array([0.055 * size, 0.0])
    h = np.array([0.0, 0.085 * size])
    yield Shape(BAG, "bag", (round_corners(np.array([end - w, end + w, end + w + h, end - w + h]), 1),))


def figure(person: Person) -> list[Shape]:
    """Return the shapes of ``person`` in painting order, with polygons in pixels of its scene."""
    body = Body(person)
    head = Head(body.at("head"), person)
    depth = {side: body.near(f"elbow_{'lr'[side]}") + body.near(f"wrist_{'lr'[side]}") for side in (0, 1)}
    sides = sorted((0, 1), key=depth.__getitem__)
    behind = [side for side in sides if depth[side] < -0.05]
    shapes: list[Shape] = list(head.back_hair())
    for side in behind:
        shapes += _arm(body, side)
    shapes += _trunk(body)
    if person.outfit.bag == "cross":
        shapes += _bag(body)
    shapes += neck_shapes(head, body.trunk(1.0)[0], body.trunk(0.9)[0])
    shapes += head_shapes(head)
    shapes += front_hair(head)
    for side in sides:
        if side not in behind:
            shapes += _arm(body, side)
    if person.outfit.bag == "hand":
        shapes += _bag(body)
    return shapes
