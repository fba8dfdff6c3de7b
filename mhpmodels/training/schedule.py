"""The learning rate and the random seed of a step: pure functions of the step's number.

Nothing here remembers anything, so a resumed run takes the same rates and seeds. Steps count from 0 over the whole run.
"""

from __future__ import annotations

import hashlib

from mhpdata.errors import OptionError
from mhpdata.options import check_choice
from mhpmodels.recipe import SCHEDULES


def learning_rate(
    step: int, steps: int, base: float, schedule: str = "poly", warmup: int = 0, power: float = 0.9
) -> float:
    """The rate of a step.

    ::

        warm-up    base * (step + 1) / warmup
        poly       base * (1 - (step - warmup) / (steps - warmup)) ** power      GluonCV's, from the first step on
        constant   base

    No step of a run has rate 0, so none is wasted: GluonCV's own, one step ahead of this, gives its first step of a
        warm-up and its last step of all nothing.

    Args:
        step: 0..steps-1; beyond, the last one's.
        steps: of the whole run.
        base: the rate after the warm-up.
        schedule: of SCHEDULES.
        warmup: steps of the linear rise.
        power: of poly.

    Raises:
        OptionError: another schedule, or no step left after the warm-up.
    """
    check_choice("schedule", schedule, SCHEDULES)
    if not 0 <= warmup < steps:
        remedy = "Pass a smaller number: fewer warm-up epochs than the run has --epochs; 0 is no warm-up."
        raise OptionError("warmup_epochs", f"as long as the run or longer ({warmup} steps of {steps})", "less", remedy)
    step = min(step, steps - 1)
    if step < warmup:
        return base * (step + 1) / warmup
    if schedule == "constant":
        return base
    return float(base * (1 - (step - warmup) / (steps - warmup)) ** power)


def step_seed(seed: int, step: int) -> int:
    """The seed, 0..2**31-1, of all that is random within a step: the first bits of a hash of both."""
    digest = hashlib.sha256(f"step {step} of seed {seed}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
