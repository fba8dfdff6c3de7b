"""Plan one image as numbers, without pixels: size, positioned persons, backdrop, light, camera.

The rule: plan(seed, index) depends on its two arguments only, so images can be made in any order, by any number of
processes, and keep their bytes if more are requested. The distributions are those of LV-MHP v1 (sizes, persons per
image, JPEG quality); a plan takes a few milliseconds, so tests can check thousands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mhpdata.synth.planning.arrangement import arrange
from mhpdata.synth.planning.draw import pick, within
from mhpdata.synth.planning.person import Person, draw_person

COUNTS = {2: 0.619, 3: 0.114, 4: 0.082, 5: 0.109, 6: 0.031, 7: 0.017, 8: 0.010, 9: 0.006, 10: 0.004, 11: 0.003,
          12: 0.002, 13: 0.001, 14: 0.001, 15: 0.0005, 16: 0.0005}  # fmt: skip
"""Probability of each number of persons; the mean is 3.0."""

LARGEST = (3709, 4277)
"""Maximum height and width of an image."""

TWIN = 268 / 4980
"""Probability that an image is a copy of an earlier one with a new annotation (LV-MHP v1: 512 files in 244 groups)."""

BACKDROPS = {"park": 0.3, "street": 0.25, "room": 0.25, "studio": 0.12, "brick": 0.08}


@dataclass(frozen=True)
class Plan:
    """All parameters of one image. ``persons`` are in painting order, the farthest first."""

    height: int
    width: int
    persons: tuple[Person, ...]
    backdrop: str
    light: tuple[float, float]  # direction to the light, columns and rows; length 0.5..1
    warmth: float  # -1 blue .. 1 orange
    contrast: float
    blur: float  # pixels at the rendered size
    grain: float  # gray levels
    gray: bool
    quality: int
    sampling: str  # 420, 422, 444
    progressive: bool


def draw_size(rng: np.random.Generator, scale: float = 1.0) -> tuple[int, int]:
    """Draw (height, width) from a skewed log-normal distribution around 634 x 626, 90 % within about 350..1600."""
    z = float(rng.normal())
    mean = z * (0.48 if z > 0 else 0.32)
    aspect = float(rng.normal(0.0, 0.19))
    height, width = 634 * np.exp(mean + aspect), 626 * np.exp(mean - aspect)
    shrink = min(1.0, LARGEST[0] / height, LARGEST[1] / width) * scale
    return max(48, round(height * shrink)), max(48, round(width * shrink))


def draw_plan(rng: np.random.Generator, scale: float = 1.0) -> Plan:
    """Draw the plan of one image.

    Args:
        rng: Random generator of the image.
        scale: Factor on height and width; quick tests use 0.25.
    """
    size = draw_size(rng, scale)
    count = pick(rng, COUNTS)
    persons = arrange(rng, [draw_person(rng) for _ in range(count)], size)
    angle = float(rng.uniform(-np.pi, 0))
    return Plan(
        height=size[0],
        width=size[1],
        persons=tuple(persons),
        backdrop=pick(rng, BACKDROPS),
        light=(float(np.cos(angle)) * 0.8, float(np.sin(angle)) * 0.6 - 0.2),
        warmth=within(rng.normal(0.1, 0.4), -1, 1),
        contrast=float(rng.uniform(0.85, 1.15)),
        blur=float(rng.uniform(0.55, 0.9)),
        grain=within(rng.lognormal(1.3, 0.7), 0.5, 11),
        gray=bool(rng.random() < 0.02),
        quality=int(rng.integers(65, 96, 2).max()),
        sampling=pick(rng, {"420": 0.82, "422": 0.06, "444": 0.12}),
        progressive=bool(rng.random() < 0.08),
    )


def source(seed: int, index: int) -> int:
    """Return the image that ``index`` is a copy of: usually itself, otherwise an earlier one that is not a copy."""
    rng = np.random.default_rng([seed, index, 1])
    while index > 1 and rng.random() < TWIN:
        index = int(rng.integers(1, index))
        rng = np.random.default_rng([seed, index, 1])
    return index


def plan(seed: int, index: int, scale: float = 1.0) -> Plan:
    """Return the plan of image ``index`` (from 1) of dataset ``seed``; copies share the plan of their source."""
    return draw_plan(np.random.default_rng([seed, source(seed, index), 0]), scale)
