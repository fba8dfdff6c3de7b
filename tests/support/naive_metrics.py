"""Slow, obvious twins of mhpmodels.evaluation.metrics: one pixel at a time, with Python's numbers only."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> list[list[int]]:
    """Count matrix[truth][prediction], without pixels of label 255."""
    matrix = [[0] * classes for _ in range(classes)]
    for guess, truth in zip(predicted.reshape(-1).tolist(), labels.reshape(-1).tolist(), strict=True):
        if truth != 255:
            matrix[truth][guess] += 1
    return matrix


def pix_acc(matrix: list[list[int]]) -> Fraction:
    """Return the share of correct pixels among labelled ones."""
    labelled = sum(map(sum, matrix))
    return Fraction(sum(matrix[c][c] for c in range(len(matrix))), labelled) if labelled else Fraction(0)


def iou(matrix: list[list[int]]) -> list[Fraction]:
    """Return the IoU of each class; an absent class has 0."""
    found = []
    for c in range(len(matrix)):
        union = sum(matrix[c]) + sum(row[c] for row in matrix) - matrix[c][c]
        found.append(Fraction(matrix[c][c], union) if union else Fraction(0))
    return found


def miou(matrix: list[list[int]]) -> Fraction:
    """Return the unweighted mean over all classes."""
    return sum(iou(matrix), Fraction(0)) / len(matrix)
