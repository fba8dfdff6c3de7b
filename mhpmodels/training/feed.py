"""The data of a run: its training and validation loaders, and the learning rate of each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mhpdata.errors import OptionError
from mhpdata.loading.loader import Loader
from mhpdata.processes.threads import usable_cores
from mhpdata.settings.caching import Cache
from mhpdata.settings.mixing import Mix
from mhpdata.settings.output import MASKS, TARGETS, Output
from mhpdata.settings.share import Share
from mhpdata.settings.views import CentreCrop, TrainCrop, View
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.protocol import choose_names
from mhpdata.wording import either
from mhpmodels.config import TrainConfig
from mhpmodels.files.provenance import TrainingData
from mhpmodels.training.schedule import learning_rate


class Feed:
    """Open the loaders of a run.

    Every step has the same number of images, so batch statistics stay comparable, and contexts and ranks get equal
    shares. The incomplete batch at the end of an epoch is dropped; each epoch drops other images.

    Args:
        config: configuration of the run.
        rank: rank of this process, from 0.
        world_size: number of processes.

    Attributes:
        loader: training loader.
        val: validation loader; None without validation.
        classes: class names, by label.
        described: description of each packed folder's training split, in the order of the folders.
        steps: number of steps per epoch.

    Raises:
        OptionError: the config does not fit the data or the number of processes.
        PackedError: the packed folder is missing or damaged.
    """

    def __init__(self, config: TrainConfig, rank: int = 0, world_size: int = 1) -> None:
        self.config = config
        if config.optim.batch_size % world_size:
            found = f"{config.optim.batch_size} images for {world_size} processes"
            above = config.optim.batch_size // world_size * world_size + world_size
            remedy = f"Pass {above}, so that every process gets the same number of images."
            raise OptionError("batch_size", found, f"a multiple of {world_size}", remedy)
        self.described = tuple(self._describe(folder, config.data.train_split) for folder in config.data.folders)
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
        self.rate(0)  # rejects a warm-up that is too long before training starts
        self.val = None
        if config.run.validate:
            view, share = CentreCrop(config.view.size), Share(every=True)
            folders = (config.data.folder,)
            self._describe(config.data.folder, config.data.val_split)
            self.val = self._open(folders, config.data.val_split, config.run.test_batch_size, view, share)

    def _check_classes(self) -> None:
        config, network = self.config, self.config.network
        if len(self.classes) != network.classes:
            expected = f"{len(self.classes)}, the number in {config.data.folder}, background included"
            remedy = (
                "Pass the packed folder of the original run as --data to resume it; to start a new run with this "
                f"folder, pass TrainConfig.of(classes={len(self.classes)}) in Python."
            )
            raise OptionError("classes of the network", f"{network.classes}", expected, remedy)
        if network.class_names and (network.class_names, network.flip_pairs) != (self.classes, self.loader.flip_pairs):
            found, expected = ", ".join(network.class_names), f"{', '.join(self.classes)}, from --data and --remap"
            if network.class_names == self.classes:
                found, expected = (f"left/right pairs {p}" for p in (network.flip_pairs, self.loader.flip_pairs))
            remedy = "Pass the packed folder of the original run as --data, or start a new run without --resume."
            raise OptionError("class names of the network", found, expected, remedy)

    def _open(self, folders: Sequence[str], split: str, batch_size: int, view: View, share: Share) -> Loader:
        """Open the loader of a split of some folders; for training, mixed by the weights of the folders."""
        config, training = self.config, isinstance(view, TrainCrop)
        processes = config.machine.contexts if config.machine.engine == "torch" else 1
        try:
            return Loader(
                [(folder, split) for folder in folders],
                split,
                batch_size,
                view,
                choose=config.choose,
                mix=config.mix if training else Mix(remap=config.mix.remap),
                share=share,
                # uint8 is a quarter of the bytes to copy, and the GPU normalises faster than the CPU
                output=Output(
                    dtype="uint8" if config.machine.ngpus else "float32",
                    persons=config.network.persons and (TARGETS if training and not config.network.queries else MASKS),
                ),
                seed=config.run.seed,
                threads=max(1, (config.machine.workers or usable_cores()) // processes),
                drop_last=training,
                check=config.machine.check,
                cache=None if config.machine.cache is None else Cache(config.machine.cache, config.machine.cache_gb),
            )
        except OptionError as error:
            if error.place != "batch_size":
                raise
            remedy = "Pass a --batch-size, which counts all processes, of at most the number of training images."
            raise error.at("batch_size", remedy) from error

    def _describe(self, folder: str, split: str) -> TrainingData:
        """Describe a split. Raises OptionError if it has no images after filtering, or no labels."""
        choose, manifest = self.config.choose, read_manifest(folder)
        if not choose_names(manifest, split, choose.protocol, choose.leak_free, choose.unseen):
            remedy = "Pass another --train-split or --val-split, or omit --val-protocol and --leak-free."
            raise OptionError(f"{folder}, split {split}", "no images", "at least one", remedy)
        if not manifest.splits[split].labelled:
            labelled = [name for name, one in manifest.splits.items() if one.labelled]
            known = either(labelled) if labelled else "a labelled split"
            remedy = f"Pass {known} as --train-split and --val-split, or --no-val to train without validation."
            raise OptionError(f"{folder}, split {split}", "no labels", "a labelled split", remedy)
        return TrainingData.of(folder, split, manifest)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step; steps count from 0 over the run."""
        config, steps = self.config, self.config.schedule.epochs * self.steps
        warmup = round(config.schedule.warmup_epochs * self.steps)
        return learning_rate(step, steps, config.optim.lr, config.schedule.decay, warmup, config.schedule.power)

    def trains_persons(self, step: int) -> bool:
        """Return whether a step, counted from 0 over the run, trains heads or queries of persons."""
        return self.config.trains_persons(step, self.steps)

    def names(self, indices: np.ndarray) -> tuple[str, ...]:
        """Return the names of a batch's samples, given their int64 (N,) indices; "" for one that was left out."""
        return tuple(self.loader.name(i) if i >= 0 else "" for i in indices.tolist())

    def close(self) -> None:
        """Stop the loaders' threads."""
        self.loader.close()
        if self.val is not None:
            self.val.close()
