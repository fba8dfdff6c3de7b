"""Use mhp's batches in Lightning and Accelerate; test_lightning.py runs this in an environment with both.

Usage: python lightning_loops.py LOOP REC OUT. An AssertionError reports a failure.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import lightning
import loading
import numpy as np
import torch
from torch.utils.data import DataLoader

import mhpdata
import mhpmodels
from mhpmodels.engines.torch.copies import Copies, TensorBatch

STEPS, EPOCHS = 3, 3


class StoppedError(Exception):
    """Simulates a kill of the run."""


def open_loader(rec, **options):
    return loading.open_loader(rec, "train", size=32, base_size=48, batch_size=2, **options)


def note(batch):
    """Return the exact content of a batch."""
    images = np.ascontiguousarray(batch["images"])
    return [int(i) for i in batch["indices"]], zlib.crc32(images), zlib.crc32(np.ascontiguousarray(batch["labels"]))


class Module(lightning.LightningModule):
    """A network of one layer that records its batches, saves after the step ``save`` and stops there."""

    def __init__(self, save=None, path=None):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 19, 1)
        self.seen, self.save, self.path = [], save, path

    def training_step(self, batch, number):
        self.seen.append(note(batch))
        images, labels = (torch.as_tensor(batch[key]) for key in ("images", "labels"))
        loss = torch.nn.functional.cross_entropy(self.layer(images), labels.long(), ignore_index=255)
        if isinstance(batch, TensorBatch):
            self.log("loss", loss, on_epoch=True)  # logging needs the batch size
        return loss

    def on_train_batch_end(self, *_):
        if self.global_step == self.save:
            self.trainer.save_checkpoint(self.path)
            raise StoppedError

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(module, batches, checkpoint=None, epochs=EPOCHS, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, **{**quiet, "enable_checkpointing": False, **options}
    )
    trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=False if checkpoint else None)
    return module.seen


def expected(rec):
    """Return the batches of a plain loop, epoch by epoch."""
    batches = mhpmodels.to_torch(open_loader(rec))
    epochs = [[note(batch) for batch in batches] for _ in range(EPOCHS)]
    assert all(len(epoch) == STEPS for epoch in epochs) and epochs[0] != epochs[1] != epochs[2]
    return epochs


def joined(epochs):
    return list(chain.from_iterable(epochs))


def epochs_differ(rec, out):
    whole = joined(expected(rec))
    assert fit(Module(), mhpmodels.to_torch(open_loader(rec))) == whole
    assert fit(Module(), Copies(open_loader(rec), "cpu", ahead=True)) == whole
    loader = open_loader(rec)
    assert fit(Module(), loader, epochs=1) == whole[:STEPS], "the loader itself gives NumPy's arrays"


def fewer_batches(rec, out):
    """Check that a loop that leaves each epoch early gets a new epoch each time."""
    epochs = expected(rec)
    found = fit(Module(), mhpmodels.to_torch(open_loader(rec)), limit_train_batches=2)
    assert found == joined(epoch[:2] for epoch in epochs)


def resumes(rec, out):
    """Check that a run killed after any step resumes like an uninterrupted one."""
    whole = joined(expected(rec))
    for ahead in (False, True):
        for save in range(1, EPOCHS * STEPS):
            path = Path(out) / f"{ahead}-{save}.ckpt"
            killed = Module(save, path)
            with suppress(StoppedError):
                fit(killed, Copies(open_loader(rec), "cpu", ahead))
            assert killed.seen == whole[:save]
            assert fit(Module(), Copies(open_loader(rec), "cpu", ahead), path) == whole[save:], (ahead, save)


def resumes_at_an_epochs_end(rec, out):
    """Check that a run resumes from the checkpoint that Lightning writes by itself."""
    whole = joined(expected(rec))
    callback = lightning.pytorch.callbacks.ModelCheckpoint(out, "{epoch}", save_top_k=-1)
    fit(Module(), mhpmodels.to_torch(open_loader(rec)), callbacks=[callback], enable_checkpointing=True)
    for epoch in range(EPOCHS - 1):
        path = Path(out) / f"epoch={epoch}.ckpt"
        assert fit(Module(), mhpmodels.to_torch(open_loader(rec)), path) == whole[STEPS * (epoch + 1) :]


def samples(rec, out):
    """Check torch's own DataLoader over a split, in both loops."""
    from accelerate import Accelerator

    class Count(Module):
        def training_step(self, batch, number):
            self.seen.append((batch["name"][0], batch.image.shape[0]))
            return self.layer(batch.image.permute(0, 3, 1, 2) / 255).mean()

    split = mhpdata.open(rec, "train")
    names = [(name, 1) for name in split.names]
    assert fit(Count(), DataLoader(split), epochs=1) == names
    loader = Accelerator(cpu=True).prepare(DataLoader(split, num_workers=2))
    assert [(batch["name"][0], batch.image.shape[0]) for batch in loader] == names


def accelerate(rec, out):
    from accelerate import Accelerator
    from accelerate.utils import find_batch_size, send_to_device

    whole = joined(expected(rec))
    for save in range(1, EPOCHS * STEPS):
        accelerator = Accelerator(cpu=True)
        batches, _ = accelerator.prepare(mhpmodels.to_torch(open_loader(rec)), torch.nn.Conv2d(3, 19, 1))
        accelerator.register_for_checkpointing(batches)
        found = []
        while len(found) < save:
            for batch in islice(batches, min(STEPS, save - len(found))):
                assert find_batch_size(batch) == len(batch.indices)
                moved = send_to_device(batch, torch.device("meta"))
                assert type(moved) is TensorBatch and moved.indices.device.type == "meta"
                found.append(note(batch))
        accelerator.save_state(f"{out}/{save}")
        other = Accelerator(cpu=True)
        batches = other.prepare(mhpmodels.to_torch(open_loader(rec)))
        other.prepare(torch.nn.Conv2d(3, 19, 1))
        other.register_for_checkpointing(batches)
        other.load_state(f"{out}/{save}")
        rest = (EPOCHS * STEPS - save + STEPS - 1) // STEPS
        assert found + [note(batch) for _ in range(rest) for batch in batches] == whole


LOOPS = (epochs_differ, fewer_batches, resumes, resumes_at_an_epochs_end, samples, accelerate)

if __name__ == "__main__":
    warnings.filterwarnings("error", message=".*ambiguous.*")
    warnings.filterwarnings("error", message=".*length.*")
    {loop.__name__: loop for loop in LOOPS}[sys.argv[1]](*sys.argv[2:])
