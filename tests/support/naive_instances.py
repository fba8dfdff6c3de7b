"""Slow, independent twin of AP^r and AP^h: pixel by pixel, one class and threshold at a time, with exact fractions."""

from __future__ import annotations

from fractions import Fraction

from naive_score import counts_as_person


def iou(predicted, truth):
    """Return the IoU of sets of pixels; ``predicted`` without the pixels that are not compared."""
    union = len(predicted | truth)
    return Fraction(len(predicted & truth), union) if union else Fraction(0)


def pixels(mask, label=None, classes=256):
    """Return the positions of a label, or of all labels that are classes."""
    flat = enumerate(mask.ravel().tolist())
    return {i for i, value in flat if (0 < value < classes if label is None else value == label)}


def average_precision(images, classes, threshold, label=None):
    """Return AP of [(true masks, [(score, predicted map)])]: AP^r of a class, or AP^h; None if undefined."""
    queue, total = [], 0
    for masks, persons in images:
        truths = [(pixels(m, label, classes), pixels(m, 255)) for m in masks if counts_as_person(m, classes)]
        truths = [(mine, ignored) for mine, ignored in truths if mine]
        total += len(truths)
        for score, predicted in persons:
            mine = pixels(predicted, label, classes)
            if mine or label is None:
                best = max((iou(mine - ignored, truth) for truth, ignored in truths), default=0)
                queue.append((score, float(best) > threshold))
    if not total:
        return None
    queue.reverse()
    queue.sort(key=lambda item: -item[0])
    hits = [hit for _, hit in queue]
    precisions = [Fraction(sum(hits[: i + 1]), i + 1) for i in range(len(hits))]
    return float(sum(max(precisions[i:]) / total for i in range(len(hits)) if hits[i]))
