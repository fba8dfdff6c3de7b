"""AdamW and learning rates by depth, compared with their formulas."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from mhpdata.errors import OptionError
from mhpmodels.config import TrainConfig

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import Tiny, config  # noqa: E402

from mhpmodels.engines.torch.optimizer import Optimizer  # noqa: E402
from mhpmodels.networks.architecture import Architecture, build_network  # noqa: E402
from mhpmodels.networks.levels import depth_factors  # noqa: E402

RATE, STEPS = 0.01, 3


class Levels(Tiny):
    """Give the network two levels, and a table of positions."""

    levels = (("base",), ("norm",))

    def __init__(self, config):
        super().__init__(config)
        self.relative_position_bias_table = torch.nn.Parameter(torch.ones(3, 2))


def trained(given):
    """Return each weight before and after some updates with known gradients, and the gradients: float64 by name."""
    network = Levels(given)
    before = {name: p.detach().double().numpy().copy() for name, p in network.named_parameters()}
    optimizer = Optimizer(network, given)
    rng = np.random.default_rng(0)
    gradients = [{name: rng.normal(size=value.shape) for name, value in before.items()} for _ in range(STEPS)]
    for step in gradients:
        for name, parameter in network.named_parameters():
            parameter.grad = torch.tensor(step[name], dtype=torch.float32)
        optimizer.update(RATE, 1.0)
    return before, {name: p.detach().double().numpy() for name, p in network.named_parameters()}, gradients


def adam(value, gradients, rate, decay, decoupled):
    """Update as in Kingma and Ba's Adam, with Loshchilov and Hutter's decay if it is decoupled."""
    first, second = np.zeros_like(value), np.zeros_like(value)
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient if decoupled else gradient + decay * value
        value = value * (1 - rate * decay) if decoupled else value
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        value = value - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return value


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_weights_follow_the_formula(name, layer_decay):
    given = config(optimizer=name, weight_decay=0.3, head_rate=4.0, layer_decay=layer_decay)
    before, after, gradients = trained(given)
    rates = {"base": layer_decay**2, "norm": layer_decay, "head": 4.0, "relative_position_bias_table": 1.0}
    for weight, value in before.items():
        rate = RATE * rates[weight.partition(".")[0]]
        decays = name == "adam" or weight in ("base.weight", "head.weight")
        expected = adam(value, [g[weight] for g in gradients], rate, 0.3 * decays, name == "adamw")
        np.testing.assert_allclose(after[weight], expected, rtol=1e-4, atol=1e-6, err_msg=weight)


def test_adamw_resumes_from_its_state():
    given, network = config(optimizer="adamw"), Levels(config())
    one, two = Optimizer(network, given), None
    for step in range(4):
        if step == 2:
            two = Levels(given)
            two.load_state_dict(network.state_dict())
            other = Optimizer(two, given)
            state = copy.deepcopy(one.state())  # as from a file
            other.check(state, "state")
            other.restore(state)
        for net, optimizer in ((network, one), (two, None if two is None else other)):
            for parameter in [] if net is None else net.parameters():
                parameter.grad = torch.full_like(parameter, float(step + 1))
            if net is not None:
                optimizer.update(RATE, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_a_resnet_has_a_level_per_block(model):
    given = TrainConfig.of(engine="torch", model=model, backbone="resnet18")
    factors = depth_factors(build_network(Architecture.of_config(given), 0.1, given), 0.9)
    assert factors["conv1.weight"] == factors["bn1.bias"] == pytest.approx(0.9**9)
    assert factors["layer1.0.conv2.weight"] == pytest.approx(0.9**8) and factors["layer4.1.bn1.weight"] == 0.9
    heads = [name for name in factors if not name.startswith(("conv1.", "bn1.", "layer"))]
    assert heads and all(factors[name] == 1.0 for name in heads)


def test_a_network_without_levels_refuses_the_option():
    with pytest.raises(OptionError, match=r"layer_decay: 0\.9 for a network without levels"):
        Optimizer(Tiny(config()), config(layer_decay=0.9))


@pytest.mark.parametrize(
    ("name", "shape", "decays"),
    [
        ("grn.weight", (1, 1, 1, 8), False),
        ("norm.bias", (8,), False),
        ("model.level_embed.weight", (3, 8), False),
        ("decoder.level_embed", (3, 8), False),
        ("queries_features.weight", (9, 8), False),
        ("persons.centre.out.weight", (1, 32, 1, 1), True),
        ("linear.weight", (1, 8), True),
        ("conv.weight", (8, 8, 3, 3), True),
    ],
)
def test_adamw_decays_matrices_and_kernels_only(name, shape, decays):
    assert Optimizer._decays(name, torch.zeros(shape), config(optimizer="adamw").optim) == decays
