"""Where the persons of a picture stand: side by side and overlapping, in one row or two, whole or cut by the frame.

Rule: a place is found from the joints alone. Neighbours stand closer than they are wide, so that their boxes overlap in
all but APART of the pictures, yet far enough apart that a nearer one does not hide a face; who is small is near.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from mhpdata.synth.planning.draw import pick, within
from mhpdata.synth.planning.person import Person
from mhpdata.synth.planning.skeleton import reach

APART = 0.06
"""Share of the pictures whose persons stand clear of each other."""

FRAMINGS = {1.0: 0.68, 0.74: 0.18, 0.56: 0.12, 0.4: 0.02}
"""Share of the body that is in the picture, from the top down, and how often."""

CHILDREN = 0.07


def _gaps(rng: np.random.Generator, reaches: list[tuple[float, float]], apart: bool) -> list[float]:
    """Distance from each person to the one on its left, as a share of the stature."""
    gaps = [0.0]
    for left, right in itertools.pairwise(reaches):
        clear = left[1] - right[0]
        if apart:
            gaps.append(clear + float(rng.uniform(0.03, 0.2)))
        else:
            gaps.append(within(rng.uniform(0.2, 0.34), 0.17, max(0.17, 0.78 * clear)))
    return gaps


def _stand(rng: np.random.Generator, person: Person, x: float, ground: float, stature: float, share: float) -> Person:
    """Put one person at column ``x``; ``ground`` and ``stature`` are those of an average adult of the row."""
    child, sits = rng.random() < CHILDREN and share > 0.5, person.pose.kind == "sit"
    tall = float(rng.uniform(0.62, 0.78)) if child else within(rng.normal(1.0, 0.04), 0.88, 1.1)
    near = float(rng.random()) + (2.0 if child or sits else 0.0)
    if share == 1:
        ground += (0.02 * near if near < 2 else 0.03) * stature
    else:  # in a close-up nobody's head is far below the others'
        lower = stature * (1 - tall * (0.76 if sits else 1.0))
        ground -= max(0.0, lower - float(rng.uniform(0, 0.1)) * stature)
    build = replace(person.build, head=person.build.head * (1.2 if child else 1.0))
    return replace(person, build=build, x=x, ground=ground, stature=stature * tall, depth=near)


def _ground(rng: np.random.Generator, height: int, stature: float, share: float) -> float:
    """The row of the ground: below the picture unless the whole body is in it."""
    top = height * float(rng.uniform(0.03, 0.1))
    slack = max(0.0, height - top - stature * share)
    if share == 1:
        return top + stature + slack * float(rng.uniform(0.3, 0.9))
    return max(top + stature, height + stature * (1 - share) - 0.1 * slack)


def _front_row(rng: np.random.Generator, persons: list[Person], size: tuple[int, int], share: float) -> list[Person]:
    """One row of persons, left to right, as large as the picture allows."""
    height, width = size
    reaches = [reach(person) for person in persons]
    at = list(itertools.accumulate(_gaps(rng, reaches, apart=rng.random() < APART)))
    span = at[-1] + reaches[-1][1] - reaches[0][0]
    cut = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.85, 0.97))  # outer persons may leave the picture
    stature = min(height * float(rng.uniform(0.78, 0.93)) / share, width / (span * cut))
    ground = _ground(rng, height, stature, share)
    start = (width - span * stature) * float(rng.uniform(0.25, 0.75)) - reaches[0][0] * stature
    return [_stand(rng, p, start + x * stature, ground, stature, share) for p, x in zip(persons, at, strict=True)]


def _back_row(rng: np.random.Generator, persons: list[Person], front: list[Person]) -> list[Person]:
    """A second row on a step, in the gaps of the first."""
    step = (front[-1].x - front[0].x) / max(1, len(front) - 1)
    tall = float(np.mean([p.stature for p in front]))
    return [
        replace(
            person,
            x=front[0].x + (k + 0.5) * step,
            ground=front[0].ground - 0.2 * tall,
            stature=tall * float(rng.uniform(0.9, 1.0)),
            depth=-1.0 - float(rng.random()),
        )
        for k, person in enumerate(persons)
    ]


def place(rng: np.random.Generator, persons: list[Person], size: tuple[int, int]) -> list[Person]:
    """Give every person a place.

    Args:
        rng: the image's own generator.
        persons: without a place yet.
        size: (height, width) of the picture, pixels.

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
