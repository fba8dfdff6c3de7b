"""What a run trains on and is validated on: the loaders that a config asks for, and what a step takes from the
config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.loading.loader import Loader
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
        if config.batch_size % world_size:
            found = f"{config.batch_size} images for {world_size} processes"
            above = config.batch_size // world_size * world_size + world_size
            remedy = f"Pass a multiple of {world_size}, such as {above}, so that each process has as many images."
            raise OptionError("batch_size", found, "a multiple of the processes", remedy)
        self.loader = self._open(
            [Path(folder) for folder in (config.data, *config.also)],
            config.train_split,
            config.batch_size // world_size,
            weights=config.mix,
            sample=config.sample,
            leaks=config.leaks,
            base_size=config.base_size,
            seed=config.seed,
            rank=rank,
            world_size=world_size,
            drop_last=True,
            flip_prob=config.flip_prob,
            blur_prob=config.blur_prob,
            gray_prob=config.gray_prob,
            swap_sides=config.swap_sides,
            pad_label=config.pad_label,
        )
        self.classes = self.loader.classes
        self._check_classes()
        self.steps = len(self.loader)
        self.rate(0)  # refuses a warm-up that does not fit before anything is trained
        self.val = None
        if config.validate:
            self.val = self._open([Path(config.data)], config.val_split, config.test_batch_size, augment=False)

    def _check_classes(self) -> None:
        config = self.config
        if len(self.classes) != config.classes:
            found = f"{config.classes}, where {config.data} has {len(self.classes)}"
            remedy = (
                "To go on with a run, pass as --data the packed folder that it began with; to begin a new one with "
                f"this folder, pass TrainConfig(classes={len(self.classes)}) in Python."
            )
            raise OptionError("classes of the network", found, "as many, background included", remedy)
        if config.class_names and (config.class_names, config.flip_pairs) != (self.classes, self.loader.flip_pairs):
            found, expected = ", ".join(config.class_names), f"{', '.join(self.classes)}, as the data and --remap say"
            if config.class_names == self.classes:
                found, expected = (f"left/right pairs {p}" for p in (config.flip_pairs, self.loader.flip_pairs))
            remedy = "Pass as --data the packed folder that the run began with, or begin a new run without --resume."
            raise OptionError("class names of the network", found, expected, remedy)

    def _open(self, folders: list[Path], split: str, batch_size: int, **options: Any) -> Loader:
        config = self.config
        names = [self._names(folder, split) for folder in folders]
        sets = [(folder, split) for folder in folders]
        processes = config.contexts if config.engine == "torch" else 1
        return Loader(
            sets,
            split,
            batch_size,
            crop_size=config.crop_size,
            threads=max(1, (config.workers or usable_cores()) // processes),
            # a device normalises faster than the cores here can, and takes a quarter of the bytes
            dtype="uint8" if config.ngpus else "float32",
            remap=config.remap,
            check=config.check,
            names=names[0] if len(names) == 1 else names,
            **options,
        )

    def _names(self, folder: Path, split: str) -> tuple[str, ...]:
        """The images of a split that count."""
        config, manifest = self.config, read_manifest(folder)
        names = choose_names(manifest, split, config.val_protocol, config.leak_free)
        if not names:
            remedy = "Pass another --train-split or --val-split, or leave out --val-protocol and --leak-free."
            raise OptionError(f"{folder}, split {split}", "no images", "at least one", remedy)
        if not manifest.splits[split].labelled:
            known = " or ".join(name for name, one in manifest.splits.items() if one.labelled) or "a labelled split"
            remedy = f"Pass {known} as --train-split and --val-split, or --no-val to train without validation."
            raise OptionError(f"{folder}, split {split}", "has no labels", "a split with labels", remedy)
        return names

    def rate(self, step: int) -> float:
        """The learning rate of a step of the run."""
        config, steps = self.config, self.config.epochs * self.steps
        warmup = round(config.warmup_epochs * self.steps)
        return learning_rate(step, steps, config.lr, config.schedule, warmup, config.power)

    def names(self, indices: np.ndarray) -> tuple[str, ...]:
        """The names of a batch's samples; "" for one that was left out."""
        return tuple(self.loader.name(i) if i >= 0 else "" for i in indices.tolist())

    def close(self) -> None:
        """End the loaders' threads."""
        self.loader.close()
        if self.val is not None:
            self.val.close()
