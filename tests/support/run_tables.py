"""Rows of a run's tables, and a log that writes them."""

import math

from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EpochRow, StepRow

CLASSES = ("background", "hat, or cap")


def step(i, loss=0.1 + 0.2):
    return StepRow(i, i // 4, i % 4 + 1, loss, math.inf, 1e-3, int(math.isfinite(loss)), 16, 1.5, 0.01)


def epoch(i):
    return EpochRow(i, 4 * (i + 1), 0.5, 0.8, 1 / 3, 2, 7.25, (0.25, 1 / 7))


def write(folder, steps, epochs, begin=0):
    with RunLog(folder, CLASSES, begin, quiet=True) as log:
        for row in steps:
            log.step(row)
        for row in epochs:
            log.epoch(row)
