"""Draw one person of the plan at random: build, pose and outfit.

The rule: a person consists of numbers and names, without pixels, so a test can draw and count thousands per second. The
probabilities are those of LV-MHP v1 (share of persons that show a part), corrected for parts that framing and
neighbours hide. Angles are in degrees; lengths are shares of the person's stature; colours are RGB in 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mhpdata.synth.planning.draw import one_of, pick, within
from mhpdata.synth.planning.wardrobe import Surface, dress_person

Angles = tuple[float, float]
"""Direction of a limb, (forward, outward): (0, 0) is straight down, forward 90 ahead, outward 90 sideways."""

BEHIND = 0.03
"""Share of persons seen from the back (no face); about 0.003 in the real data, too few for a small set."""


@dataclass(frozen=True)
class Limb:
    """An arm or a leg: directions of its two bones, and whether the hand is hidden (in a pocket, at the back)."""

    upper: Angles
    lower: Angles
    hidden: bool = False


@dataclass(frozen=True)
class Pose:
    """Posture of a person. ``arms`` and ``legs`` are (own left, own right)."""

    kind: str
    yaw: float
    head_turn: float
    lean: float
    tilt: float
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]

    @property
    def behind(self) -> bool:
        """Whether the person is seen from the back: no face, own left on the left side of the image."""
        return abs(self.yaw) > 90


@dataclass(frozen=True)
class Build:
    """Body shape, as factors of that of an average adult."""

    shoulders: float
    waist: float
    hips: float
    girth: float
    head: float


@dataclass(frozen=True)
class Outfit:
    """Clothes of a person, with their surfaces by the names that shapes use."""

    top: str  # shirt, jacket, tank, crop, dress
    sleeve: float  # 0 none .. 1 elbow .. 2 wrist
    low_neck: bool
    tucked: bool
    bottom: str  # pants, skirt, dress
    length: float  # of pants, skirt or dress: 0 hip .. 1 knee .. 2 ankle
    flare: float
    belt: bool
    shoe: str  # shoe, boot, none
    hair: str  # bald, short, bob, long, tail, bun
    hat: str  # "", cap, brim, beanie
    sunglasses: bool
    scarf: bool
    bag: str  # "", hand, cross
    surfaces: dict[str, Surface]


@dataclass(frozen=True)
class Person:
    """One person in a scene; ``x`` and ``ground`` are the pixel under the pelvis, ``stature`` the height in pixels."""

    pose: Pose
    build: Build
    outfit: Outfit
    x: float = 0.0
    ground: float = 0.0
    stature: float = 1.0
    depth: float = 0.0  # larger is nearer


def _arm(rng: np.random.Generator, kind: str) -> Limb:
    def u(lo: float, hi: float) -> float:
        return float(rng.uniform(lo, hi))

    if kind == "hang":
        return Limb((u(-8, 12), u(6, 15)), (u(5, 25), u(2, 10)))
    if kind == "hip":
        return Limb((u(-15, 5), u(35, 48)), (u(10, 25), u(-48, -36)), hidden=bool(rng.random() < 0.3))
    if kind == "fold":
        return Limb((u(0, 20), u(8, 20)), (u(50, 80), u(-70, -45)))
    if kind == "pocket":
        return Limb((u(-12, 0), u(14, 24)), (u(12, 28), u(-16, -4)), hidden=True)
    if kind == "back":
        return Limb((u(-30, -15), u(10, 18)), (u(-60, -35), u(-45, -30)), hidden=True)
    if kind == "wave":
        return Limb((u(-5, 15), u(80, 140)), (u(0, 20), u(160, 185)))
    if kind == "hold":
        return Limb((u(5, 25), u(5, 15)), (u(75, 110), u(-15, 15)))
    return Limb((u(-12, 5), u(30, 60)), (u(10, 30), u(20, 60)))  # "out": half spread


ARMS = {"hang": 0.44, "hip": 0.08, "fold": 0.09, "pocket": 0.12, "back": 0.07, "wave": 0.03, "hold": 0.11, "out": 0.06}


def _draw_arms(rng: np.random.Generator, kind: str, swing: float) -> tuple[Limb, Limb]:
    if kind == "walk" and rng.random() < 0.7:
        bend = rng.uniform(10, 40, 2)
        return (
            Limb((-swing, 8.0), (-swing + bend[0], 4.0)),
            Limb((swing, 8.0), (swing + bend[1], 4.0)),
        )
    if kind == "sit" and rng.random() < 0.7:  # hands on the lap
        lap = [(float(rng.uniform(5, 20)), float(rng.uniform(8, 16))) for _ in range(2)]
        return (
            Limb(lap[0], (float(rng.uniform(50, 70)), float(rng.uniform(-35, -10)))),
            Limb(lap[1], (float(rng.uniform(50, 70)), float(rng.uniform(-35, -10)))),
        )
    left = pick(rng, ARMS)
    right = left if rng.random() < 0.55 else pick(rng, ARMS)
    return _arm(rng, left), _arm(rng, right)


def _draw_legs(rng: np.random.Generator, kind: str, swing: float) -> tuple[Limb, Limb]:
    if kind == "walk":
        ahead = Limb((swing, 2.0), (swing - 4.0, 1.0))
        back = Limb((-swing * 0.8, 2.0), (-swing * 0.8 - float(rng.uniform(15, 40)), 1.0))
        return (ahead, back) if swing > 0 else (back, ahead)
    if kind == "sit":
        f = rng.uniform(72, 88, 2)
        out = rng.uniform(4, 14, 2)
        low = rng.uniform(-12, 10, 2)
        return Limb((f[0], out[0]), (low[0], 2.0)), Limb((f[1], out[1]), (low[1], 2.0))
    out = rng.uniform(1, 8, 2)
    if rng.random() < 0.3:  # the weight on one leg
        bent = float(rng.uniform(6, 16))
        free = Limb((bent, float(out[0])), (-bent, float(out[0]) * 0.4))
        rest = Limb((0.0, float(out[1])), (0.0, float(out[1]) * 0.6))
        return (free, rest) if rng.random() < 0.5 else (rest, free)
    return Limb((0.0, out[0]), (-2.0, out[0] * 0.6)), Limb((0.0, out[1]), (-2.0, out[1] * 0.6))


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw a standing (62 %), walking (24 %) or sitting (14 %) pose, mostly facing the camera."""
    kind = pick(rng, {"stand": 0.62, "walk": 0.24, "sit": 0.14})
    behind = rng.random() < BEHIND
    yaw = within(rng.normal(0, 10 if kind == "sit" else 22), -62, 62)
    if behind:
        kind = "walk" if kind == "sit" else kind
        yaw = 180.0 - 0.6 * yaw if yaw > 0 else -180.0 - 0.6 * yaw
    swing = float(rng.uniform(12, 26) * one_of(rng, (-1, 1)))
    return Pose(
        kind=kind,
        yaw=yaw,
        head_turn=0.0 if behind else within(rng.normal(0, 14), -32, 32),
        lean=float(rng.normal(0, 2.5)),
        tilt=float(rng.normal(0, 5)),
        arms=_draw_arms(rng, kind, swing),
        legs=_draw_legs(rng, kind, swing),
    )


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a person, not yet positioned in an image."""
    pose = draw_pose(rng)
    womanly = bool(rng.random() < 0.52)
    build = Build(
        shoulders=float(rng.normal(0.94 if womanly else 1.06, 0.05)),
        waist=float(rng.normal(0.88 if womanly else 1.03, 0.07)),
        hips=float(rng.normal(1.05 if womanly else 0.97, 0.05)),
        girth=within(rng.normal(1.0, 0.11), 0.82, 1.4),
        head=float(rng.normal(1.06, 0.05)),
    )
    return Person(pose=pose, build=build, outfit=Outfit(**dress_person(rng, womanly)))
