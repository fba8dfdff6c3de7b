"""The loss on MXNet, compared with a slow twin, and with GluonCV's where the latter fails."""

from __future__ import annotations

import numpy as np
import pytest

from mhpmodels.engines.engine import installed

if "mxnet" not in installed():
    pytest.skip("MXNet is not installed here; environment A has it", allow_module_level=True)

from importlib import import_module

from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.loss import output_losses
from mhpmodels.engines.mxnet.memory import put

gluoncv_loss = import_module("gluoncv.loss")
CPU = mx.cpu()


def pixel_loss(*arguments):
    """Return the objective of a context: the sum over the outputs."""
    return mx.nd.add_n(*output_losses(*arguments))


def naive_loss(logits, labels):
    """Return the sum over the labelled pixels and its gradient, in float64, one pixel at a time."""
    total, gradient = 0.0, np.zeros(logits.shape)
    for n, row, column in zip(*np.nonzero(labels < logits.shape[1]), strict=True):
        x = logits[n, :, row, column].astype(np.float64)
        x = x - x.max()
        label = labels[n, row, column]
        total += np.log(np.exp(x).sum()) - x[label]
        gradient[n, :, row, column] = np.exp(x) / np.exp(x).sum()
        gradient[n, label, row, column] -= 1
    return total, gradient


def differentiate(loss, *outputs):
    """Return the value of ``loss`` for the outputs, and their gradients."""
    arrays = [put(output, CPU) for output in outputs]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        value = loss(*arrays)
    value.backward()
    return value.asnumpy(), [array.grad.asnumpy() for array in arrays]


@pytest.fixture
def labels():
    labels = np.random.default_rng(0).integers(0, 19, (2, 6, 5)).astype(np.uint8)
    labels[0, 1:3] = 255
    return labels


def logits(scale=1.0, size=(6, 5)):
    return np.random.default_rng(1).normal(0, scale, (2, 19, *size)).astype(np.float32)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0, 1e30])
def test_equals_the_slow_twin_whatever_the_gap_of_logits(labels, scale):
    x = logits(scale)
    value, (gradient,) = differentiate(lambda a: pixel_loss([a], put(labels, CPU), [1.0], 0.5), x)
    expected, slope = naive_loss(x, labels)
    assert value.shape == (1,)
    np.testing.assert_allclose(value[0], 0.5 * expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, 0.5 * slope, atol=5e-6)


def test_nothing_labelled_is_no_loss_and_no_gradient(labels):
    nothing = np.full_like(labels, 255)
    value, (gradient,) = differentiate(lambda a: pixel_loss([a], put(nothing, CPU), [1.0], 1.0), logits())
    assert value == 0 and not gradient.any()


def test_every_output_has_its_weight_and_is_resized(labels):
    whole, small = logits(), logits(size=(3, 2))
    marks = put(labels, CPU)
    value, gradients = differentiate(lambda a, b: pixel_loss([a, b], marks, [1.0, 0.25], 1.0), whole, small)
    resized = mx.nd.contrib.BilinearResize2D(put(small, CPU), height=6, width=5).asnumpy()
    np.testing.assert_allclose(
        value[0], naive_loss(whole, labels)[0] + 0.25 * naive_loss(resized, labels)[0], rtol=1e-5
    )
    np.testing.assert_allclose(gradients[0], naive_loss(whole, labels)[1], atol=1e-6)
    doubled = differentiate(lambda a, b: pixel_loss([a, b], marks, [1.0, 0.5], 1.0), whole, small)[1]
    np.testing.assert_allclose(doubled[1], 2 * gradients[1], rtol=1e-5, atol=1e-7)


# --- where GluonCV's loss fails


def test_a_pixel_whose_probability_underflows_is_infinite_in_gluoncv_and_finite_here(labels):
    x = np.zeros((2, 19, 6, 5), np.float32)
    x[0, 0, 0, 0], labels[0, 0, 0] = 104.0, 1  # exp(-104) is 0 in float32
    marks = put(labels, CPU)
    theirs = gluoncv_loss.MixSoftmaxCrossEntropyLoss(aux=False, ignore_label=255)
    with np.errstate(all="ignore"):
        value, (gradient,) = differentiate(lambda a: theirs(a, marks.astype("float32")), x)
    assert np.isinf(value[0]) and np.isfinite(gradient).all()
    count = np.count_nonzero(labels != 255)
    ours, (slope,) = differentiate(lambda a: pixel_loss([a], marks, [1.0], 1 / count), x)
    np.testing.assert_allclose(ours[0], naive_loss(x, labels)[0] / count, rtol=1e-6)
    np.testing.assert_allclose(slope, gradient, atol=1e-7)


def test_weights_of_outputs_act_here_and_not_in_gluoncv(labels):
    outputs = [logits(size=size) for size in ((16, 16), (4, 4), (2, 2), (1, 1))]
    marks = put(labels[:, :4, :4].repeat(4, 1).repeat(4, 2), CPU)

    def theirs(weights):
        loss = gluoncv_loss.ICNetLoss(weights=weights, crop_size=16, ignore_label=255)
        return differentiate(lambda *arrays: loss(*arrays, marks.astype("float32")), *outputs)[1]

    def ours(weights):
        count = np.count_nonzero(marks.asnumpy() != 255)
        return differentiate(lambda *arrays: pixel_loss(arrays, marks, (1.0, *weights), 1 / count), *outputs)[1]

    for a, b, one in zip(theirs((0.4, 0.4, 1.0)), theirs((0.0, 0.0, 0.0)), ours((1.0, 1.0, 1.0)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(one, a, atol=1e-6)  # GluonCV's gradient corresponds to weights of 1
    assert not any(gradient.any() for gradient in ours((0.0, 0.0, 0.0))[1:])
