"""Run examples/lightning_loop.py, noting its samples: lightning_example.py REC OUT EPOCHS DEVICES BATCH_SIZE STOP

Saves after every step; raises an error before step STOP (0: never). Writes OUT/rank_RANK_FIRST.json with the metrics
and the indices of each step from FIRST.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightning
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from lightning_loop import Parsing, train


class StoppedError(Exception):
    """Stops the run in the middle of an epoch."""


class Notes(lightning.Callback):
    """Callback that records the indices of each step."""

    def __init__(self, out, stop):
        self.out, self.stop, self.steps, self.first = Path(out), stop, [], 0

    def on_train_start(self, trainer, module):
        self.first = trainer.global_step

    def on_train_batch_start(self, trainer, module, batch, number):
        if self.stop and trainer.global_step == self.stop:
            self.write(trainer)
            raise StoppedError
        self.steps.append(batch.indices.tolist())

    def write(self, trainer):
        self.out.mkdir(exist_ok=True)
        noted = {"steps": self.steps, "metrics": {name: float(v) for name, v in trainer.callback_metrics.items()}}
        (self.out / f"rank_{trainer.global_rank}_{self.first}.json").write_text(json.dumps(noted))


if __name__ == "__main__":
    torch.manual_seed(0)
    rec, out, *numbers = sys.argv[1:]
    epochs, devices, batch_size, stop = map(int, numbers)
    notes = Notes(out, stop)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    data = Parsing(rec, batch_size, crop=32)
    notes.write(train(data, out, 1, [notes], max_epochs=epochs, accelerator="cpu", devices=devices, **quiet))
