"""Dice and Lovász-softmax losses, pixel by pixel, as their papers define them."""

from __future__ import annotations

import numpy as np


def chances_of(logits, labels):
    """Return the probabilities and labels of the labelled pixels: (P, classes) and (P,), float64 and int."""
    logits = np.asarray(logits, np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    chances = np.moveaxis(odds / odds.sum(1, keepdims=True), 1, -1)
    return chances[labels != 255], labels[labels != 255].astype(int)


def dice(chances, truth):
    losses = []
    for label in sorted(set(truth.tolist())):
        hits = sum(p[label] for p, t in zip(chances, truth, strict=True) if t == label)
        both = sum(p[label] for p in chances) + sum(1 for t in truth if t == label)
        losses.append(1 - 2 * hits / both)
    return float(np.mean(losses)) if losses else 0.0


def lovasz(chances, truth):
    """Sum, for each class, the errors times the growth of 1 - IoU as pixels are added in descending order of error."""
    losses = []
    for label in sorted(set(truth.tolist())):
        errors = [1 - p[label] if t == label else p[label] for p, t in zip(chances, truth, strict=True)]
        wrong, before, total = set(), 0.0, 0.0
        for pixel in sorted(range(len(errors)), key=lambda i: -errors[i]):
            wrong.add(pixel)
            missed = {i for i in range(len(truth)) if truth[i] == label}
            union = missed | wrong  # truth and prediction, if all pixels in wrong are misclassified
            now = 1 - len(missed - wrong) / len(union)
            total += errors[pixel] * (now - before)
            before = now
        losses.append(total)
    return float(np.mean(losses)) if losses else 0.0
