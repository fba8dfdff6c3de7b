"""What a run trains on and is validated on: the loaders that a config asks for, and what a step takes from the
config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.loading.loader import Loader
from mhpdata.settings.mixing import Mix
from mhpdata.settings.output import Output
from mhpdata.settings.share import Share
from mhpdata.settings.views import CentreCrop, TrainCrop, View
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.protocol import choose_names
from mhpdata.threads import usable_cores
from mhpmodels.config import TrainConfig
from mhpmodels.training.schedule import learning_rate


class Feed:
    """The data of a run.

    Every step has the same number of images: what is left at an epoch's end is left out (another choice of images at
        each epoch), so that batch statistics are always of as many and contexts and ranks have equal shares.

    Args:
        config: of the run.
        rank, world_size: this process's share.

    Attributes:
        loader: of training. val: of validation, None without.
        classes: names, by label.
        steps: of an epoch.

    Raises:
        OptionError: the config does not fit the data or the number of processes.
        PackedError: the packed folder is missing or damaged.
    """

    def __init__(self, config: TrainConfig, rank: int = 0, world_size: int = 1) -> None:
        self.config = config
        if config.optim.batch_size % world_size:
            found = f"{config.optim.batch_size} images for {world_size} processes"
            above = config.optim.batch_size // world_size * world_size + world_size
            remedy = f"Pass a multiple of {world_size}, such as {above}, so that each process has as many images."
            raise OptionError("batch_size", found, "a multiple of the processes", remedy)
        self.loader = self._open(
            config.data.folders,
            config.data.train_split,
            config.optim.batch_size // world_size,
            config.view,
            Share.told(rank, world_size),
        )
        self.classes = self.loader.classes
        self._check_classes()
        self.steps = len(self.loader)
        self.rate(0)  # refuses a warm-up that does not fit before anything is trained
        self.val = None
        if config.run.validate:
            view, share = CentreCrop(config.view.size), Share(every=True)
            folders = (config.data.folder,)
            self.val = self._open(folders, config.data.val_split, config.run.test_batch_size, view, share)

    def _check_classes(self) -> None:
        config, network = self.config, self.config.network
        if len(self.classes) != network.classes:
            found = f"{network.classes}, where {config.data.folder} has {len(self.classes)}"
            remedy = (
                "To go on with a run, pass as --data the packed folder that it began with; to begin a new one with "
                f"this folder, pass TrainConfig.of(classes={len(self.classes)}) in Python."
            )
            raise OptionError("classes of the network", found, "as many, background included", remedy)
        if network.class_names and (network.class_names, network.flip_pairs) != (self.classes, self.loader.flip_pairs):
            found, expected = ", ".join(network.class_names), f"{', '.join(self.classes)}, as the data and --remap say"
            if network.class_names == self.classes:
                found, expected = (f"left/right pairs {p}" for p in (network.flip_pairs, self.loader.flip_pairs))
            remedy = "Pass as --data the packed folder that the run began with, or begin a new run without --resume."
            raise OptionError("class names of the network", found, expected, remedy)

    def _open(self, folders: Sequence[str], split: str, batch_size: int, view: View, share: Share) -> Loader:
        """Open the loader of a split of some folders; in training with the weights of the sets."""
        config, training = self.config, isinstance(view, TrainCrop)
        for folder in folders:
            self._check_split(Path(folder), split)
        processes = config.machine.contexts if config.machine.engine == "torch" else 1
        return Loader(
            [(folder, split) for folder in folders],
            split,
            batch_size,
            view,
            choose=config.choose,
            mix=config.mix if training else Mix(remap=config.mix.remap),
            share=share,
            # a device normalises faster than the cores here can, and takes a quarter of the bytes
            output=Output(dtype="uint8" if config.machine.ngpus else "float32"),
            seed=config.run.seed,
            threads=max(1, (config.machine.workers or usable_cores()) // processes),
            drop_last=training,
            check=config.machine.check,
        )

    def _check_split(self, folder: Path, split: str) -> None:
        """Raise OptionError for a split without images that count, or without labels."""
        choose, manifest = self.config.choose, read_manifest(folder)
        if not choose_names(manifest, split, choose.protocol, choose.leak_free, choose.unseen):
            remedy = "Pass another --train-split or --val-split, or leave out --val-protocol and --leak-free."
            raise OptionError(f"{folder}, split {split}", "no images", "at least one", remedy)
        if not manifest.splits[split].labelled:
            known = " or ".join(name for name, one in manifest.splits.items() if one.labelled) or "a labelled split"
            remedy = f"Pass {known} as --train-split and --val-split, or --no-val to train without validation."
            raise OptionError(f"{folder}, split {split}", "has no labels", "a split with labels", remedy)

    def rate(self, step: int) -> float:
        """The learning rate of a step of the run."""
        config, steps = self.config, self.config.schedule.epochs * self.steps
        warmup = round(config.schedule.warmup_epochs * self.steps)
        return learning_rate(step, steps, config.optim.lr, config.schedule.decay, warmup, config.schedule.power)

    def names(self, indices: np.ndarray) -> tuple[str, ...]:
        """The names of a batch's samples; "" for one that was left out."""
        return tuple(self.loader.name(i) if i >= 0 else "" for i in indices.tolist())

    def close(self) -> None:
        """End the loaders' threads."""
        self.loader.close()
        if self.val is not None:
            self.val.close()
