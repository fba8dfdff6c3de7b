"""One training step, prediction and files, for torch.

::

    images, labels ─> device ─> network (autocast) ─> loss x scaler ─> gradients, summed over the ranks by DDP
                                     finite? no: put the running statistics back, and that is all
                                            yes: clip, optimiser, the average of the weights

A gradient is that of the mean over all labelled pixels of the batch of all ranks. The check comes before anything but
the running statistics has changed.

Run here: the CPU, alone and over gloo; CUDA on one H100 (``tests/engines/test_torch_cuda.py``). Not run, for want of a
second GPU: NCCL. The same state, batch and seed give the same step bit for bit on the CPU; on CUDA to rounding, since
some of
torch's backward passes, as that of pooling, add up there in any order.
"""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mhpdata.errors import CheckpointError, EngineError
from mhpmodels.config import IGNORE
from mhpmodels.engines.batch import (
    check_shapes,
    check_size,
    output_weights,
    printed_weights,
    seed_of_rank,
    wrong_labels,
)
from mhpmodels.engines.engine import Step
from mhpmodels.engines.torch.backbone import load_backbone
from mhpmodels.engines.torch.copies import Ahead, normalise, on_device
from mhpmodels.engines.torch.loss import output_losses
from mhpmodels.engines.torch.optimizer import STATE, Optimizer
from mhpmodels.engines.torch.ranks import Ranks
from mhpmodels.engines.torch.scaler import Scaler
from mhpmodels.engines.torch.statistics import Statistics
from mhpmodels.engines.torch.weights import fit, read_tensors, read_weights, write_tensors, write_weights
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.networks.norm import synchronise
from mhpmodels.networks.resize import resize

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

