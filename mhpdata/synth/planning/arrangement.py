"""Arrange the persons of an image: side by side and overlapping, in one row or two, whole or cut by the frame.

The rule: positions depend on the joints only. Except in a share APART of the images, neighbours stand closer than they
are wide, so their boxes overlap, but far enough apart that a nearer person does not hide a face. Small persons are
near.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from mhpdata.synth.planning.draw import pick, within
from mhpdata.synth.planning.person import Person
from mhpdata.synth.planning.skeleton import reach

APART = 0.06
"""Share of the images whose persons do not overlap."""

FRAMINGS = {1.0: 0.68, 0.74: 0.18, 0.56: 0.12, 0.4: 0.02}
"""Share of the body that the image shows, from the top down: probability."""

CHILDREN = 0.07


def _gaps(rng: np.random.Generator, reaches: list[tuple[float, float]], apart: bool) -> list[float]:
    """Return the distance of each person to its left neighbour, as a share of the stature."""
    gaps = [0.0]
    for left, right in itertools.pairwise(reaches):
        clear = left[1] - right[0]
        if apart:
            gaps.append(clear + float(rng.uniform(0.03, 0.2)))
        else:
            gaps.append(within(rng.uniform(0.2, 0.34), 0.17, max(0.17, 0.78 * clear)))
    return gaps


def _stand(rng: np.random.Generator, person: Person, x: float, ground: float, stature: float, share: float) -> Person:
    """Position one person at column ``x``; ``ground`` and ``stature`` are those of an average adult in the row."""
    child, sits = rng.random() < CHILDREN and share > 0.5, person.pose.kind == "sit"
    tall = float(rng.uniform(0.62, 0.78)) if child else within(rng.normal(1.0, 0.04), 0.88, 1.1)
    near = float(rng.random()) + (2.0 if child or sits else 0.0)
    if share == 1:
        ground += (0.02 * near if near < 2 else 0.03) * stature
    else:  # in a close-up, heads are at similar heights
        lower = stature * (1 - tall * (0.76 if sits else 1.0))
        ground -= max(0.0, lower - float(rng.uniform(0, 0.1)) * stature)
    build = replace(person.build, head=person.build.head * (1.2 if child else 1.0))
    return replace(person, build=build, x=x, ground=ground, stature=stature * tall, depth=near)


def _ground(rng: np.random.Generator, height: int, stature: float, share: float) -> float:
    """Draw the row of the ground, which is below the image unless the image shows the whole body."""
    top = height * float(rng.uniform(0.03, 0.1))
    slack = max(0.0, height - top - stature * share)
    if share == 1:
        return top + stature + slack * float(rng.uniform(0.3, 0.9))
    return max(top + stature, height + stature * (1 - share) - 0.1 * slack)


def _front_row(rng: np.random.Generator, persons: list[Person], size: tuple[int, int], share: float) -> list[Person]:
    """Arrange one row of persons, left to right, as large as the image allows."""
    height, width = size
    reaches = [reach(person) for person in persons]
    at = list(itertools.accumulate(_gaps(rng, reaches, apart=rng.random() < APART)))
    span = at[-1] + reaches[-1][1] - reaches[0][0]
    cut = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.85, 0.97))  # the frame may cut the outer persons
    stature = min(height * float(rng.uniform(0.78, 0.93)) / share, width / (span * cut))
    ground = _ground(rng, height, stature, share)
    start = (width - span * stature) * float(rng.uniform(0.25, 0.75)) - reaches[0][0] * stature
    return [_stand(rng, p, start + x * stature, ground, stature, share) for p, x in zip(persons, at, strict=True)]


def _back_row(rng: np.random.Generator, persons: list[Person], front: list[Person]) -> list[Person]:
    """Arrange a second, higher row in the gaps of the first."""
    spacing = (front[-1].x - front[0].x) / max(1, len(front) - 1)
    tall = float(np.mean([p.stature for p in front]))
    return [
        replace(
            person,
            x=front[0].x + (k + 0.5) * spacing,
            ground=front[0].ground - 0.2 * tall,
            stature=tall * float(rng.uniform(0.9, 1.0)),
            depth=-1.0 - float(rng.random()),
        )
        for k, person in enumerate(persons)
    ]


def arrange(rng: np.random.Generator, persons: list[Person], size: tuple[int, int]) -> list[Person]:
    """Position every person in the image.

    Args:
        rng: Random generator of the image.
        persons: Persons to position.
        size: (height, width) of the image, in pixels.

    Returns:
        The persons in painting order, the farthest first.
    """
    share = pick(rng, FRAMINGS)
    many = len(persons) > 6 or (len(persons) > 4 and rng.random() < 0.5)
    behind = len(persons) // 2 if many else 0
    rows = _front_row(rng, persons[behind:], size, share)
    if behind:
        rows = _back_row(rng, persons[:behind], rows) + rows
        down = 0.09 * rows[-1].stature if share == 1 else 0.0
        rows = [replace(p, ground=p.ground + down) for p in rows]
    return sorted(rows, key=lambda p: p.depth)
