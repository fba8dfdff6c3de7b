"""Handle non-finite steps: skip, log, save and count them.

The rule: no infinity or NaN reaches a weight, a running statistic, the optimiser or a mean. The engine rolls the step
back (``Step.applied``). The guard then logs it with its samples and saves it as a bundle for ``mhp train --replay``.
Too many non-finite steps in a row end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mhpdata.errors import NonFiniteError
from mhpmodels.engines.engine import Engine, Step
from mhpmodels.training.bundle import Moment, save_bundle

BUNDLES = 5
"""Maximum number of bundles per run, as each contains the weights. Later skipped steps are only logged."""


class Guard:
    """Check every step of a run.

    Args:
        folder: folder for bundles, created on first use.
        most: number of skipped steps in a row that ends the run.
        report: function that takes a line for the log.
        skipped: number of steps skipped before, for a resumed run.
        in_a_row: number of steps skipped in a row just before, for a resumed run.
    """

    def __init__(
        self, folder: Path, most: int, report: Callable[[str], None], skipped: int = 0, in_a_row: int = 0
    ) -> None:
        self._folder, self._most, self._report = folder, most, report
        self.skipped, self.in_a_row = skipped, in_a_row

    def judge(self, step: Step, moment: Moment, engine: Engine) -> bool:
        """Return whether the step was applied; log and save it if it was skipped.

        Args:
            step: result of the step.
            moment: inputs of the step; copied into the bundle before this returns.
            engine: the engine; after a skipped step, its weights and state are those from before the step.

        Raises:
            NonFiniteError: ``most`` steps in a row were skipped.
            OutputError: the bundle cannot be written.
        """
        if step.applied:
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        what = f"{moment.place}: loss {step.loss:g}, gradient {step.gradient:g}: step skipped"
        samples = sample_list(moment.names, moment.indices)
        bundle = self._keep(moment, step, engine)
        kept = f"; replay with mhp train --replay {bundle}" if bundle else ""
        self._report(f"{what}; samples {samples}{kept}")
        if self.in_a_row >= self._most:
            raise NonFiniteError(
                moment.place,
                f"{self.in_a_row} steps in a row had a non-finite loss or gradient; last samples: {samples}",
                "",
                f"Run mhp train --replay {bundle or max(self._folder.glob('epoch_*'))} to inspect the step. Then start "
                f"a new run with --lr {engine.config.optim.lr / 10:g}, a tenth; if that does not help, add --clip-grad "
                "1 or --warmup-epochs 1.",
            )
        return False

    def check_end(self, steps: int, engine: Engine) -> None:
        """Raise NonFiniteError if all steps of a finished run were skipped: its weights are the first ones."""
        if steps and self.skipped >= steps:
            remedy = (
                f"Start a new run with --lr {engine.config.optim.lr / 10:g}, a tenth, and smaller weights of the loss."
            )
            found = f"all {steps} steps of the run had a non-finite loss or gradient, so nothing was learned"
            raise NonFiniteError(self._folder.parent, found, "", remedy)

    def _keep(self, moment: Moment, step: Step, engine: Engine) -> Path | None:
        """Save a bundle of the step and return its path; None if the run has enough bundles."""
        path = self._folder / moment.stem
        there = [p for p in self._folder.glob("epoch_*") if p != path] if self._folder.is_dir() else []
        if len(there) >= BUNDLES:
            return None
        save_bundle(path, moment, step, engine)
        return path


def sample_list(names: Sequence[str], indices: np.ndarray) -> str:
    """Return samples as text: name and index. A damaged sample that was left out has index -1 and no name."""
    return ", ".join(
        f"{name} ({index})" if index >= 0 else "one damaged"
        for name, index in zip(names, indices.tolist(), strict=True)
    )
