"""Compute the joints of a person in three dimensions, and project them to the image.

Axes of a person: x to the person's own left, y up, z ahead. The camera looks slightly down. For a person who faces the
camera (yaw 0), own left is on the right of the image; seen from the back (yaw 180), on its left. The projection alone
determines left and right. Out: float64 (JOINTS, 3) in pixels: column, row, nearness to the camera.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhpdata.synth.planning.person import Limb, Person

NAMES = (
    "pelvis", "neck", "head",
    "shoulder_l", "elbow_l", "wrist_l", "hand_l", "hip_l", "knee_l", "ankle_l", "toe_l",
    "shoulder_r", "elbow_r", "wrist_r", "hand_r", "hip_r", "knee_r", "ankle_r", "toe_r",
)  # fmt: skip
INDEX = {name: k for k, name in enumerate(NAMES)}
PITCH = 0.16  # the camera's downward slope: nearer points are lower in the image

# Lengths as shares of the stature (adult averages).
THIGH, SHIN, ANKLE, FOOT = 0.235, 0.225, 0.04, 0.1
SPINE, NECK_TO_HEAD = 0.325, 0.1
UPPER_ARM, FOREARM, HAND = 0.165, 0.14, 0.06
SHOULDER_HALF, HIP_HALF = 0.098, 0.05


def direction(angles: tuple[float, float], side: int) -> NDArray[Any]:
    """Return the unit vector of a bone; ``side``: +1 own left, -1 own right."""
    forward, outward = math.radians(angles[0]), math.radians(angles[1])
    flat = math.cos(outward)
    return np.array([side * math.sin(outward), -flat * math.cos(forward), flat * math.sin(forward)])


def _chain(
    start: NDArray[Any], limb: Limb, side: int, upper: float, lower: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    middle = start + upper * direction(limb.upper, side)
    along = direction(limb.lower, side)
    return middle, middle + lower * along, along


def _own_joints(person: Person) -> NDArray[Any]:
    pose, build = person.pose, person.build
    points = np.zeros((len(NAMES), 3))
    lean = np.radians(pose.lean)
    up = np.array([np.sin(lean), np.cos(lean), 0.02])
    points[INDEX["neck"]] = SPINE * up + (0, 0.012, 0)
    tilted = up + np.array([0.3 * math.sin(math.radians(pose.tilt)), 0, 0.08])
    points[INDEX["head"]] = points[INDEX["neck"]] + NECK_TO_HEAD * tilted
    for side, tag, arm, leg in ((1, "l", pose.arms[0], pose.legs[0]), (-1, "r", pose.arms[1], pose.legs[1])):
        shoulder = SPINE * up + np.array([side * SHOULDER_HALF * build.shoulders, -0.036, -0.005])
        elbow, wrist, along = _chain(shoulder, arm, side, UPPER_ARM, FOREARM)
        hip = np.array([side * HIP_HALF * build.hips, -0.005, 0.0])
        knee, ankle, _ = _chain(hip, leg, side, THIGH, SHIN)
        toe = ankle + FOOT * np.array([side * 0.3, -0.22, 0.93])
        names = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "toe")
        for name, point in zip(
            names, (shoulder, elbow, wrist, wrist + HAND * along, hip, knee, ankle, toe), strict=True
        ):
            points[INDEX[f"{name}_{tag}"]] = point
    lowest = min(points[INDEX["ankle_l"], 1], points[INDEX["ankle_r"], 1])
    points[:, 1] += ANKLE - lowest  # the lower foot stands on the ground
    return points


def joints(person: Person) -> NDArray[Any]:
    """Return the joints of ``person`` in its scene: (JOINTS, 3) of column, row, nearness, in pixels."""
    own = _own_joints(person)
    yaw = np.radians(person.pose.yaw)
    across = own[:, 0] * np.cos(yaw) + own[:, 2] * np.sin(yaw)
    near = own[:, 2] * np.cos(yaw) - own[:, 0] * np.sin(yaw)
    projected = np.stack([across, -own[:, 1] + PITCH * near, near], axis=1) * person.stature
    projected[:, 0] += person.x
    projected[:, 1] += person.ground
    return np.asarray(projected)


def reach(person: Person) -> tuple[float, float]:
    """Return the leftmost and rightmost column of the body relative to its x, as shares of the stature."""
    columns = (joints(person)[:, 0] - person.x) / person.stature
    return float(columns.min()) - 0.03, float(columns.max()) + 0.03
