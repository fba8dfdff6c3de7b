"""The MXNet engine beyond the contract: GluonCV's names, files and training loop, and settings of MXNet."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from places import SUPPORT

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpmodels.engines.engine import installed, open_engine
from mhpmodels.files.params import read_params

if "mxnet" not in installed():
    pytest.skip("MXNet is not installed here; environment A has it", allow_module_level=True)

from mxnet_small import SIZE, batch, config, weights

from mhpmodels.engines.mxnet.contexts import APART
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.network import HEADS, build_network, named_parameters


def gradients(engine):
    return {
        name: parameter.list_grad()[0].asnumpy()
        for name, parameter in engine._parameters.items()
        if parameter.grad_req != "null"
    }


@pytest.fixture(scope="module", params=SIZE)
def opened(request, tmp_path_factory):
    engine = open_engine(config(request.param))
    path = tmp_path_factory.mktemp("first") / "weights.params"
    engine.save(path)
    engine.save_state(path.with_suffix(".state"))
    yield engine, path
    engine.close()


@pytest.fixture
def engine(opened):
    """Return the engine in its initial state; a test may replace its config."""
    engine, path = opened
    kept = engine.config
    engine.load(path)
    engine.load_state(path.with_suffix(".state"))
    yield engine
    engine.config = kept


# --- GluonCV


@pytest.mark.parametrize("model", SIZE)
def test_names_heads_and_files_are_gluoncvs(model, tmp_path):
    engine = open_engine(config(model, backbone="resnet50"), training=False)
    make = {"icnet": ("icnet", "ICNet"), "psp": ("pspnet", "PSPNet")}[model]
    build = getattr(import_module(f"gluoncv.model_zoo.{make[0]}"), make[1])
    theirs = build(19, aux=model == "psp", crop_size=SIZE[model], pretrained_base=False)
    named = theirs._collect_params_with_prefix()
    assert list(named) == list(engine._parameters)
    assert {name for name in named if named[name].lr_mult == 10} == {n for n in named if n.startswith(HEADS[model])}
    engine.save(tmp_path / "ours.params")
    theirs.load_parameters(str(tmp_path / "ours.params"))
    images = batch(SIZE[model])[0]
    seen = theirs(mx.nd.from_numpy(images.copy()))[0].asnumpy()
    np.testing.assert_allclose(engine.predict(images), seen, atol=1e-5 * np.abs(seen).max())
    for parameter in named.values():
        parameter.set_data(parameter.data() + 1)
    theirs.save_parameters(str(tmp_path / "theirs.params"))
    engine.load(tmp_path / "theirs.params")
    arrays = weights(engine)
    assert all((arrays[name] == parameter.data().asnumpy()).all() for name, parameter in named.items())
    engine.close()


def gluoncv_loop(model, path, batches, contexts, optimizer, rate):
    """Run the core of GluonCV's scripts/segmentation/train.py; return weights after some steps and printed losses."""
    parallel, losses = (import_module(f"gluoncv.{name}") for name in ("utils.parallel", "loss"))
    devices = [mx.cpu(number) for number in range(contexts)]
    network = build_network(config(model), devices, training=True)
    network.hybridize()
    named = named_parameters(network)
    for name, array in read_params(path).items():
        named[name].set_data(mx.nd.from_numpy(array))
        named[name].lr_mult = 10 if name.startswith(HEADS[model]) else 1
    criterion = {
        "icnet": lambda: losses.ICNetLoss(crop_size=SIZE[model]),
        "psp": lambda: losses.MixSoftmaxCrossEntropyLoss(aux=True, aux_weight=0.5),
    }[model]()
    net = parallel.DataParallelModel(network, devices)
    criterion = parallel.DataParallelCriterion(criterion, devices)
    options = {"wd": 1e-4, "learning_rate": rate, **({"momentum": 0.9} if optimizer == "sgd" else {})}
    trainer = mx.gluon.Trainer(network.collect_params(), optimizer, options, kvstore="device")
    printed = []
    for images, labels in batches:
        with mx.autograd.record(True):
            outputs = net(mx.nd.from_numpy(images.copy()))
            marks = np.where(labels == 255, -1, labels.astype(np.float32))
            values = criterion(outputs, mx.nd.from_numpy(marks.astype(np.float32)))
            mx.nd.waitall()
            mx.autograd.backward(values)
        trainer.step(len(images))
        printed.append(sum(np.mean(value.asnumpy()) / len(values) for value in values))
    return {name: parameter.list_data()[0].asnumpy() for name, parameter in named.items()}, printed


