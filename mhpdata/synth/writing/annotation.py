"""Draw the masks of a plan, one per person, as if annotated independently of each other.

An annotated outline deviates from the true one by about a pixel, and the edge towards a nearer person does not match
that person's mask. Where two persons meet, some pixels therefore belong to both masks (overlapping), others to none. As
in the real data, overlapping pixels are rare (about 1 in 1000), and conflicting labels are rarer.

Out: uint8 (height, width) label maps of one dataset's classes (synth.vocabulary), in the order of the files (ii = 01,
02, ...): usually from left to right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.opencv import cv2
from mhpdata.synth.painting.figure import figure
from mhpdata.synth.painting.scene import bounds, fill
from mhpdata.synth.painting.shapes import Shape, subdivide
from mhpdata.synth.planning.plan import Plan
from mhpdata.synth.writing.vocabulary import VOCABULARIES, Name

WANDER = 1.15  # standard deviation of an outline, in pixels, at the median stature
STRAY = 1.5  # standard deviation of the edge towards a nearer person, in pixels
AGREE = 0.96  # probability that conflicting labels at a border are resolved


def _jittered(shapes: list[Shape], stature: float, rng: np.random.Generator) -> list[Shape]:
    """Return the shapes with every outline point moved by a smooth random field."""
    amount = WANDER * float(np.clip(stature / 500, 0.4, 1.4))
    cell = max(3.0, 0.008 * stature)
    field = rng.standard_normal((64, 64, 2)) * amount

    def moved(polygon: NDArray[Any]) -> NDArray[Any]:
        fine = subdivide(polygon, cell)
        at = np.floor(fine / cell).astype(int) % 64
        return np.asarray(fine + field[at[:, 1], at[:, 0]])

    return [replace(shape, polygons=tuple(moved(p) for p in shape.polygons)) for shape in shapes]


def _outlined(plan: Plan, rng: np.random.Generator, name: Name) -> list[NDArray[Any]]:
    """Return every person's complete label map, before neighbours hide some of it."""
    whole = []
    for person in plan.persons:
        shapes = _jittered(figure(person), person.stature, rng)
        labels = np.zeros((plan.height, plan.width), np.uint8)
        left, top, right, bottom = bounds(shapes, (plan.height, plan.width), margin=1)
        box = labels[top:bottom, left:right]
        if box.size:
            drawn = np.zeros(box.shape, np.uint8)
            for shape in shapes:
                for polygons, label in name(shape, person.outfit):
                    fill(drawn, replace(shape, polygons=polygons), (left, top), label)
            box[...] = drawn
        whole.append(labels)
    return whole


def _hide(labels: NDArray[Any], nearer: NDArray[Any], rng: np.random.Generator, sided: tuple[int, ...]) -> None:
    """Remove the pixels that nearer persons hide, with a border that is off by a pixel or two.

    Args:
        labels: uint8 (height, width), label map of the person; changed.
        nearer: uint8 (height, width), merged labels of the persons in front.
        rng: Random generator.
        sided: Labels of the left or right side of the body.
    """
    x, y, w, h = cv2.boundingRect(labels)
    if not w:
        return
    mine, front = labels[y : y + h, x : x + w], nearer[y : y + h, x : x + w]
    right, down = rng.normal(0, STRAY, 2).round().tolist()
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    seen = cv2.warpAffine(
        (front > 0).astype(np.uint8), shift, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    mine[seen > 0] = 0
    conflict = (mine > 0) & (front > 0) & (mine != front)
    if conflict.any():
        cells = (rng.random((h // 8 + 1, w // 8 + 1)) < AGREE).astype(np.uint8)
        agreed = cv2.resize(cells, ((w // 8 + 1) * 8, (h // 8 + 1) * 8), interpolation=cv2.INTER_NEAREST)[:h, :w]
        conflict &= agreed > 0
        shared = np.isin(front, np.setdiff1d(np.unique(mine), sided)) & conflict
        mine[conflict] = 0
        mine[shared] = front[shared]


def annotate(plan: Plan, rng: np.random.Generator, layout: str = "mhp-v1") -> list[NDArray[Any]]:
    """Return the masks of all persons of ``plan``, uint8 (height, width), in file order, with ``layout``'s classes."""
    name, labels_of = VOCABULARIES[layout]
    sided = tuple(label for pair in labels_of.flip_pairs for label in pair)
    whole = _outlined(plan, rng, name)
    nearer = np.zeros((plan.height, plan.width), np.uint8)
    for labels in reversed(whole):
        _hide(labels, nearer, rng, sided)
        np.copyto(nearer, labels, where=nearer == 0)
    order = np.argsort([p.x for p in plan.persons], kind="stable")
    if rng.random() < 0.2:
        order = rng.permutation(order)
    return [whole[k] for k in order]
