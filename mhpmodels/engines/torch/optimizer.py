"""Wrap torch's SGD, Adam and AdamW: learning rate of the heads, weight decay by parameter, state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mhpdata.errors import CheckpointError
from mhpmodels.config import PERSONS
from mhpmodels.networks.levels import depth_factors
from mhpmodels.recipe import Optimization

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

MOMENTS = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
}
"""State that each optimiser keeps per weight, by torch's names."""
ADAMS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
TABLES = (
    *("relative_position_bias_table", "position_embeddings"),
    *("level_embed", "level_embed.weight", "queries_embedder.weight", "queries_features.weight"),
)
"""Ends of the names of weights that hold numbers per position, level or query; adamw does not decay them, as in the
papers of Swin and Mask2Former."""
_NAMES = {
    str(list(kinds)): name
    for kinds, name in (
        ((), "sgd without momentum"),
        (MOMENTS["sgd"], "sgd with momentum"),
        (MOMENTS["adam"], "adam or adamw"),
    )
}
STATE = (
    "Pass the .state file that mhp train wrote beside weights of the same model, backbone, number of classes and "
    "optimizer."
)
"""Remedy for a state of another network or optimiser."""


class Optimizer:
    """The optimiser of a network.

    Args:
        network: the network; parameters that require no gradient are not updated. Children named in its ``head_names``
            take ``config.optim.head_rate`` times the rate, and its ``levels`` the factors of ``layer_decay``
            (``mhpmodels.networks.levels``). With adamw or ``no_wd``, vectors (biases, norms) do not decay.
        config: optimizer, momentum, weight_decay, no_wd, head_rate and layer_decay are used.

    Raises:
        OptionError: layer_decay is given, and the network has no levels.

    Attributes:
        steps: number of updates.
    """

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        self.steps = 0
        optim = config.optim
        forgets = optim.optimizer == "sgd" and not optim.momentum
        self._kinds = () if forgets else MOMENTS[optim.optimizer]
        self._named = {name: p for name, p in network.named_parameters() if p.requires_grad}
        heads = getattr(network, "head_names", ())
        factors = depth_factors(network, optim.layer_decay)
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in self._named.items():
            rate = (optim.head_rate if name.partition(".")[0] in heads else 1.0) * factors.get(name, 1.0)
            decay = optim.weight_decay if self._decays(name, parameter, optim) else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        options = [{"params": p, "weight_decay": decay, "factor": rate} for (rate, decay), p in groups.items()]
        # one pass over all weights: SGD takes 47 instead of 228 ms for PSPNet with resnet50 on one core, Adam 72 of 578
        self._fused = bool(self._named) and all(p.is_floating_point() for p in self._named.values())
        if optim.optimizer in ADAMS:
            self._optimizer: Any = ADAMS[optim.optimizer](options, lr=0.0, fused=self._fused)
        else:
            self._optimizer = torch.optim.SGD(options, lr=0.0, momentum=optim.momentum, fused=self._fused)

    @staticmethod
    def _decays(name: str, parameter: Tensor, optim: Optimization) -> bool:
        """Return whether weight decay applies to a parameter."""
        decoupled = optim.optimizer == "adamw"
        shape = parameter.shape
        vector = len(shape) in (1, 4) and parameter.numel() == shape[-1]  # ConvNeXt V2 has norms of shape (1, 1, 1, C)
        return not ((optim.no_wd or decoupled) and vector) and not (decoupled and name.endswith(TABLES))

    @property
    def gradients(self) -> list[Tensor]:
        """The gradients of all weights that have one."""
        return [p.grad for p in self._named.values() if p.grad is not None]

    def forget_gradients(self, prefix: str = "") -> None:
        """Drop all gradients, before a backward pass; or those of weights whose names begin with ``prefix``."""
        if not prefix:
            self._optimizer.zero_grad(set_to_none=True)
            return
        for name, parameter in self._named.items():
            if name.startswith(prefix):
                parameter.grad = None

    def measure(self) -> Tensor:
        """Return the L2 norm of the whole gradient, float32 ()."""
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self.gradients)))

    def update(self, rate: float, scale: float) -> None:
        """Update the weights with ``scale`` times the gradient, at a learning rate; the gradient is scaled in place."""
        if scale != 1.0:
            torch._foreach_mul_(self.gradients, scale)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        if "momentum_buffer" in self._kinds and self._fused:  # it takes either no buffers or one for each gradient
            for parameter in self._named.values():
                if parameter.grad is not None and parameter not in self._optimizer.state:
                    self._optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
        self._optimizer.step()
        self.steps += 1

    def state(self) -> dict[str, Any]:
        """Return the state: number of steps, and tensors on the CPU by ``kind:weight``, none before the first step."""
        moments: dict[str, Tensor] = {}
        for name, parameter in self._named.items() if self.steps else ():
            kept = self._optimizer.state.get(parameter, {})  # a weight that never had a gradient has no state
            moments |= {f"{k}:{name}": kept.get(k, torch.zeros_like(parameter)).detach().cpu() for k in self._kinds}
        content: dict[str, Any] = {"kinds": list(self._kinds), "steps": self.steps, "moments": moments}
        fewer = self._fewer() if self.steps else {}
        return {**content, "fewer": fewer} if fewer else content

    def _fewer(self) -> dict[str, int]:
        """Return the number of updates of each head of persons that had fewer than the network: Adam depends on it."""
        heads = {name: p for name, p in self._named.items() if name.startswith(f"{PERSONS}.")}
        if "exp_avg" not in self._kinds:
            return {}
        counts = {name: int(self._optimizer.state.get(p, {}).get("step", 0)) for name, p in heads.items()}
        return {name: count for name, count in counts.items() if count != self.steps}

    def check(self, content: Mapping[str, Any], place: object) -> None:
        """Raise CheckpointError unless ``content`` is a state of this network and optimiser."""
        steps, moments = content.get("steps"), content.get("moments")
        if type(steps) is not int or steps < 0 or not isinstance(moments, dict):
            raise CheckpointError(place, "holds no optimiser's state", "a .state file of engine torch", STATE)
        if content.get("kinds") != list(self._kinds):
            theirs = _NAMES.get(str(content.get("kinds")), "an unknown optimizer")
            remedy = (
                f"To resume the run that wrote the file, pass the --optimizer and --momentum of {theirs}; to resume "
                "another run, pass the .state file beside that run's weights."
            )
            other = f"the state of {theirs}"
            raise CheckpointError(place, other, f"that of {_NAMES[str(list(self._kinds))]}", remedy)
        fewer = content.get("fewer", {})
        known = isinstance(fewer, dict) and all(n in self._named and type(c) is int for n, c in fewer.items())
        if not known or not all(0 <= count < steps for count in fewer.values()):
            raise CheckpointError(place, "holds invalid numbers of updates", f"0 to {max(steps - 1, 0)}", STATE)
        named = self._named.items() if steps else ()
        wanted = {f"{kind}:{name}": tuple(p.shape) for name, p in named for kind in self._kinds}
        for name in {**wanted, **moments}:
            moment = moments.get(name)
            shape = tuple(moment.shape) if isinstance(moment, Tensor) else None
            if shape is None or shape != wanted.get(name):
                found = f"{name} is {'missing' if shape is None else f'of shape {shape}'}"
                expected = f"shape {wanted[name]}" if name in wanted else "names of this network's state only"
                raise CheckpointError(place, found, expected, STATE)

    def restore(self, content: Mapping[str, Any]) -> None:
        """Restore a state that ``check`` has accepted."""
        self.steps = content["steps"]
        self._optimizer.state.clear()
        for name, parameter in self._named.items() if content["moments"] else ():
            # a fused update needs tensors of the weight's memory format
            state = {k: torch.empty_like(parameter).copy_(content["moments"][f"{k}:{name}"]) for k in self._kinds}
            updates = content.get("fewer", {}).get(name, self.steps)
            if not updates:  # as if the weight never had a gradient
                continue
            if "exp_avg" in state:
                state["step"] = torch.tensor(float(updates), device=parameter.device if self._fused else "cpu")
            self._optimizer.state[parameter] = state