@pytest.mark.parametrize(
    ("model", "optimizer", "rate", "contexts"),
    [
        *(("icnet", "sgd", 1e-3, 2), ("psp", "sgd", 1e-3, 1)),
        pytest.param("icnet", "adam", 1e-5, 1, marks=pytest.mark.slow),
    ],
)
def test_the_old_recipe_updates_as_gluoncvs_own_loop(model, optimizer, rate, contexts, tmp_path):
    """The same batches give the same weights: branch and aux weights of 1, gradients x contexts / images. The loss is
    the one that GluonCV prints, which uses the configured weights; its gradient does not."""
    engine = open_engine(config(model, old_recipe=True, optimizer=optimizer, contexts=contexts, batch_size=4))
    engine.save(tmp_path / "first.params")
    first = weights(engine)
    batches = [batch(SIZE[model], 4, seed) for seed in (1, 2)]
    batches[1][1][:, :7] = 255  # the printed mean counts them as pixels without a loss
    steps = [engine.train_step(images, labels, rate, 0) for images, labels in batches]
    assert all(step.applied for step in steps)
    ours = weights(engine)
    engine.close()
    del engine  # before the second network is made: both at once take 3 GB
    theirs, printed = gluoncv_loop(model, tmp_path / "first.params", batches, contexts, optimizer, rate)
    np.testing.assert_allclose([step.loss for step in steps], printed, rtol=1e-3)
    if contexts > 1:  # gluon's first step copies the first context's running statistics to the others
        first = {name: array for name, array in first.items() if ".running_" not in name}
    for name, before in first.items():
        moved = theirs[name] - before
        np.testing.assert_allclose(ours[name] - before, moved, atol=2e-2 * np.abs(moved).max() + 3e-7, err_msg=name)
    everything = [np.concatenate([(w[n] - first[n]).ravel() for n in first]) for w in (ours, theirs)]
    assert np.linalg.norm(everything[0] - everything[1]) < 1e-3 * np.linalg.norm(everything[1])


# --- a step


@pytest.mark.parametrize("no_wd", [False, True])
def test_the_first_step_is_rate_times_gradient_and_decay(opened, no_wd, tmp_path):
    model = opened[0].config.network.model
    engine = open_engine(opened[0].config.changed(no_wd=no_wd, weight_decay=0.1, head_rate=3.0, clip_grad=0.5))
    before = weights(engine)
    step = engine.train_step(*batch(SIZE[model]), 0.01, 0)
    slopes, after = gradients(engine), weights(engine)
    norm = math.sqrt(sum(float((slope.astype(np.float64) ** 2).sum()) for slope in slopes.values()))
    assert step.gradient == pytest.approx(norm, rel=1e-4) and norm > 0.5
    for name, slope in slopes.items():
        spared = no_wd and name.endswith((".gamma", ".beta", ".bias"))
        rate = 0.01 * (3.0 if name.startswith(HEADS[model]) else 1.0)
        expected = -rate * (slope * 0.5 / norm + (0.0 if spared else 0.1) * before[name])
        found = after[name] - before[name]
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max() + 1e-7, err_msg=name)
    engine.close()


def test_weights_of_the_branches_act_on_loss_and_gradient(engine):
    model, images, labels = engine.config.network.model, *batch(engine.config.view.size)
    losses, slopes = [], []
    for weight in (0.0, 1.0, 2.0):
        engine.config = engine.config.changed(aux_weight=weight, branch_weights=(weight,) * 3)
        losses.append(engine.train_step(images, labels, 0.0, 0).loss)
        slopes.append(gradients(engine))
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4) and losses[1] > losses[0] + 0.1
    name = {"icnet": "head.cff_24.conv_low_cls.weight", "psp": "auxlayer.block.4.weight"}[model]
    assert not slopes[0][name].any()
    np.testing.assert_allclose(slopes[2][name], 2 * slopes[1][name], atol=1e-4 * np.abs(slopes[2][name]).max())


