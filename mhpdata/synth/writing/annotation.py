"""The masks of a plan, one a person, as if each had been annotated by someone who did not see the others' masks.

Rule: an annotator's outline wanders about the true one by a pixel or so, and the edge towards a nearer person is drawn
without knowing that person's mask. So where two persons meet, some pixels belong to both masks (contested) and some to
none; as in the real data contested pixels are rare (about 1 in 1000), and those with two different labels rarer.

Out: uint8 (height, width) label maps of one dataset's classes (synth.vocabulary), in the order of the files (ii = 01,
02, ...): left to right, mostly.
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

WANDER = 1.15  # pixels an outline strays, one deviation, at the median stature
STRAY = 1.5  # pixels by which the edge towards a nearer person is off, one deviation
AGREE = 0.96  # chance that two annotators end up agreeing where their labels for a border differ


def _jittered(shapes: list[Shape], stature: float, rng: np.random.Generator) -> list[Shape]:
    """The shapes with every outline point moved by a smooth random field."""
    amount = WANDER * float(np.clip(stature / 500, 0.4, 1.4))
    cell = max(3.0, 0.008 * stature)
    field = rng.standard_normal((64, 64, 2)) * amount

    def moved(polygon: NDArray[Any]) -> NDArray[Any]:
        fine = subdivide(polygon, cell)
        at = np.floor(fine / cell).astype(int) % 64
        return np.asarray(fine + field[at[:, 1], at[:, 0]])

    return [replace(shape, polygons=tuple(moved(p) for p in shape.polygons)) for shape in shapes]


def _outlined(plan: Plan, rng: np.random.Generator, name: Name) -> list[NDArray[Any]]:
    """Every person's whole label map, before any neighbour hides a part of it."""
    whole = []
    for person in plan.persons:
        shapes = _jittered(figure(person), person.stature, rng)
        labels = np.zeros((plan.height, plan.width), np.uint8)
        left, top, right, bottom = bounds(shapes, (plan.height, plan.width), margin=1)
        box = labels[top:bottom, left:right]
        if box.size:
            part = np.zeros(box.shape, np.uint8)
            for shape in shapes:
                for polygons, label in name(shape, person.outfit):
                    fill(part, replace(shape, polygons=polygons), (left, top), label)
            box[...] = part
        whole.append(labels)
    return whole


def _hide(labels: NDArray[Any], nearer: NDArray[Any], rng: np.random.Generator, sided: tuple[int, ...]) -> None:
    """Remove what ``nearer`` (merged labels of the persons in front) hides, with the border a pixel or two off.

    ``sided``: labels of one side of the body.
    """
    x, y, w, h = cv2.boundingRect(labels)
    if not w:
        return
    mine, front = labels[y : y + h, x : x + w], nearer[y : y + h, x : x + w]
    right, down = rng.normal(0, STRAY, 2).round().tolist()
    step = np.array([[1, 0, right], [0, 1, down]], np.float32)
    seen = cv2.warpAffine(
        (front > 0).astype(np.uint8), step, (w, h), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
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
    """The masks of all persons of ``plan``, uint8 (height, width), in file order, with the classes of ``layout``."""
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
