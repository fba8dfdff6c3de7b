"""Slow, independent twin of AP^p and PCP: one threshold at a time, each pair of maps pixel by pixel.

It follows the definition in mhpmodels.persons.precision with Python lists; only the mean is NumPy's nanmean, whose
rounding decides if a mean lies exactly on a threshold.
"""

from __future__ import annotations

import numpy as np

THRESHOLDS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def class_ious(predicted, truth, classes):
    """Return the IoU of each class, NaN if neither map has it; pixels whose truth is no class are ignored."""
    pairs = [(p, g) for p, g in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True) if g < classes]
    ious = []
    for c in range(classes):
        either = [(p, g) for p, g in pairs if c in (p, g)]
        ious.append(sum(p == g for p, g in either) / len(either) if either else float("nan"))
    return ious


def official_class_ious(predicted, truth, classes):
    """Restate the official fast_hist: an out-of-range predicted label lands in another row of the histogram."""
    cells = [[0] * classes for _ in range(classes)]
    for p, g in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if g < classes:
            row, column = divmod(classes * g + p, classes)
            cells[row][column] += 1  # IndexError where the official code fails to reshape
    ious = []
    for c in range(classes):
        either = sum(cells[c]) + sum(row[c] for row in cells) - cells[c][c]
        ious.append(cells[c][c] / either if either else float("nan"))
    return ious


def counts_as_person(mask, classes):
    return any(0 < value < classes for value in mask.ravel().tolist())


def ap_and_pcp(images, classes, threshold):
    """Return AP^p and PCP of [(true masks, [(score, predicted map)])] at one threshold."""
    truths = [[mask for mask in masks if counts_as_person(mask, classes)] for masks, _ in images]
    total = sum(map(len, truths))
    queue = [(score, i, predicted) for i, (_, persons) in enumerate(images) for score, predicted in persons]
    queue.sort(key=lambda item: -item[0])
    taken, hits, shares = set(), [], []
    for _, i, predicted in queue:
        best, whose, ious_of_it = -1.0, None, None
        for j, truth in enumerate(truths[i]):
            ious = class_ious(predicted, truth, classes)
            mean = float(np.nanmean(ious))
            if mean > best:
                best, whose, ious_of_it = mean, j, ious
        hit = whose is not None and best > threshold and (i, whose) not in taken
        hits.append(hit)
        if hit:
            taken.add((i, whose))
            parts = {value for value in truths[i][whose].ravel().tolist() if 0 < value < classes}
            shares.append(sum(iou > threshold for iou in ious_of_it[1:]) / len(parts))
    return area(hits, total), sum(shares) / total


def area(hits, total):
    """Sum, over true positives, 1 / total times the highest precision at or after each."""
    precisions = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(max(precisions[i:]) / total for i in range(len(hits)) if hits[i])


def mask_iou(predicted, truth, classes):
    """Return the IoU of two masks, whatever their labels."""
    pairs = [
        (p > 0, g > 0) for p, g in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True) if g < classes
    ]
    return sum(p and g for p, g in pairs) / sum(p or g for p, g in pairs)


def matched(truths, persons, classes, threshold):
    """Match predicted and true masks of an image, the largest IoU first; return the IoU of each prediction."""
    found = [0.0] * len(persons)
    ious = [(mask_iou(p, g, classes), i, j) for i, (_, p) in enumerate(persons) for j, g in enumerate(truths)]
    taken = set()
    for iou, i, j in sorted(ious, key=lambda one: -one[0]):
        if iou > threshold and not found[i] and j not in taken:
            found[i] = iou
            taken.add(j)
    return found


def mask_ap(images, classes, threshold):
    """Return AP of masks at one threshold."""
    queue, total = [], 0
    for masks, persons in images:
        truths = [mask for mask in masks if counts_as_person(mask, classes)]
        total += len(truths)
        queue += list(zip([s for s, _ in persons], matched(truths, persons, classes, threshold), strict=True))
    queue.sort(key=lambda item: -item[0])
    return area([iou > 0 for _, iou in queue], total)


def pq(images, classes):
    """Return PQ of masks: the sum of IoU over TP + FP / 2 + FN / 2."""
    ious, positive, negative = [], 0, 0
    for masks, persons in images:
        truths = [mask for mask in masks if counts_as_person(mask, classes)]
        found = [iou for iou in matched(truths, persons, classes, 0.5) if iou]
        ious += found
        positive += len(persons) - len(found)
        negative += len(truths) - len(found)
    return sum(ious) / (len(ious) + positive / 2 + negative / 2)