def test_logits_hundreds_apart_are_no_reason_to_stop(engine):
    """GluonCV prints NaN here; see test_mxnet_loss.py."""
    last = {"icnet": "head.conv_cls.weight", "psp": "head.block.4.weight"}[engine.config.network.model]
    engine._parameters[last].set_data(engine._parameters[last].data() * 1e4)
    step = engine.train_step(*batch(engine.config.view.size), 1e-6, 0)
    assert step.applied and 104 < step.loss < math.inf and math.isfinite(step.gradient)


def test_two_contexts_share_a_batch(engine, opened):
    """Contexts without SyncBatchNorm do not wait for each other; test_mxnet_norm.py tests SyncBatchNorm."""
    two = open_engine(engine.config.changed(contexts=2))
    two.load(opened[1])
    images, labels = batch(engine.config.view.size, 4)
    labels[:2, :20] = 255
    halves = [engine.train_step(images[part], labels[part], 0.0, 0).loss for part in (slice(0, 2), slice(2, 4))]
    counts = [np.count_nonzero(part != 255) for part in (labels[:2], labels[2:])]
    step = two.train_step(images, labels, 0.01, 0)
    assert step.loss == pytest.approx(np.average(halves, weights=counts), rel=1e-5)
    for name, parameter in two._parameters.items():
        first, second = (array.asnumpy() for array in parameter.list_data())
        np.testing.assert_array_equal(first, second, err_msg=name)
    seen = two.predict(images[:3])
    np.testing.assert_allclose(seen[2:], two.predict(images[2:3]), atol=1e-5 * np.abs(seen).max())
    two.close()


def test_a_size_between_others_leaves_no_trace(engine, opened):
    size = engine.config.view.size
    first = [engine.train_step(*batch(size, seed=seed), 0.01, seed) for seed in (1, 2)]
    engine.load(opened[1])
    engine.load_state(opened[1].with_suffix(".state"))
    images = np.random.default_rng(3).normal(0, 1, (2, 3, 96, 64)).astype(np.float32)
    assert engine.train_step(images, np.zeros((2, 96, 64), np.uint8), 0.0, 0).applied
    engine.load(opened[1])
    engine.load_state(opened[1].with_suffix(".state"))
    assert [engine.train_step(*batch(size, seed=seed), 0.01, seed) for seed in (1, 2)] == first


def test_a_state_is_arrays_by_the_weights_names(opened):
    engine, path = opened
    arrays = read_params(path.with_suffix(".state"))
    assert arrays.pop("steps").tolist() == [0]
    assert {name.removeprefix("momentum:") for name in arrays} == set(gradients(engine))


# --- files that nearly match


def test_an_auxiliary_head_is_left_out_where_there_is_none(tmp_path):
    chosen = config("psp")
    trained, plain = (
        open_engine(chosen, training=False),
        open_engine(chosen.changed(aux=False, seed=5), training=False),
    )
    trained.save(tmp_path / "aux.params")
    plain.load(tmp_path / "aux.params")
    images = batch(SIZE["psp"])[0]
    np.testing.assert_array_equal(plain.predict(images), trained.predict(images))
    plain.save(tmp_path / "plain.params")
    with pytest.raises(CheckpointError, match=r"has no auxlayer\.block\.0\.weight and 6 more"):
        trained.load(tmp_path / "plain.params")
    trained.close()
    plain.close()


def test_weights_that_are_not_finite_are_refused(engine, tmp_path):
    name = next(iter(engine._parameters))
    before = weights(engine)
    engine._parameters[name].set_data(mx.nd.full(before[name].shape, np.nan))
    engine.save(tmp_path / "nan.params")
    with pytest.raises(CheckpointError, match="has infinities or NaN"):
        engine.load(tmp_path / "nan.params")


