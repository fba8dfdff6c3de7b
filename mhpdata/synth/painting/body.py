"""Compute a person's joints and thicknesses in pixels, to which clothes and limbs are fitted."""

from __future__ import annotations

import numpy as np

from mhpdata.synth.painting.shapes import Points
from mhpdata.synth.planning.person import Person
from mhpdata.synth.planning.skeleton import INDEX, joints


class Body:
    """Joints and thicknesses of one person, in pixels."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.outfit = person.outfit
        self.size = person.stature
        self.points = joints(person)
        self.girth = person.build.girth
        yaw = np.radians(person.pose.yaw)
        self.breadth = float(np.hypot(np.cos(yaw), 0.62 * np.sin(yaw)))  # the trunk is thinner from the side
        self.behind = person.pose.behind

    def at(self, name: str) -> Points:
        """Return the position of a joint in the image, (column, row)."""
        return np.array(self.points[INDEX[name], :2])

    def near(self, name: str) -> float:
        """Return how much nearer to the camera than the pelvis a joint is, as a share of the stature."""
        return float(self.points[INDEX[name], 2] - self.points[INDEX["pelvis"], 2]) / self.size

    def trunk(self, t: float) -> tuple[Points, Points]:
        """Return the centre of the trunk at height t (0 pelvis, 1 base of the neck) and the unit vector across it."""
        low, high = self.at("pelvis"), self.at("neck")
        axis = (high - low) / np.linalg.norm(high - low)
        return low + t * (high - low), np.array([-axis[1], axis[0]])

    def half(self, t: float) -> float:
        """Return half the trunk's width at height t, in pixels."""
        build = self.person.build
        heights = (-0.2, 0.0, 0.12, 0.4, 0.72, 0.9, 1.0)
        widths = (
            0.088 * build.hips, 0.09 * build.hips, 0.088 * build.hips, 0.073 * build.waist,
            0.088 * build.shoulders, 0.094 * build.shoulders, 0.05,
        )  # fmt: skip
        return float(np.interp(t, heights, widths)) * self.breadth * self.size * (0.55 + 0.45 * self.girth)

    def band(self, heights: tuple[float, ...], loose: float) -> tuple[Points, Points]:
        """Return outline points of the trunk at ``heights``, on the left and on the right side of the image."""
        left, right = [], []
        for t in heights:
            center, across = self.trunk(t)
            reach = (self.half(t) + loose * self.size) * across
            left.append(center - reach)
            right.append(center + reach)
        return np.array(left), np.array(right)
