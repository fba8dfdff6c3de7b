"""Check that a faster torch step is the same step: deferred statistics, a shared loss, fused updates."""

from __future__ import annotations

import copy
from contextlib import closing

import pytest
from full_networks import SIZE, batch
from full_networks import config as full_config

from mhpmodels.engines.engine import open_engine

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import CLASSES, config  # noqa: E402

from mhpmodels.engines.torch.loss import output_losses  # noqa: E402
from mhpmodels.engines.torch.optimizer import Optimizer  # noqa: E402
from mhpmodels.engines.torch.statistics import Statistics  # noqa: E402
from mhpmodels.networks.norm import BatchNorm, follow_pending  # noqa: E402


def normed(eps=1e-5, momentum=0.1):
    """Return a network of three layers, the second with options of its own, and one of torch's."""
    second = BatchNorm(4, eps=eps, momentum=momentum)
    return torch.nn.Sequential(BatchNorm(4), second, torch.nn.BatchNorm2d(4), BatchNorm(4)).train()


@pytest.mark.parametrize("options", [{}, {"eps": 1e-2, "momentum": 0.5}])
def test_statistics_followed_late_are_those_followed_at_once(options):
    torch.manual_seed(0)
    at_once = normed(**options)
    late = copy.deepcopy(at_once)
    statistics = Statistics(late, own=False)
    for count in (1, 3):  # parts of a batch, as with --accumulate
        statistics.keep()
        for _ in range(count):
            x = 3 * torch.randn(2, 4, 5, 5) + 1
            torch.testing.assert_close(late(x), at_once(x), rtol=0, atol=0)
        changed = [
            name for name, buffer in late[:2].named_buffers() if not torch.equal(buffer, at_once[:2].get_buffer(name))
        ]
        assert len(changed) == 6, "the statistics changed before the step was known to be finite"
        statistics.follow()
        for name, buffer in late.named_buffers():
            assert torch.equal(buffer, at_once.get_buffer(name)), name


def test_a_step_that_is_rolled_back_leaves_no_statistics():
    network = normed()
    before = copy.deepcopy(network)
    statistics = Statistics(network, own=False)
    statistics.keep()
    network(torch.randn(2, 4, 5, 5))
    statistics.restore()
    statistics.follow()
    assert all(torch.equal(buffer, before.get_buffer(name)) for name, buffer in network.named_buffers())


def test_layers_outside_of_training_follow_at_once():
    layer = BatchNorm(4).train()
    layer(torch.randn(2, 4, 5, 5))
    assert layer.num_batches_tracked == 1 and layer.pending is None
    follow_pending([layer])
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("class_weights", [None, (1.0, 2.0, 0.5)])
def test_an_output_and_its_resized_form_share_one_loss(class_weights):
    torch.manual_seed(0)
    small = torch.randn(2, CLASSES, 4, 4, requires_grad=True)
    other = torch.randn(2, CLASSES, 2, 2, requires_grad=True)
    labels = torch.randint(0, CLASSES, (2, 16, 16))
    labels[:, :2] = 255
    found = []
    for resized in ({}, {1: 0}):
        main = torch.nn.functional.interpolate(small, (16, 16), mode="bilinear", align_corners=True)
        losses = output_losses((main, small, other), labels, (1.0, 0.4, 2.0), class_weights, resized)
        found.append((losses, torch.autograd.grad(sum(losses), (small, other))))
    (apart, of_apart), (shared, of_shared) = found
    assert apart == shared
    torch.testing.assert_close(of_shared, of_apart)


def test_icnet_names_the_output_that_it_resizes():
    with closing(open_engine(full_config("torch", "icnet"))) as engine:
        network = engine._network.train()
        outputs = network(torch.from_numpy(batch(SIZE["icnet"])[0]))
    for number, earlier in network.resized.items():
        size = outputs[earlier].shape[2:]
        resized = torch.nn.functional.interpolate(outputs[number], size, mode="bilinear", align_corners=True)
        assert torch.equal(resized, outputs[earlier]) and outputs[number].shape[2:] != size


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_state_takes_the_memory_format_of_the_weights(optimizer, tmp_path):
    """A fused update reads weights and moments in memory order."""
    options = {"optimizer": optimizer, "momentum": 0.9, "weight_decay": 1e-3}
    plain, last = (open_engine(config("Plain", **options)) for _ in range(2))
    with closing(plain), closing(last):
        for seed in range(2):
            plain.train_step(*small_batch(seed), 0.1, seed)
        plain.save(tmp_path / "weights.pt")
        plain.save_state(tmp_path / "state")
        last._format = last.trainer.memory_format = torch.channels_last
        last._network.to(memory_format=torch.channels_last)
        last.load(tmp_path / "weights.pt")
        last.load_state(tmp_path / "state")
        for engine in (plain, last):
            engine.train_step(*small_batch(2), 0.1, 2)
        for name, tensor in plain._network.state_dict().items():
            torch.testing.assert_close(last._network.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)


def small_batch(seed):
    images, labels = batch(16, seed=seed)
    return images, labels % CLASSES


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fused_update_is_that_of_the_loop_over_weights(optimizer):
    """With weight decay and momentum, over several steps."""
    options = {"optimizer": optimizer, "momentum": 0.9, "weight_decay": 1e-2, "head_rate": 1.0}
    with closing(open_engine(config("Plain", **options))) as engine:
        network = copy.deepcopy(engine._network)
        decay = {"weight_decay": 1e-2, "foreach": False, "fused": False}
        loop = (
            torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, **decay)
            if optimizer == "sgd"
            else torch.optim.Adam(network.parameters(), lr=0.01, **decay)
        )
        for seed in range(4):
            images, labels = small_batch(seed)
            loop.zero_grad()
            logits = network(torch.from_numpy(images))
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).long()).backward()
            loop.step()
            engine.train_step(images, labels, 0.01, seed)
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(engine._network.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_weight_may_get_its_first_gradient_later_than_others(optimizer):
    """The heads of persons do; a fused update of SGD takes momentum for all weights or for none."""
    torch.manual_seed(0)
    network = torch.nn.ModuleList([torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)])
    other = copy.deepcopy(network)
    options = {"optimizer": optimizer, "momentum": 0.9, "weight_decay": 1e-2, "head_rate": 1.0}
    updates = Optimizer(network, config(**options))
    plain = {"lr": 0.1, "weight_decay": 1e-2, "foreach": False, "fused": False}
    loop = (
        torch.optim.SGD(other.parameters(), momentum=0.9, **plain)
        if optimizer == "sgd"
        else torch.optim.Adam(other.parameters(), **plain)
    )
    for used in (1, 1, 2, 2):
        x = torch.randn(4, 3)
        updates.forget_gradients()
        loop.zero_grad()
        for layers in (network, other):
            sum(layer(x).square().sum() for layer in layers[:used]).backward()
        updates.update(0.1, 1.0)
        loop.step()
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_ranks_average_statistics_but_no_constants():
    network = torch.nn.BatchNorm2d(2)
    network.register_buffer("scale", torch.full((3,), 0.1), persistent=False)

    class Ranks:
        world_size = 3

        def sum(self, x):
            return x * 6

    constant = network.scale.clone()
    Statistics(network, own=True).settle(Ranks())
    assert torch.equal(network.scale, constant)
    assert (network.running_var == 2).all()
