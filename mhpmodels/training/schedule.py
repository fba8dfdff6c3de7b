"""Learning rate and random seed of a step (pure functions).

A resumed run gets the same rates and seeds, since they depend on the step number only. Steps count from 0 over the run.
"""

from __future__ import annotations

import hashlib
import math

from mhpdata.errors import OptionError
from mhpdata.options import check_choice
from mhpmodels.recipe import SCHEDULES


def learning_rate(
    step: int, steps: int, base: float, schedule: str = "poly", warmup: int = 0, power: float = 0.9
) -> float:
    """Return the learning rate of a step.

    ::

        warm-up    base * (step + 1) / warmup
        poly       base * (1 - (step - warmup) / (steps - warmup)) ** power      the formula of GluonCV
        cosine     base * (1 + cos(pi * (step - warmup) / (steps - warmup))) / 2      Loshchilov and Hutter, ICLR 2017
    constant   base

    The rate is never 0. GluonCV's own schedule is shifted by one step, so its first warm-up step and its last step have
    rate 0 and change nothing.

    Args:
        step: step of the run, 0..steps-1; later steps get the rate of the last one.
        steps: number of steps of the run.
        base: learning rate after the warm-up.
        schedule: one of SCHEDULES.
        warmup: number of linear warm-up steps.
        power: exponent of "poly".

    Raises:
        OptionError: the schedule is unknown, or no step is left after the warm-up.
    """
    check_choice("schedule", schedule, SCHEDULES)
    if not 0 <= warmup < steps:
        remedy = "Pass a number below --epochs; 0 disables the warm-up."
        raise OptionError("warmup_epochs", f"{warmup} steps", f"fewer than the {steps} steps of the run", remedy)
    step = min(step, steps - 1)
    if step < warmup:
        return base * (step + 1) / warmup
    if schedule == "constant":
        return base
    progress = (step - warmup) / (steps - warmup)
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * progress)) / 2
    return float(base * (1 - progress) ** power)


def step_seed(seed: int, step: int) -> int:
    """Return the seed of a step's random draws, 0..2**31-1: the first bits of a hash of the run's seed and the step."""
    digest = hashlib.sha256(f"step {step} of seed {seed}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
