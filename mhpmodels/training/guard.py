"""What happens when a loss or a gradient is not finite: the step is skipped, named, kept and counted.

The rule: nothing that is not finite reaches a weight, a running statistic, the optimiser or a mean. An engine leaves
all of them as they were (``Step.applied``); here the step is reported with the samples it was made of, saved as a
bundle that ``mhp-train --replay`` runs again, and too many in a row end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mhpdata.errors import NonFiniteError
from mhpmodels.engines.engine import Engine, Step
from mhpmodels.training.bundle import Moment, save_bundle

BUNDLES = 5
"""A run keeps so many bundles at most: each holds the weights. Later skips are logged only."""


class Guard:
    """Judges every step of a run.

    Args:
        folder: of the bundles; made when it is needed.
        most: so many skipped steps in a row end the run.
        report: takes a line for the log.
        skipped, in_a_row: of the run so far, for one that goes on.
    """

    def __init__(
        self, folder: Path, most: int, report: Callable[[str], None], skipped: int = 0, in_a_row: int = 0
    ) -> None:
        self._folder, self._most, self._report = folder, most, report
        self.skipped, self.in_a_row = skipped, in_a_row

    def judge(self, step: Step, moment: Moment, engine: Engine) -> bool:
        """True if the step counts.

        Args:
            step: what the engine has done.
            moment: what it did it with; copied into the bundle before this returns.
            engine: its weights and state are as before the step.

        Raises:
            NonFiniteError: one skipped step too many in a row.
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
        kept = f"; replay with mhp-train --replay {bundle}" if bundle else ""
        self._report(f"{what}; samples {samples}{kept}")
        if self.in_a_row >= self._most:
            raise NonFiniteError(
                moment.place,
                f"{self.in_a_row} steps in a row had a loss or gradient that is not finite; last samples: {samples}",
                "",
                f"Run mhp-train --replay {bundle or max(self._folder.glob('epoch_*'))}; it shows what is in this step. "
                f"Then begin a new run with --lr {engine.config.optim.lr / 10:g}, a tenth; if that does not help, with "
                "--clip-grad 1 or --warmup-epochs 1, too.",
            )
        return False

    def _keep(self, moment: Moment, step: Step, engine: Engine) -> Path | None:
        """A bundle of the step, unless there are enough."""
        path = self._folder / moment.stem
        there = [p for p in self._folder.glob("epoch_*") if p != path] if self._folder.is_dir() else []
        if len(there) >= BUNDLES:
            return None
        save_bundle(path, moment, step, engine)
        return path


def sample_list(names: Sequence[str], indices: np.ndarray) -> str:
    """Samples as a report shows them: name and index; one left out for its damage has index -1 and no name."""
    return ", ".join(
        f"{name} ({index})" if index >= 0 else "one left out"
        for name, index in zip(names, indices.tolist(), strict=True)
    )