_SYNC = ("forward_sync_buffers", "broadcast_buffers")
"""DDP's argument that sends buffers before each step: torch 2.13's name, which earlier ones do not know, and theirs."""
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchEngine:
    """Fulfils ``mhpmodels.engines.engine.Engine``."""

    name = "torch"
    source = ""

    def __init__(self, config: TrainConfig, training: bool) -> None:
        self.config = config
        self._ranks = Ranks(config, training)
        self.rank, self.world_size = self._ranks.rank, self._ranks.world_size
        self._device, self._training = self._ranks.device, training
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self._network = build_network(Architecture.of_config(config), config.dropout, config)
        if config.pretrained_base is not None and training:
            load_backbone(self._network, config.backbone, config.pretrained_base)
        # on the CPU channels-last is slower: 1.3 against 0.7 s a step for ICNet with resnet18, crop 64
        self._format = torch.channels_last if self._device.type == "cuda" else torch.contiguous_format
        self._network.to(self._device, memory_format=self._format)
        self._shown = self._network  # what predicts and is saved
        if training:
            self._prepare()

    def _prepare(self) -> None:
        """What only training needs."""
        config, network = self.config, self._network
        torch.backends.cudnn.benchmark = True  # every step has the same sizes
        if config.syncbn and self.world_size > 1:
            synchronise(network, self._device.type == "cuda")
        self._statistics = Statistics(network, own=not config.syncbn)
        self._optimizer = Optimizer(network, config)
        self._scaler = Scaler(config.dtype == "float16")
        self._ahead: Ahead | None = None
        self._average: Any = None
        if config.ema:
            self._average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
            self._shown = self._average.module
        self._model: Any = network
        if self.world_size > 1:
            with self._ranks.watched():
                # each rank has all of a step's statistics at its end, so none are sent at its beginning
                known = inspect.signature(DistributedDataParallel).parameters
                unsent = {next(name for name in _SYNC if name in known): False}
                self._model = DistributedDataParallel(network, gradient_as_bucket_view=True, **unsent)
        if config.compile:
            self._model = torch.compile(self._model)

    # --- a step -------------------------------------------------------------------------------------------------------

    def train_step(self, images: NDArray[Any], labels: NDArray[np.uint8], rate: float, seed: int) -> Step:
        """See ``mhpmodels.engines.engine.Engine``."""
        self._check(images, labels)
        with self._ranks.watched():
            x, y = self._receive(images, labels)
            total = self._count(y)
            self._network.train()
            self._statistics.keep()
            scaler = self._scaler.factor, self._scaler.good
            loss, gradient = self._differentiate(x, y, total, seed)
            while math.isfinite(loss) and not math.isfinite(gradient) and self._scaler.shrink():
                self._statistics.restore()
                loss, gradient = self._differentiate(x, y, total, seed)
            applied = math.isfinite(loss) and math.isfinite(gradient)
            if applied:
                self._update(rate, gradient, len(images))
            else:  # no factor would have helped, so the factor is as good as it was
                self._statistics.restore()
                self._scaler.factor, self._scaler.good = scaler
            self._optimizer.forget_gradients()
        return Step(loss, gradient, applied)

    def _receive(self, images: NDArray[Any], labels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """The batch on the device: images normalised, labels int64."""
        there = self._ahead.take(images) if self._ahead is not None else None
        x, y = there or (on_device(images, self._device), on_device(labels, self._device))
        return normalise(x).contiguous(memory_format=self._format), y.long()

    def _count(self, labels: Tensor) -> float:
        """Labelled pixels of all ranks, at least 1. Raises EngineError for a label that is no class."""
        labelled = labels != IGNORE
        wrong = labelled & (labels >= self.config.classes)
        counts = torch.stack([labelled.sum(), wrong.sum()]).double()
        total, bad = self._ranks.sum(counts).tolist()
        if bad:
            raise wrong_labels(labels[wrong].unique().tolist(), int(bad), self.config.classes)
        if self.config.old_recipe:  # GluonCV takes the mean on each device
            return float(labelled.sum()) * self.world_size or 1.0
        return total or 1.0

    def _differentiate(self, x: Tensor, y: Tensor, total: float, seed: int) -> tuple[float, float]:
        """Fills in the gradients, times the scaler's factor; the loss and the gradient's norm."""
        self._optimizer.forget_gradients()
        torch.manual_seed(seed_of_rank(seed, self.rank))
        # DDP gives the mean over the ranks, and what is wanted is their sum
        factor = self._scaler.factor * self.world_size / total
        loss = torch.zeros((), device=self._device)
        parts = list(zip(x.chunk(self.config.accumulate), y.chunk(self.config.accumulate), strict=True))
        for number, (images, labels) in enumerate(parts, 1):
            self._exchange(number == len(parts))
            with torch.autocast(self._device.type, _DTYPES[self.config.dtype], self.config.dtype != "float32"):
                outputs = self._model(images)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            weights, classes = output_weights(self.config, len(outputs)), self.config.class_weights
            losses = output_losses(outputs, labels, weights, classes)
            summed = sum(losses, torch.zeros((), device=self._device))
            (summed * factor).backward()
            loss += self._printed(losses, y.numel()) if self.config.old_recipe else summed.detach() / total
        norm = self._optimizer.measure() / self._scaler.factor
        found = torch.stack([self._ranks.sum(loss), norm])
        loss_, norm_ = found.tolist()
        return loss_, norm_

    def _printed(self, losses: list[Tensor], pixels: int) -> Tensor:
        """Return the loss that GluonCV prints, with weighted outputs: the mean over the pixels of all ranks."""
        weights = printed_weights(self.config, len(losses))
        parts = [weight * loss.detach() for weight, loss in zip(weights, losses, strict=True)]
        return torch.stack(parts).sum() / (pixels * self.world_size)

    def _exchange(self, last: bool) -> None:
        """Gradients of the last part bring those of the others with them."""
        if self.world_size > 1:
            model = getattr(self._model, "_orig_mod", self._model)  # torch.compile's wrapper
            model.require_backward_grad_sync = last

    def _update(self, rate: float, gradient: float, images: int) -> None:
        clip = self.config.clip_grad
        scale = 1.0 if clip is None or gradient <= clip else clip / gradient
        if self.config.old_recipe:  # GluonCV sums the devices' mean gradients and divides by the images of all
            scale /= images
        self._optimizer.update(rate, scale / self._scaler.factor)
        self._scaler.grow()
        self._statistics.settle(self._ranks)
        if self._average is not None:
            self._average.update_parameters(self._network)

    def _check(self, images: NDArray[Any], labels: NDArray[np.uint8]) -> None:
        if not self._training:
            expected = "open_engine(config, training=True)"
            remedy = "Open the engine with training=True for train_step, or call predict only."
            raise EngineError("train_step", "an engine that was opened to predict", expected, remedy)
        check_shapes(images, labels)
        _, height, width = labels.shape
        check_size(self.config.model, height, width, training=True)
        batch, parts = len(images), self.config.accumulate
        if batch % parts:
            found = f"{batch} in {parts} parts"
            step = parts * self.world_size
            remedy = f"Pass an --accumulate that divides {batch}, or --batch-size with a multiple of {step}."
            raise EngineError("images", found, "a multiple of the parts (accumulate)", remedy)

    # --- the rest -----------------------------------------------------------------------------------------------------

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """See ``mhpmodels.engines.engine.Engine``; any size of at least 32 pixels."""
        self._shown.eval()
        with torch.inference_mode(), self._ranks.watched():
            x = normalise(on_device(images, self._device)).contiguous(memory_format=self._format)
            with torch.autocast(self._device.type, _DTYPES[self.config.dtype], self.config.dtype != "float32"):
                outputs = self._shown(x)
            logits = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
            if logits.shape[2:] != x.shape[2:]:  # of a network of one's own
                logits = resize(logits, x.shape[2:])
            found: NDArray[np.float32] = logits.contiguous().cpu().numpy()
        return found

    def prefetch(self, loader: Any) -> Any:
        """See ``mhpmodels.engines.engine.Engine``: ``train_step`` knows the arrays of such a batch again."""
        if self._device.type == "cpu":
            return loader
        self._ahead = Ahead(loader, self._device, watched=self._ranks.watched)
        return self._ahead

    def save(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``: a state dict, of the averaged weights where there are."""
        write_weights(path, self._shown.state_dict())

    def load(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``; also GluonCV's ``.params``."""
        tensors = read_weights(path)
        fit(self._network, tensors, path)
        self.source = str(path)
        if self._shown is not self._network:
            fit(self._shown, tensors, path)
            self._average.n_averaged.zero_()  # the next step begins the average anew

    def save_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``: what the optimiser remembers, and the weights themselves beside an
        average."""
        content = self._optimizer.state()
        content |= {"factor": self._scaler.factor, "good": self._scaler.good}
        if self._average is not None:
            content["weights"] = {name: p.detach().cpu() for name, p in self._network.named_parameters()}
            content["averaged"] = int(self._average.n_averaged)
        write_tensors(path, content)

    def load_state(self, path: str | Path) -> None:
        """See ``mhpmodels.engines.engine.Engine``."""
        content = read_tensors(path)
        factor, good = (content.get(name) for name in ("factor", "good")) if isinstance(content, dict) else (0, 0)
        if type(factor) is not float or type(good) is not int or not 1 <= factor < math.inf:
            raise CheckpointError(path, "holds no optimiser's state", "a .state file of engine torch", STATE)
        self._optimizer.check(content, path)
        if self._average is not None:
            self._restore_weights(content, path)
        self._optimizer.restore(content)
        self._scaler.factor, self._scaler.good = factor if self.config.dtype == "float16" else 1.0, good

    def _restore_weights(self, content: dict[str, Any], path: str | Path) -> None:
        """The weights that the average is of; the file of weights had the average and the statistics."""
        weights, averaged = content.get("weights"), content.get("averaged")
        if not isinstance(weights, dict) or type(averaged) is not int:
            remedy = "Pass the .state file of a run with --ema, or leave --ema out (Python: ema=0)."
            found = "holds no running average of the weights (--ema)"
            raise CheckpointError(path, found, "the state of a run with --ema", remedy)
        fit(self._network, {**self._network.state_dict(), **weights}, path)
        self._average.n_averaged.fill_(averaged)

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
