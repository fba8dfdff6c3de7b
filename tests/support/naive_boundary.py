"""Slow, independent twin of the boundary F-score: sets of pixels, every distance."""

from __future__ import annotations

import math


def boundary(labels, truth, c):
    """Return the boundary pixels of class c of ``labels``; pixels where ``truth`` is 255 are in no map."""
    height, width = labels.shape
    inside = {(y, x) for y in range(height) for x in range(width) if truth[y, x] != 255}
    found = set()
    for y, x in inside:
        around = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & inside
        if labels[y, x] == c and any(labels[at] != c for at in around):
            found.add((y, x))
    return found


def share(mine, other, tolerance):
    """Return the fraction of pixels with one of the other set nearer than the tolerance, or at the same place."""
    near = [any(math.dist(a, b) < tolerance or a == b for b in other) for a in mine]
    return sum(near) / len(near) if near else 0.0


def f_scores(predicted, truth, classes):
    """Return F of each class; None where neither map has a boundary."""
    tolerance = 0.0075 * math.hypot(*truth.shape)
    scores = []
    for c in range(classes):
        mine, other = boundary(predicted, truth, c), boundary(truth, truth, c)
        precision, recall = share(mine, other, tolerance), share(other, mine, tolerance)
        f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        scores.append(f if mine or other else None)
    return scores
