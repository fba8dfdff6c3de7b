"""The torch engine: a network, its files, and with ``training`` its trainer.

Tested on the CPU, alone and over gloo, and with CUDA on one H100 (``tests/engines/test_torch_cuda.py``); not yet with
NCCL, which needs a second GPU. The same state, batch and seed give the same step bit for bit on the CPU; on CUDA up to
rounding, because some of torch's backward passes, such as that of pooling, add in an undefined order there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mhpdata.errors import EngineError
from mhpmodels.engines.batch import check_shapes, check_size
from mhpmodels.engines.engine import Step
from mhpmodels.engines.torch.backbone import load_backbone
from mhpmodels.engines.torch.copies import Ahead, normalise, on_device
from mhpmodels.engines.torch.ranks import Ranks
from mhpmodels.engines.torch.trainer import DTYPES, Trainer
from mhpmodels.engines.torch.weights import (
    fit,
    read_tensors,
    read_weights,
    with_own_heads,
    write_tensors,
    write_weights,
)
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.networks.loss import LossNetwork
from mhpmodels.networks.own import blaming, take_outputs
from mhpmodels.networks.persons import enlarge
from mhpmodels.networks.resize import resize

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig


class TorchEngine:
    """Implementation of ``mhpmodels.engines.engine.Engine``."""

    name = "torch"
    source = ""

    def __init__(self, config: TrainConfig, training: bool) -> None:
        self.config = config
        self._ranks = Ranks(config, training)
        self.rank, self.world_size = self._ranks.rank, self._ranks.world_size
        self._device = self._ranks.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.run.seed)
            self._network = build_network(Architecture.of_config(config), config.network.dropout, config)
        if config.network.pretrained_base is not None and training:
            load_backbone(self._network, config.network.backbone, config.network.pretrained_base)
        # on the CPU channels-last is slower: 1.3 instead of 0.7 s per step for ICNet with resnet18, crop 64
        self._format = torch.channels_last if self._device.type == "cuda" else torch.contiguous_format
        self._network.to(self._device, memory_format=self._format)
        self._to_train = Trainer(config, self._network, self._ranks, self._format) if training else None
        self._shown = self._network if self._to_train is None else self._to_train.shown  # what predicts and is saved

    @property
    def trainer(self) -> Trainer:
        """The trainer. Raises EngineError if the engine was opened for prediction."""
        if self._to_train is None:
            expected = "one opened with open_engine(config, training=True)"
            remedy = "Open the engine with training=True."
            raise EngineError("train_step", "an engine that was opened for prediction", expected, remedy)
        return self._to_train

    def train_step(
        self,
        images: NDArray[Any],
        labels: NDArray[np.uint8],
        rate: float,
        seed: int,
        targets: NDArray[Any] | None = None,
    ) -> Step:
        """See ``mhpmodels.engines.engine.PersonEngine``."""
        trainer = self.trainer
        self._check(images, labels)
        if targets is not None:
            self._check_targets(labels, targets)
        return trainer.step(images, labels, rate, seed, targets)

    def _check_targets(self, labels: NDArray[np.uint8], targets: NDArray[Any]) -> None:
        masks = isinstance(self._network, LossNetwork)
        kind, planes = (
            (np.dtype(np.uint8), targets.shape[1] if targets.ndim > 1 else 0) if masks else (np.dtype(np.float32), 4)
        )
        wanted = (len(labels), planes, *labels.shape[1:])
        if not self.config.network.persons:
            remedy = "Open the engine with TrainConfig.of(persons=True), or omit the targets."
            raise EngineError("targets", "given to a network without heads of persons", "", remedy)
        if targets.dtype != kind or targets.shape != wanted:
            what = "masks" if masks else "targets"
            remedy = f'Pass the {what} of one batch of mhpdata.Loader(..., output=Output(persons="{what}")).'
            raise EngineError("targets", f"{targets.dtype} {targets.shape}", f"{kind} {wanted}", remedy)

    def _check(self, images: NDArray[Any], labels: NDArray[np.uint8]) -> None:
        check_shapes(images, labels)
        _, height, width = labels.shape
        check_size(self.config.network.model, height, width, training=True)
        batch, pieces = len(images), self.config.optim.accumulate
        if batch % pieces:
            found, expected = f"{batch}, to be split by --accumulate {pieces}", f"a multiple of {pieces}"
            multiple = pieces * self.world_size
            remedy = f"Pass an --accumulate that divides {batch}, or a --batch-size that is a multiple of {multiple}."
            raise EngineError("images", found, expected, remedy)

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.Engine``; any size of at least 32 pixels."""
        return self._predict(images, False)

    def predict_persons(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.PersonPredictor``; any size of at least 32 pixels."""
        return self._predict(images, True)

    def _predict(self, images: NDArray[Any], persons: bool) -> NDArray[np.float32]:
        self._shown.eval()
        with torch.inference_mode(), self._ranks.watched():
            x = normalise(on_device(images, self._device)).contiguous(memory_format=self._format)
            dtype, network = self.config.optim.dtype, self.config.network
            with torch.autocast(self._device.type, DTYPES[dtype], dtype != "float32"), blaming(network.model):
                outputs = self._shown(x)
            (main, *_), maps = take_outputs(network.model, outputs, x, network.classes, network.persons)
            logits = main.float()
            if logits.shape[2:] != x.shape[2:]:  # a user-defined network
                logits = resize(logits, x.shape[2:])
            if persons:
                assert maps is not None, "config.network.persons"
                queries = isinstance(self._shown, LossNetwork)
                logits = torch.cat([logits, maps if queries else enlarge(maps, x.shape[2:])], 1)
            array: NDArray[np.float32] = logits.contiguous().cpu().numpy()
        return array

    def prefetch(self, loader: Any) -> Any:
        """See ``mhpmodels.engines.engine.Engine``: ``train_step`` recognises the arrays of such a batch."""
        if self._device.type == "cpu":
            return loader
        self.trainer.ahead = Ahead(loader, self._device, watched=self._ranks.watched)
        return self.trainer.ahead

    def broadcast(self, value: float) -> float:
        """See ``mhpmodels.engines.engine.Engine``."""
        return self._ranks.broadcast(value)

    def save(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``; writes a state dict, with ``ema`` of the averaged weights."""
        write_weights(path, self._shown.state_dict())

    def load(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``; also GluonCV's ``.params``.

        For training, the heads of persons keep their weights if the file has none.
        """
        tensors = read_weights(path)
        if self._to_train is not None:
            tensors = with_own_heads(self._network, tensors)
        fit(self._network, tensors, path)
        self.source = str(path)
        if self._to_train is not None:
            self._to_train.restart_average(tensors, path)

    def save_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        write_tensors(path, self.trainer.state())

    def load_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        self.trainer.restore(read_tensors(path), path)

    def describe(self) -> dict[str, Any]:
        """See ``mhpmodels.engines.engine.Engine``."""
        cuda = self._device.type == "cuda"
        return {
            "framework": "torch",
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "parameters": sum(p.numel() for p in self._network.parameters()),
            "devices": [torch.cuda.get_device_name(self._device) if cuda else str(self._device)],
            "world_size": self.world_size,
        }

    def close(self) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        ranks = self._ranks
        self.__dict__ = {"config": self.config, "rank": self.rank, "world_size": self.world_size, "_ranks": ranks}
        ranks.close()
