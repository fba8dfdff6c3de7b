"""Dice and Lovász-softmax losses with the torch engine."""

from __future__ import annotations

import numpy as np
import pytest
from naive_overlap import chances_of, dice, lovasz

from mhpdata.errors import OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import CLASSES, SIZE, config  # noqa: E402

from mhpmodels.networks.overlap_loss import OverlapLoss  # noqa: E402

NAIVE = {"dice": dice, "lovasz": lovasz}


def batch(seed=0, unlabelled=0.3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (2, 5, 4))  # of 4 classes, one has no pixel
    labels[rng.random(labels.shape) < unlabelled] = 255
    return rng.normal(0, 2, (2, 4, 5, 4)), labels


def loss_of(name, world_size=1, total=lambda sums: sums):
    return OverlapLoss(float(name == "dice"), float(name == "lovasz"), world_size, total)


@pytest.mark.parametrize("name", NAIVE)
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_its_paper(name, seed):
    logits, labels = batch(seed)
    expected = NAIVE[name](*chances_of(logits, labels))
    found = loss_of(name)(torch.tensor(logits), torch.tensor(labels))
    assert found.dtype == torch.float32 and 0 < expected < 1
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", NAIVE)
def test_the_gradient_is_that_of_the_loss(name):
    logits, labels = batch()
    x = torch.tensor(logits, requires_grad=True)
    loss_of(name)(x, torch.tensor(labels)).backward()
    for place in [(0, 1, 2, 3), (1, 0, 0, 0), (1, 3, 4, 2)]:
        moved = [logits.copy() for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        more, less = (NAIVE[name](*chances_of(one, labels)) for one in moved)
        assert float(x.grad[place]) == pytest.approx((more - less) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("name", NAIVE)
def test_a_perfect_prediction_costs_nothing_and_a_batch_without_labels_neither(name):
    logits, labels = batch(unlabelled=0)
    perfect = torch.nn.functional.one_hot(torch.tensor(labels), 4).movedim(-1, 1) * 100.0
    assert loss_of(name)(perfect, torch.tensor(labels)).item() == pytest.approx(0, abs=1e-6)
    x = torch.tensor(logits, requires_grad=True)
    loss = loss_of(name)(x, torch.full(labels.shape, 255))
    loss.backward()
    assert loss.item() == 0 and not x.grad.any()


def test_dice_does_not_depend_on_the_number_of_ranks():
    logits, labels = batch()
    x, y = torch.tensor(logits, requires_grad=True), torch.tensor(labels)
    whole = loss_of("dice")(x, y)
    whole.backward()
    sums = []
    for i in range(2):  # what each rank adds
        loss_of("dice", 2, lambda own: sums.append(own.clone()) or own)(torch.tensor(logits[i : i + 1]), y[i : i + 1])
    z = torch.tensor(logits, requires_grad=True)
    shares = [loss_of("dice", 2, lambda own: sums[0] + sums[1])(z[i : i + 1], y[i : i + 1]) for i in range(2)]
    assert sum(shares).item() == pytest.approx(whole.item(), abs=1e-6)
    sum(shares).backward()
    torch.testing.assert_close(z.grad, x.grad)


def test_a_step_adds_the_losses_to_the_cross_entropy():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 3, SIZE, SIZE)).astype(np.float32)
    labels = rng.integers(0, CLASSES, (4, SIZE, SIZE)).astype(np.uint8)
    steps = {}
    for weights in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0), (2.0, 3.0)):
        engine = open_engine(config("Plain", dice_weight=weights[0], lovasz_weight=weights[1]))
        logits = engine.predict(images)
        steps[weights] = engine.train_step(images, labels, 0.1, 0)
        engine.close()
    known = chances_of(logits, labels)
    for (of_dice, of_lovasz), step in steps.items():
        more = of_dice * dice(*known) + of_lovasz * lovasz_by_torch(known)
        assert step.loss == pytest.approx(steps[0.0, 0.0].loss + more, abs=1e-5) and step.applied
    assert len({step.gradient for step in steps.values()}) == 4


def lovasz_by_torch(known):
    """Return the loss of more pixels than the naive one takes; test_the_loss_is_that_of_its_paper compares both."""
    from mhpmodels.networks.overlap_loss import lovasz_softmax

    return float(lovasz_softmax(*map(torch.tensor, known)))


def test_other_engines_and_the_gluoncv_recipe_refuse_them():
    with pytest.raises(OptionError, match=r"dice_weight: 1\.0 with engine mxnet; expected engine torch"):
        TrainConfig.of(engine="mxnet", dice_weight=1.0)
    with pytest.raises(OptionError, match=r"lovasz_weight: given with old_recipe"):
        TrainConfig.of(engine="torch", lovasz_weight=1.0, old_recipe=True)
