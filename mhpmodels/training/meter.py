"""How fast a run goes: images per second in all processes, the loader's share of the time, the time left."""

from __future__ import annotations

import time
from typing import Any

from mhpdata.kernels import compiling
from mhpdata.threads import hidden
from mhpmodels.training.tables import StepRow


class Meter:
    """Counts from one epoch's beginning to its end.

    Args:
        steps: of an epoch.
        epochs: of the run.
        world_size: processes that train together, each on as many images as this one.
        progress: draw a bar, where standard error is a terminal.
    """

    def __init__(self, steps: int, epochs: int, world_size: int = 1, progress: bool = False) -> None:
        self._steps, self._epochs, self._world_size, self._progress = steps, epochs, world_size, progress
        self._bar: Any = None
        self._validation = 0.0
        self._restart(0)

    def _restart(self, epoch: int) -> None:
        self._epoch, self._done, self._images, self._seconds, self._waited = epoch, 0, 0, 0.0, 0.0

    def begin(self, epoch: int, iteration: int) -> None:
        """An epoch begins, or goes on after ``iteration`` of its steps."""
        from tqdm import tqdm

        self.end()
        self._restart(epoch)
        self._bar = tqdm(total=self._steps, initial=iteration, unit="step", disable=hidden(self._progress), leave=False)

    def images(self, own: int) -> int:
        """Return the images of a step in all processes, of which this one has ``own``."""
        return own * self._world_size

    def step(self, row: StepRow, loss: float) -> None:
        """A step is done; ``loss`` is the epoch's mean so far."""
        self._done += 1
        self._images += row.images
        self._seconds += row.seconds
        self._waited += row.waited
        self._bar.set_description(f"Epoch {row.epoch}, training loss {loss:.3f}", refresh=False)
        left = self._steps * (self._epochs - row.epoch) - row.iteration
        self._bar.set_postfix_str(f"{self.text()}, {clock(self.left(left))} left", refresh=False)
        self._bar.update()

    def text(self) -> str:
        """Images per second in all processes, and the loader's share of the time, of this epoch so far."""
        seconds = max(self._seconds, 1e-9)
        return f"{self._images / seconds:.3g} images/s, {self._waited / seconds:.1%} waiting for the loader"

    def left(self, steps: int) -> float:
        """Seconds that so many steps, and the validations after them, will take at the epoch's pace."""
        return steps * self._seconds / max(self._done, 1) + self._validation * -(-steps // self._steps)

    def validated(self, seconds: float) -> None:
        """A validation took so long."""
        self._validation = seconds

    def end(self) -> None:
        """The epoch is over, or was left."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Stopwatch:
    """Seconds since it was last read, without those in which kernels were compiled."""

    def __init__(self) -> None:
        self._at, self._compiled = time.perf_counter(), compiling.seconds()

    def lap(self) -> float:
        """Read it, and start again from zero."""
        before, self._at = self._at, time.perf_counter()
        compiled, self._compiled = self._compiled, compiling.seconds()
        return max(self._at - before - (self._compiled - compiled), 0.0)


def clock(seconds: float) -> str:
    """A duration to read: 0:07, 12:34, 3:12:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
