"""Train in Lightning on packed shards. ``python examples/lightning_loop.py --help`` shows the arguments.

There is one process per device, each with its share of the images. OUT/last.ckpt includes the position in the epoch:
run the same command again to resume an interrupted run with its next batch.
"""

import argparse
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

import mhpdata
import mhpmodels


class Parsing(lightning.LightningDataModule):
    """The splits train and val of a packed folder; ``batch_size`` is per process."""

    def __init__(self, folder, batch_size=4, crop=256):
        super().__init__()
        self.folder, self.batch_size, self.crop = folder, batch_size, crop

    def train_dataloader(self):
        return self.batches("train", mhpdata.TrainCrop(self.crop, base_size=self.crop), drop_last=True)

    def val_dataloader(self):
        return self.batches("val", mhpdata.CentreCrop(self.crop))

    def batches(self, split, view, **options):
        share = mhpdata.Share(self.trainer.global_rank, self.trainer.world_size)
        loader = mhpdata.Loader(self.folder, split, self.batch_size, view, share=share, **options)
        return mhpmodels.to_torch(loader, self.trainer.strategy.root_device)


class Network(lightning.LightningModule):
    """A small network; ``val_acc`` is the pixel accuracy over all processes."""

    def __init__(self, classes):
        super().__init__()
        layers = nn.Conv2d(3, 32, 5, 2, 2), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, classes, 3, 1, 1)
        self.layers = nn.Sequential(*layers, nn.Upsample(scale_factor=2, mode="bilinear"))

    def training_step(self, batch, number):
        return nn.functional.cross_entropy(self.layers(batch.images), batch.labels.long(), ignore_index=255)

    def on_validation_epoch_start(self):
        self.counts = torch.zeros(2, dtype=torch.int64, device=self.device)  # correct pixels, labelled pixels

    def validation_step(self, batch, number):
        right = self.layers(batch.images).argmax(1) == batch.labels
        self.counts += torch.stack([right.sum(), (batch.labels != 255).sum()])

    def on_validation_epoch_end(self):
        right, labelled = self.trainer.strategy.reduce(self.counts, reduce_op="sum")
        self.log("val_acc", right / labelled, rank_zero_only=True)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 1e-3)


def train(data, out, save_every=50, callbacks=(), **options):
    """Train on ``data``, or resume from OUT/last.ckpt; ``options`` are those of lightning.Trainer."""
    saving = ModelCheckpoint(out, "last", every_n_train_steps=save_every, enable_version_counter=False)
    trainer = lightning.Trainer(callbacks=[saving, *callbacks], logger=False, **options)
    network, last = Network(len(mhpdata.open(data.folder, "train").classes)), Path(out) / "last.ckpt"
    trainer.fit(network, datamodule=data, ckpt_path=last if last.exists() else None)
    return trainer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train in Lightning on packed shards.")
    parser.add_argument("rec", help="packed folder")
    parser.add_argument("out", help="folder for the checkpoint, from which the same command resumes")
    parser.add_argument("epochs", nargs="?", type=int, default=10, help="number of epochs (default: 10)")
    parser.add_argument("devices", nargs="?", type=int, default=1, help="number of devices (default: 1)")
    args = parser.parse_args()
    done = train(Parsing(args.rec), args.out, max_epochs=args.epochs, devices=args.devices)
    print(f"Process {done.global_rank} of {done.world_size}: {done.global_step} steps, {done.callback_metrics}")