# --- unsupported options


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ngpus": 1, "contexts": 1}, EngineError, r"ngpus: 1, but MXNet 1\.9\.1 sees 0.*--ngpus 0"),
        ({"dtype": "float16"}, OptionError, "float16 with engine mxnet.*--engine torch"),
        ({"kvstore": "p3"}, OptionError, "'p3'.*device, local, dist_sync"),
        ({"kvstore": "dist_sync"}, EngineError, "dist_sync without DMLC_ROLE.*docs/cluster.md"),
        ({"syncbn": True, "contexts": 2}, EngineError, "MXNET_CPU_TEMP_COPY=2048 MXNET_CPU_WORKER_NTHREADS=16"),
    ],
)
def test_what_cannot_be_opened_says_why(change, error, message, monkeypatch):
    for name in (*APART, "DMLC_ROLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(error, match=message):
        open_engine(config().changed(**change))
    assert not set(APART) & set(os.environ)


def test_batches_it_cannot_take(engine):
    size, step = engine.config.view.size, {"icnet": 16, "psp": 8}[engine.config.network.model]
    images, labels = batch(size)
    wrong = images[:, :, :-1], labels[:, :-1]
    with pytest.raises(EngineError, match=rf"images: {size - 1} x {size} \(height x width\) for .*multiples of {step}"):
        engine.train_step(*wrong, 0.01, 0)
    with pytest.raises(EngineError, match=r"images: float64 .*expected float32 \(2, 3"):
        engine.train_step(images.astype(np.float64), labels, 0.01, 0)
    with pytest.raises(EngineError, match=r"images: float32 \(1, 3"):
        engine.train_step(images[:1], labels, 0.01, 0)
    labels[1, 2, 3:5] = 19
    with pytest.raises(EngineError, match=r"label 19 in 2 pixels; expected labels 0 to 18, or 255\..*classes=20"):
        engine.train_step(images, labels, 0.01, 0)


def test_what_was_opened_to_predict_does_not_train():
    engine = open_engine(config(), training=False)
    with pytest.raises(EngineError, match="opened for prediction"):
        engine.train_step(*batch(64), 0.01, 0)
    engine.close()


def test_images_too_small_to_predict(engine):
    least = {"icnet": 32, "psp": 8}[engine.config.network.model]
    engine.predict(np.zeros((1, 3, least, least + 5), np.float32))
    with pytest.raises(EngineError, match=rf"images: {least - 1} x 40 \(height x width\) for .*at least {least}"):
        engine.predict(np.zeros((1, 3, least - 1, 40), np.float32))


def test_an_error_of_mxnets_is_explained(engine, monkeypatch):
    def fail(*_):
        raise mx.MXNetError("Traceback:\n  File\nMXNetError: cudaMalloc retry failed: out of memory")

    monkeypatch.setattr(engine, "_differentiate", fail)
    match = r"train_step: MXNet failed .*out of memory.*If it is out of memory: Pass --(batch|crop)-size \d+"
    with pytest.raises(EngineError, match=match):
        engine.train_step(*batch(engine.config.view.size), 0.01, 0)


def test_a_numpy_that_mxnet_does_not_know(monkeypatch):
    from mhpmodels.engines.mxnet import libraries

    monkeypatch.setattr(np, "__version__", "2.1.0")
    with pytest.raises(EngineError, match=r'numpy 2\.1\.0; expected numpy 1\.23.*pip install "\.\[mxnet\]"'):
        libraries._import_mxnet()


# --- the end of its process


@pytest.fixture(scope="module")
def weights_of_icnet(tmp_path_factory):
    path = tmp_path_factory.mktemp("ends") / "weights.params"
    engine = open_engine(config("icnet"), training=False)
    engine.save(path)
    engine.close()
    return path


ENDS = [pytest.param("engine.close()", 0, marks=pytest.mark.slow), ("raise SystemExit(3)", 3)]


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_process_that_ends_soon_ends_as_it_says(end, status, weights_of_icnet):
    # an MXNet thread that frees memory through Python aborts a process in finalisation
    code = f"""
from mhpmodels.engines.engine import open_engine
from mxnet_small import config
engine = open_engine(config("icnet"), training=False)
engine.load({str(weights_of_icnet)!r})
{end}
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "terminate" in done.stderr) == (status, False)
