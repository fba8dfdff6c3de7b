"""Run one training step with torch: sum the gradients over the ranks, check them, apply them or roll the step back.

::

    images, labels ─> device ─> network (autocast) ─> loss x scaler ─> gradients, summed over the ranks by DDP
                                     finite? no: drop the running statistics of the step
                                            yes: clip, optimiser, running statistics, average of the weights

The gradient is that of the mean loss over all labelled pixels in the batch of all ranks; a LossNetwork computes a loss
of its own. Nothing but the statistics of layers other than ``networks.norm.BatchNorm`` changes before the check. The
gradients stay until the next step: freeing them earlier costs page faults on the CPU, 10 of 135 ms for ICNet with
resnet18 and crop 96.
"""

from __future__ import annotations

import inspect
import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mhpdata.errors import CheckpointError
from mhpdata.labels import IGNORE
from mhpmodels.config import PERSONS
from mhpmodels.engines.batch import output_weights, printed_weights, seed_of_rank, wrong_labels
from mhpmodels.engines.engine import Step
from mhpmodels.engines.torch.copies import Ahead, normalise, on_device
from mhpmodels.engines.torch.loss import output_losses, person_loss
from mhpmodels.engines.torch.optimizer import STATE, Optimizer
from mhpmodels.engines.torch.ranks import Ranks
from mhpmodels.engines.torch.scaler import Scaler
from mhpmodels.engines.torch.statistics import Statistics
from mhpmodels.engines.torch.weights import fit
from mhpmodels.networks.loss import LossNetwork
from mhpmodels.networks.norm import synchronise
from mhpmodels.networks.overlap_loss import OverlapLoss
from mhpmodels.networks.own import blaming, is_own, take_outputs

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""{name in ``TrainConfig.dtype``: torch's type}."""
_SYNC = ("forward_sync_buffers", "broadcast_buffers")
"""DDP's argument that broadcasts buffers before each step: its name in torch 2.13, and in earlier versions."""


class _Batch(NamedTuple):
    """A batch on the device, and what its sums are divided by, over all ranks: labelled pixels; the weights of the
    errors of its persons; the amounts of a LossNetwork."""

    images: Tensor
    labels: Tensor
    targets: Tensor | None
    labelled: float
    person_rates: tuple[float, float]
    amounts: list[float]

    def chunks(self, count: int) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Split the batch into parts of images, labels and targets."""
        targets = [None] * count if self.targets is None else self.targets.chunk(count)
        return list(zip(self.images.chunk(count), self.labels.chunk(count), targets, strict=True))


class Trainer:
    """The training of a network: optimiser, loss scaling, running statistics and weight average.

    Args:
        config: optimiser, precision and loss are used.
        network: network on its device, in ``memory_format``.
        ranks: the processes that train together.
        memory_format: torch's memory format of images and network.

    Attributes:
        shown: the network that predicts and is saved: with ``config.optim.ema`` the running average of the weights,
            otherwise ``network``.
        scaler: the scaling factor of the loss.
        ahead: the loader that prefetches batches to the device, or None.
    """

    def __init__(
        self, config: TrainConfig, network: nn.Module, ranks: Ranks, memory_format: torch.memory_format
    ) -> None:
        self.config, self._network, self._ranks, self.memory_format = config, network, ranks, memory_format
        self._device, self.world_size = ranks.device, ranks.world_size
        torch.backends.cudnn.benchmark = True  # all steps have the same sizes
        if config.network.syncbn and self.world_size > 1:
            synchronise(network, self._device.type == "cuda")
        own, collect = not config.network.syncbn, not config.machine.compile
        self._statistics = Statistics(network, own, collect)
        self._optimizer = Optimizer(network, config)
        self._overlap = OverlapLoss(config.loss.dice_weight, config.loss.lovasz_weight, self.world_size, ranks.sum)
        self.scaler = Scaler(config.optim.dtype == "float16")
        self.ahead: Ahead | None = None
        self.shown: nn.Module = network
        self._average: Any = None
        if config.optim.ema:
            self._average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.optim.ema))
            self.shown = self._average.module
        self._resized = {} if is_own(config.network.model) else getattr(network, "resized", {})
        self._model = self._wrap()

    def _wrap(self) -> Any:
        """Return the network wrapped for training: DDP with several ranks, torch.compile if configured."""
        model: Any = self._network
        if self.world_size > 1:
            with self._ranks.watched():
                # all ranks have the same statistics after a step, so DDP need not broadcast them before the next
                known = inspect.signature(DistributedDataParallel).parameters
                unsent = {next(name for name in _SYNC if name in known): False}
                model = DistributedDataParallel(model, gradient_as_bucket_view=True, **unsent)
        return torch.compile(model) if self.config.machine.compile else model

    def step(
        self,
        images: NDArray[Any],
        labels: NDArray[np.uint8],
        rate: float,
        seed: int,
        targets: NDArray[Any] | None = None,
    ) -> Step:
        """Run a step, or roll it back if it is non-finite (``mhpmodels.engines.engine.PersonEngine.train_step``)."""
        with self._ranks.watched():
            batch = self._receive(images, labels, targets)
            self._network.train()
            self._statistics.keep()
            scaler = self.scaler.factor, self.scaler.good
            loss, gradient = self._differentiate(batch, seed)
            while math.isfinite(loss) and not math.isfinite(gradient) and self.scaler.shrink():
                self._statistics.restore()
                loss, gradient = self._differentiate(batch, seed)
            applied = math.isfinite(loss) and math.isfinite(gradient)
            if applied:
                self._update(rate, gradient, len(images))
            else:  # no factor makes this step finite, so keep the factor from before it
                self._statistics.restore()
                self.scaler.factor, self.scaler.good = scaler
        return Step(loss, gradient, applied)

    def _receive(self, images: NDArray[Any], labels: NDArray[np.uint8], targets: NDArray[Any] | None) -> _Batch:
        """Return the batch on the device: images normalised, labels int64."""
        prefetched = self.ahead.take(images) if self.ahead is not None else None
        if prefetched is None:
            arrays = (images, labels) if targets is None else (images, labels, targets)
            x, y, *others = (on_device(array, self._device) for array in arrays)
        else:
            x, y = prefetched.images, prefetched.labels
            there = prefetched.masks if isinstance(self._network, LossNetwork) else prefetched.targets
            others = [] if targets is None or there is None else [there]
        t, y = others[0] if others else None, y.long()
        labelled, rates, amounts = self._count(y), (0.0, 0.0), list[float]()
        if isinstance(self._network, LossNetwork):
            amounts = self._ranks.sum(self._network.amounts(y, t)).tolist()
        elif t is not None:
            rates = self._person_rates(t)
        return _Batch(normalise(x).contiguous(memory_format=self.memory_format), y, t, labelled, rates, amounts)

    def _person_rates(self, targets: Tensor) -> tuple[float, float]:
        """Return the weights of an error of the heatmap and of an offset, which make means over all ranks of sums."""
        heat, offset = self.config.loss.person_weights
        pixels = torch.tensor(float(targets[:, 3].numel()), dtype=torch.float64, device=targets.device)
        counts = torch.stack([targets[:, 3].sum(dtype=torch.float64), pixels])
        offsets, pixels_ = self._ranks.sum(counts).tolist()
        return heat / pixels_, offset / max(1.0, 2 * offsets)

    def _count(self, labels: Tensor) -> float:
        """Return the labelled pixels of all ranks, at least 1. Raises EngineError for an out-of-range label."""
        labelled = labels != IGNORE
        wrong = labelled & (labels >= self.config.network.classes)
        counts = torch.stack([labelled.sum(), wrong.sum()]).double()
        total, bad = self._ranks.sum(counts).tolist()
        if bad:
            raise wrong_labels(labels[wrong].unique().tolist(), int(bad), self.config.network.classes)
        if self.config.run.old_recipe:  # GluonCV averages per device
            return float(labelled.sum()) * self.world_size or 1.0
        return total or 1.0

    def _differentiate(self, batch: _Batch, seed: int) -> tuple[float, float]:
        """Compute the gradients, scaled by the scaler's factor; return the loss and the norm of the true gradient."""
        self._optimizer.forget_gradients()
        torch.manual_seed(seed_of_rank(seed, self._ranks.rank))
        # DDP averages over the ranks; the factor world_size makes that a sum
        factor = self.scaler.factor * self.world_size / batch.labelled
        loss = torch.zeros((), device=self._device)
        chunks = batch.chunks(self.config.optim.accumulate)
        for number, (images, labels, targets) in enumerate(chunks, 1):
            self._exchange(number == len(chunks))
            dtype, network = self.config.optim.dtype, self.config.network
            with torch.autocast(self._device.type, DTYPES[dtype], dtype != "float32"), self._blaming():
                outputs = self._model(images)
            if isinstance(self._network, LossNetwork):
                own = self._network.loss(outputs, labels, targets, batch.amounts)
                (own * (self.scaler.factor * self.world_size)).backward()
                loss += own.detach()
                continue
            outputs, maps = take_outputs(network.model, outputs, images, network.classes, network.persons)
            weights, classes = output_weights(self.config, len(outputs)), self.config.loss.class_weights
            losses = output_losses(outputs, labels, weights, classes, self._resized)
            summed = sum(losses, torch.zeros((), device=self._device))
            scaled, of_persons = summed * factor, torch.zeros((), device=self._device)
            if maps is not None and targets is not None:
                of_persons = person_loss(maps, targets, *batch.person_rates)
                scaled = scaled + of_persons * (self.scaler.factor * self.world_size)
            elif maps is not None and self.world_size > 1:  # DDP waits for a gradient of each weight
                scaled = scaled + 0.0 * maps.float().sum()
            if self._overlap:
                share = self._overlap(outputs[0], labels) / len(chunks)
                scaled, loss = scaled + share * (self.scaler.factor * self.world_size), loss + share.detach()
            scaled.backward()
            printed = self._printed(losses, batch.labels.numel()) if self.config.run.old_recipe else None
            loss += summed.detach() / batch.labelled + of_persons.detach() if printed is None else printed
        if batch.targets is None:
            self._optimizer.forget_gradients(f"{PERSONS}.")
        norm = self._optimizer.measure() / self.scaler.factor
        loss_, norm_ = torch.stack([self._ranks.sum(loss), norm]).tolist()
        return loss_, norm_

    def _blaming(self) -> AbstractContextManager[None]:
        """Blame a user-defined network for its exceptions; with several ranks they may come from a lost rank."""
        return blaming(self.config.network.model) if self.world_size == 1 else nullcontext()

    def _printed(self, losses: list[Tensor], pixels: int) -> Tensor:
        """Return the loss that GluonCV prints, with weighted outputs: the mean over the pixels of all ranks."""
        weights = printed_weights(self.config, len(losses))
        weighted = [weight * loss.detach() for weight, loss in zip(weights, losses, strict=True)]
        return torch.stack(weighted).sum() / (pixels * self.world_size)

    def _exchange(self, last: bool) -> None:
        """Let DDP sum the accumulated gradients over the ranks in the last chunk of a batch only."""
        if self.world_size > 1:
            model = getattr(self._model, "_orig_mod", self._model)  # torch.compile's wrapper
            model.require_backward_grad_sync = last

    def _update(self, rate: float, gradient: float, images: int) -> None:
        clip = self.config.optim.clip_grad
        scale = 1.0 if clip is None or gradient <= clip else clip / gradient
        if self.config.run.old_recipe:  # GluonCV sums the devices' mean gradients and divides by the number of images
            scale /= images
        self._optimizer.update(rate, scale / self.scaler.factor)
        self.scaler.grow()
        self._statistics.follow()
        self._statistics.settle(self._ranks)
        if self._average is not None:
            self._average.update_parameters(self._network)

    # --- the optimiser's state on disk

    def state(self) -> dict[str, Any]:
        """Return the state that determines the next step together with ``shown``: that of the optimiser and scaler,
        and, if ``shown`` is an average, the weights themselves."""
        content = self._optimizer.state()
        content |= {"factor": self.scaler.factor, "good": self.scaler.good}
        if self._average is not None:
            content["weights"] = {name: p.detach().cpu() for name, p in self._network.named_parameters()}
            content["averaged"] = int(self._average.n_averaged)
        return content

    def restore(self, content: Any, path: str | Path) -> None:
        """Restore a state.

        Args:
            content: output of ``state``.
            path: path of its file, for error messages.

        Raises:
            CheckpointError: the content is invalid, or belongs to another network or optimiser; the state is unchanged.
        """
        factor, good = (content.get(name) for name in ("factor", "good")) if isinstance(content, dict) else (0, 0)
        if type(factor) is not float or type(good) is not int or not 1 <= factor < math.inf:
            raise CheckpointError(path, "holds no optimiser's state", "a .state file of engine torch", STATE)
        self._optimizer.check(content, path)
        if self._average is not None:
            self._restore_weights(content, path)
        self._optimizer.restore(content)
        self.scaler.factor, self.scaler.good = factor if self.config.optim.dtype == "float16" else 1.0, good

    def _restore_weights(self, content: dict[str, Any], path: str | Path) -> None:
        """Restore the trained weights; the average and the statistics come from the file of weights."""
        weights, averaged = content.get("weights"), content.get("averaged")
        if not isinstance(weights, dict) or type(averaged) is not int:
            remedy = "Pass the .state file of a run with --ema, or omit --ema (Python: ema=0)."
            found = "holds no running average of the weights (--ema)"
            raise CheckpointError(path, found, "the state of a run with --ema", remedy)
        fit(self._network, {**self._network.state_dict(), **weights}, path)
        self._average.n_averaged.fill_(averaged)

    def restart_average(self, tensors: dict[str, Tensor], path: str | Path) -> None:
        """Restart the average from weights loaded from ``path``; does nothing without an average."""
        if self._average is not None:
            fit(self.shown, tensors, path)
            self._average.n_averaged.zero_()
