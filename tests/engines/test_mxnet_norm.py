"""Batch normalisation on MXNet: over two contexts as over the joined batch, and cases in which MXNet's own fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from places import SUPPORT

from mhpmodels.engines.engine import installed

if "mxnet" not in installed():
    pytest.skip("MXNet is not installed here; environment A has it", allow_module_level=True)

from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.memory import put
from mhpmodels.engines.mxnet.norm import Statistics, SyncBatchNorm, norm_layer

MXNETS = mx.gluon.contrib.nn.SyncBatchNorm
SHAPE = (2, 4, 12, 12)


def run(layer, x):
    """Run a training step of a layer; return output, gradient of the input, running mean and variance."""
    x = put(x, mx.cpu())
    x.attach_grad()
    with mx.autograd.record():
        y = layer(x)
        loss = mx.nd.sum(y * y * mx.nd.arange(y.size).reshape(y.shape))
    loss.backward()
    Statistics(layer).settle()
    return [array.asnumpy() for array in (y, x.grad, layer.running_mean.data(), layer.running_var.data())]


def layers(*makers):
    made = [make(in_channels=SHAPE[1]) for make in makers]
    for layer in made:
        layer.initialize()
    return made


def sync(in_channels):
    return SyncBatchNorm(in_channels=in_channels, num_devices=1)


def mxnets(in_channels):
    return MXNETS(in_channels=in_channels, num_devices=1)


def test_the_same_function_as_batch_norm_step_after_step():
    ours, plain = layers(sync, mx.gluon.nn.BatchNorm)
    rng = np.random.default_rng(0)
    for step in range(4):
        x = rng.normal(step, 1 + step, SHAPE).astype(np.float32)
        for a, b in zip(run(ours, x), run(plain, x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())
    np.testing.assert_allclose(ours(put(x, mx.cpu())).asnumpy(), plain(put(x, mx.cpu())).asnumpy(), atol=1e-5)


def nearly_constant(mean):
    """Return an array with a nearly constant channel: its variance, 1e-6, is negligible beside its mean."""
    x = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    x[:, 0] = mean + np.random.default_rng(2).normal(0, 1e-3, (2, 12, 12))
    return x


def test_mxnets_variance_turns_negative_and_ours_does_not():
    """MXNet computes E[x^2] - E[x]^2 in float32; ours subtracts the running mean, soon near the channel's."""
    x = nearly_constant(10)
    theirs, ours = layers(mxnets, sync)
    for layer in (theirs, ours):
        layer.running_mean.set_data(put(np.float32([9.9, 0, 0, 0]), mx.cpu()))
    assert not np.isfinite(run(theirs, x)[0]).all()
    y, gradient, mean, variance = run(ours, x)
    exact = x.astype(np.float64)
    centred = exact - exact.mean((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, centred / np.sqrt(exact.var((0, 2, 3), keepdims=True) + 1e-5), atol=1e-3)
    np.testing.assert_allclose(mean, 0.9 * np.array([9.9, 0, 0, 0]) + 0.1 * exact.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * exact.var((0, 2, 3)), rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_one_context_takes_plain_batch_norm_which_has_no_such_variance():
    assert norm_layer(syncbn=True, contexts=1) is norm_layer(syncbn=False, contexts=4) is mx.gluon.nn.BatchNorm
    (plain,) = layers(mx.gluon.nn.BatchNorm)
    assert all(np.isfinite(array).all() for array in run(plain, nearly_constant(1e4)))


def test_a_step_can_be_taken_back():
    (ours,) = layers(sync)
    rng = np.random.default_rng(0)
    run(ours, rng.normal(3, 1, SHAPE).astype(np.float32))
    before = [array.data().asnumpy() for array in (ours.running_mean, ours.running_var, ours.shift)]
    statistics = Statistics(ours)
    statistics.keep()
    with mx.autograd.record():
        y = ours(put(np.full(SHAPE, np.nan, np.float32), mx.cpu()))
    y.backward()
    assert not np.isfinite(ours.running_var.data().asnumpy()).all()
    statistics.restore()
    for array, kept in zip((ours.running_mean, ours.running_var, ours.shift), before, strict=True):
        np.testing.assert_array_equal(array.data().asnumpy(), kept)


def test_contexts_of_their_own_end_with_one_mean():
    contexts = [mx.cpu(0), mx.cpu(1)]
    layer = mx.gluon.nn.BatchNorm(in_channels=SHAPE[1])
    layer.initialize(ctx=contexts)
    xs = [np.random.default_rng(seed).normal(seed, 1, SHAPE).astype(np.float32) for seed in (1, 2)]
    with mx.autograd.record():
        ys = [layer(put(x, context)) for x, context in zip(xs, contexts, strict=True)]
    mx.autograd.backward(ys)
    alone = [array.asnumpy() for array in layer.running_mean.list_data()]
    Statistics(layer).settle()
    for array in layer.running_mean.list_data():
        np.testing.assert_array_equal(array.asnumpy(), (alone[0] + alone[1]) / 2)


# --- two contexts that wait for each other, in a separate process


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return the relative differences between two synchronised contexts and one; see two_contexts.py."""
    script = SUPPORT / "two_contexts.py"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MXNET_CPU")}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=900, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_contexts_equal_the_joined_batch(together):
    layer = together["layer"]
    assert set(layer) == {"output", "gradient of the input", "gamma", "beta", "running mean", "running variance"}
    assert max(layer.values()) < 1e-5


@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_a_step_on_two_contexts_equals_one_on_one(together, model):
    """The gradient's length agrees to 1e-4 and its direction to 3e-2: MXNet rounds two images differently from four,
    and if an activation near 0 changes its sign, a few gradients change by up to 4e-3 (AVX2)."""
    assert max(together[model]["differences"].values()) < 1e-4
    assert together[model]["distance of gradients"] < 3e-2
    assert together[model]["waits for"] == [2], "every layer knows how many contexts there are"


def test_a_step_on_two_contexts_gives_the_same_bits_again_with_dropout(together):
    assert together["icnet"]["repeats"]
