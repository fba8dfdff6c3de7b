"""Measure a run's speed: images per second over all processes, time spent waiting for the loader, time left."""

from __future__ import annotations

import time
from typing import Any

from mhpdata.kernels import compiling
from mhpdata.processes.threads import hidden
from mhpmodels.training.tables import StepRow


class Meter:
    """Measure the speed of each epoch.

    Args:
        steps: number of steps per epoch.
        epochs: number of epochs of the run.
        world_size: number of processes that train together, all with the same number of images per step.
        progress: draw a progress bar if standard error is a terminal.

    Attributes:
        done: number of steps of the epoch that were measured; those before a resume are not.
    """

    def __init__(self, steps: int, epochs: int, world_size: int = 1, progress: bool = False) -> None:
        self._steps, self._epochs, self._world_size, self._progress = steps, epochs, world_size, progress
        self._bar: Any = None
        self._validation = 0.0
        self._restart(0)

    def _restart(self, epoch: int) -> None:
        self._epoch, self.done, self._images, self._seconds, self._waited = epoch, 0, 0, 0.0, 0.0

    def begin(self, epoch: int, iteration: int) -> None:
        """Start an epoch, or resume it after ``iteration`` of its steps."""
        from tqdm import tqdm

        self.end()
        self._restart(epoch)
        self._bar = tqdm(total=self._steps, initial=iteration, unit="step", disable=hidden(self._progress), leave=False)

    def images(self, own: int) -> int:
        """Return the number of images per step over all processes, given this process's ``own``."""
        return own * self._world_size

    def step(self, row: StepRow, loss: float) -> None:
        """Record a finished step; ``loss`` is the epoch's mean so far."""
        self.done += 1
        self._images += row.images
        self._seconds += row.seconds
        self._waited += row.waited
        self._bar.set_description(f"Epoch {row.epoch}, training loss {loss:.3f}", refresh=False)
        left = self._steps * (self._epochs - row.epoch) - row.iteration
        self._bar.set_postfix_str(f"{self.text()}, {clock(self.left(left))} left", refresh=False)
        self._bar.update()

    def text(self) -> str:
        """Return this epoch's images per second over all processes and share of time spent waiting for the loader."""
        seconds = max(self._seconds, 1e-9)
        return f"{self._images / seconds:.3g} images/s, {self._waited / seconds:.1%} waiting for the loader"

    def left(self, steps: int) -> float:
        """Estimate the seconds for ``steps`` more steps, and the validations after them, at this epoch's speed."""
        return steps * self._seconds / max(self.done, 1) + self._validation * -(-steps // self._steps)

    def validated(self, seconds: float) -> None:
        """Record the duration of a validation, in seconds."""
        self._validation = seconds

    def end(self) -> None:
        """End the epoch and close its progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Stopwatch:
    """Measure seconds, not counting the time spent compiling kernels."""

    def __init__(self) -> None:
        self._at, self._compiled = time.perf_counter(), compiling.seconds()

    def lap(self) -> float:
        """Return the seconds since the last call, or since the start."""
        before, self._at = self._at, time.perf_counter()
        compiled, self._compiled = self._compiled, compiling.seconds()
        return max(self._at - before - (self._compiled - compiled), 0.0)


def clock(seconds: float) -> str:
    """Return a duration in seconds as text: 0:07, 12:34, 3:12:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
