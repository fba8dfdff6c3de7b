"""Both engines in one process, imported in either order: the same weights give the same losses, steps and logits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import installed, open_engine
from mhpmodels.prediction.convert import convert

pytestmark = [
    pytest.mark.skipif(set(installed()) != {"torch", "mxnet"}, reason="both are installed in environment A"),
    pytest.mark.filterwarnings(
        "ignore:Please import `csr_matrix`:DeprecationWarning"
    ),  # from MXNet, when it makes arrays
]
STEPS = 3


def config(engine, model, **options):
    fixed = {"backbone": "resnet18", "crop_size": 64, "batch_size": 4, "dropout": 0.0, "aux": model == "psp"}
    return TrainConfig.of(engine=engine, model=model, **{**fixed, **options})


def batch(seed, count=4, size=64):
    """Return blocks of colour and their classes, with an unlabelled stripe."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 19, (count, 4, 4)).repeat(size // 4, 1).repeat(size // 4, 2).astype(np.uint8)
    colours = rng.normal(0, 1, (19, 3))[labels].transpose(0, 3, 1, 2)
    labels[:, :3] = 255
    return (colours + rng.normal(0, 0.1, colours.shape)).astype(np.float32), labels


# Adam is the same for every network, and the rate of heads is also tested with SGD.
@pytest.mark.parametrize(("model", "optimizer"), [("icnet", "sgd"), ("icnet", "adam"), ("psp", "sgd")])
def test_the_same_weights_take_the_same_steps_and_predict_the_same_logits(model, optimizer, tmp_path):
    """Losses agree to 1e-4 at first, and closely until rounding accumulates; logits agree to 1e-3 with the running
    statistics of these steps."""
    options = {"optimizer": optimizer, "no_wd": True, "weight_decay": 1e-3}
    theirs, ours = (open_engine(config(engine, model, **options)) for engine in ("mxnet", "torch"))
    theirs.save(tmp_path / "weights.params")
    ours.load(tmp_path / "weights.params")
    rate = 1e-3 if optimizer == "sgd" else 1e-5
    for seed in range(STEPS):
        images, labels = batch(seed)
        expected, found = (engine.train_step(images, labels, rate, seed) for engine in (theirs, ours))
        assert found.loss == pytest.approx(expected.loss, abs=1e-4 if seed == 0 else 2e-2)
        assert found.gradient == pytest.approx(expected.gradient, rel=1e-2 if seed == 0 else 0.1)
    theirs.save(tmp_path / "after.params")
    ours.load(tmp_path / "after.params")
    images = np.ascontiguousarray(batch(9)[0][:, :, :48])
    np.testing.assert_allclose(ours.predict(images), theirs.predict(images), rtol=0, atol=1e-3)
    for engine in (theirs, ours):
        engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("crop", [480, 768])
@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_the_same_at_the_crops_of_the_recipe(model, crop, tmp_path):
    """Loss and gradient of a step agree, then logits with the statistics of that batch: with initial ones, logits of an
    untrained network are in the hundreds. test_networks.py compares the logits in training."""
    options = {"backbone": "resnet50", "crop_size": crop, "batch_size": 2}
    theirs, ours = (open_engine(config(engine, model, **options)) for engine in ("mxnet", "torch"))
    theirs.save(tmp_path / "weights.params")
    ours.load(tmp_path / "weights.params")
    for layer in ours._network.modules():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0
    images, labels = batch(0, 2, crop)
    expected, found = (engine.train_step(images, labels, 0.0, 0) for engine in (theirs, ours))
    assert found.loss == pytest.approx(expected.loss, abs=1e-4)
    # PSPNet's coarsest bin normalises two values per channel, which amplifies rounding: 1.6 % on an AMD with AVX2
    assert found.gradient == pytest.approx(expected.gradient, rel=3e-2)
    ours.save(tmp_path / "weights.pt")
    convert(tmp_path / "weights.pt", tmp_path / "same.params")
    theirs.load(tmp_path / "same.params")
    logits = theirs.predict(images)
    assert np.abs(logits).max() < 50
    np.testing.assert_allclose(ours.predict(images), logits, rtol=0, atol=1e-3)
    for engine in (theirs, ours):
        engine.close()


ORDER = """
import sys, warnings
import numpy as np
warnings.filterwarnings("ignore", "Please import `csr_matrix`", DeprecationWarning)  # from MXNet, when it makes arrays
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
for name in sys.argv[1:]:
    engine = open_engine(TrainConfig.of(engine=name, backbone="resnet18", crop_size=32, batch_size=1))
    step = engine.train_step(np.zeros((1, 3, 32, 32), np.float32), np.zeros((1, 32, 32), np.uint8), 0.01, 0)
    assert step.applied, step
    print(name, "torch" in sys.modules, "mxnet" in sys.modules)
from mhpmodels.engines.mxnet.libraries import mx, gluoncv
import torch
assert sys.modules["torch"] is torch, "hidden while GluonCV was imported"
print(float(torch.ones(3).sum()) + float(mx.nd.ones((4,)).sum().asscalar()), gluoncv.model_zoo.__name__)
"""


ORDERS = [("torch", "mxnet"), pytest.param(("mxnet", "torch"), marks=pytest.mark.slow)]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_either_may_be_imported_first(order):
    command = [sys.executable, "-W", "error", "-c", ORDER, *order]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    first = {"torch": "torch True False", "mxnet": "mxnet False True"}[order[0]]
    assert done.stdout.splitlines() == [first, f"{order[1]} True True", "7.0 gluoncv.model_zoo"], done.stderr
