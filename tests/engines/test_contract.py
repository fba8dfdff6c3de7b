"""The contract of ``mhpmodels.engines.engine.Engine``, for every installed engine."""

from __future__ import annotations

import json
import math
import weakref

import numpy as np
import pytest
from full_networks import CLASSES, batch, config

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import ENGINES, Step, installed, open_engine

OTHERS = pytest.mark.slow  # only the engine's contract; tests of an engine cover its networks
NETWORKS = [("torch", "psp"), ("mxnet", "icnet"), pytest.param(("torch", "icnet"), marks=OTHERS)]
NETWORKS += [pytest.param(("mxnet", "psp"), marks=OTHERS)]


@pytest.fixture(scope="module", params=NETWORKS, ids="-".join)
def opened(request, tmp_path_factory):
    """Return an engine, and files of its initial weights and state."""
    name, model = request.param
    if name not in installed():
        pytest.skip(f"engine {name} is not installed here")
    engine = open_engine(config(name, model))
    folder = tmp_path_factory.mktemp("first")
    engine.save(folder / "weights")
    engine.save_state(folder / "state")
    yield engine, folder
    engine.close()
    engine.close()  # raises no error


@pytest.fixture(scope="module")
def twin(opened):
    """Return a second engine of the same config; tests load its weights."""
    twin = open_engine(opened[0].config)
    yield twin
    twin.close()


@pytest.fixture(scope="module")
def stranger(opened):
    """Return an engine of another network and optimiser."""
    stranger = open_engine(opened[0].config.changed(classes=18, optimizer="adam"))
    yield stranger
    stranger.close()


@pytest.fixture
def engine(opened):
    """Return the engine in its initial state."""
    engine, folder = opened
    engine.load(folder / "weights")
    engine.load_state(folder / "state")
    return engine


def run(engine, steps, first: int = 0):
    """Run steps on different batches; return their results."""
    size = engine.config.view.size
    return [engine.train_step(*batch(size, seed=step), 0.01, step) for step in range(first, first + steps)]


def assert_close(a, b):
    """Assert equality up to rounding, relative to the largest value."""
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def look(engine):
    """Return the prediction for one batch, which depends on weights and running statistics."""
    return engine.predict(batch(engine.config.view.size, seed=99)[0])


# --- opening


def test_installed_names_engines_that_are_known_and_torch_first():
    assert set(installed()) <= set(ENGINES)
    assert list(installed()) == [name for name in ENGINES if name in installed()]
    assert next(iter(ENGINES)) == "torch"


def test_an_engine_that_nobody_knows(monkeypatch):
    with pytest.raises(OptionError, match="torch or mxnet"):
        open_engine(TrainConfig().changed(engine="caffe"))


def test_a_missing_framework_names_the_extra(monkeypatch):
    monkeypatch.setitem(ENGINES, "mxnet", ("no_such_framework",))
    assert "mxnet" not in installed()
    with pytest.raises(EngineError, match=r'no_such_framework not installed.*pip install "\.\[mxnet\]"'):
        open_engine(TrainConfig.of(engine="mxnet"))


def test_it_says_what_it_is(engine):
    assert engine.name in ENGINES
    assert (engine.rank, engine.world_size) == (0, 1)
    description = json.loads(json.dumps(engine.describe()))
    assert description["parameters"] > 1_000_000
    assert {"framework", "versions", "devices"} <= set(description)


# --- steps


def test_it_learns_a_batch(engine):
    images, labels = batch(engine.config.view.size)
    steps = [engine.train_step(images, labels, 0.005, seed) for seed in range(8)]
    assert all(type(step) is Step and step.applied and type(step.loss) is float for step in steps)
    assert 0 < steps[-1].loss < 0.9 * steps[0].loss
    assert all(0 < step.gradient < math.inf for step in steps)


def test_the_same_steps_give_the_same_bits(engine, opened):
    first, seen = run(engine, 3), look(engine)
    engine.load(opened[1] / "weights")
    engine.load_state(opened[1] / "state")
    assert run(engine, 3) == first
    np.testing.assert_array_equal(look(engine), seen)


def test_the_seed_of_the_config_decides_the_first_weights(engine, twin):
    np.testing.assert_array_equal(look(twin), look(engine))
    other = open_engine(engine.config.changed(seed=7), training=False)
    assert not np.array_equal(look(other), look(engine))
    other.close()


def test_another_engine_goes_on_where_this_one_stopped(engine, twin, tmp_path):
    run(engine, 2)
    engine.save(tmp_path / "weights")
    engine.save_state(tmp_path / "state")
    run(twin, 1)
    twin.load(tmp_path / "weights")
    twin.load_state(tmp_path / "state")
    np.testing.assert_array_equal(look(twin), look(engine))
    assert run(twin, 2, first=2) == run(engine, 2, first=2)
    np.testing.assert_array_equal(look(twin), look(engine))


def test_the_seed_of_a_step_decides_its_dropout(engine, opened):
    images, labels = batch(engine.config.view.size)
    losses = [engine.train_step(images, labels, 0.0, seed).loss for seed in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


def test_the_loss_is_a_mean_over_labelled_pixels(engine):
    images, labels = batch(engine.config.view.size)
    some = np.random.default_rng(1).random(labels.shape) < 0.3
    parts = [np.where(keep, labels, 255).astype(np.uint8) for keep in (some, ~some)]
    whole, *losses = (engine.train_step(images, part, 0.0, 5).loss for part in (labels, *parts))
    counts = [np.count_nonzero(part != 255) for part in parts]
    assert whole == pytest.approx(np.average(losses, weights=counts), rel=1e-5)


def test_class_weights_multiply_the_entropy_of_their_labels(opened, engine):
    """The mean is over all labelled pixels, regardless of their weights; unlabelled pixels are ignored."""
    images, labels = batch(engine.config.view.size)
    labels[labels != 255] %= 2
    rates = (0.5, 3.0) + (1.0,) * (CLASSES - 2)
    alone = [np.where(labels == c, labels, 255).astype(np.uint8) for c in (0, 1)]
    counts = [np.count_nonzero(part != 255) for part in alone]
    plain = [engine.train_step(images, part, 0.0, 5).loss for part in alone]
    weighted = open_engine(engine.config.changed(class_weights=rates))
    weighted.load(opened[1] / "weights")
    loss = weighted.train_step(images, labels, 0.0, 5).loss
    weighted.close()
    assert loss == pytest.approx(np.average(np.multiply(plain, rates[:2]), weights=counts), rel=1e-4)


def test_the_rate_is_that_of_the_step(engine):
    images, labels = batch(engine.config.view.size)
    before = look(engine)
    changes = []
    for _ in range(2):
        engine.train_step(images, labels, 0.0, 0)
    for rate in (1e-5, 1e-3):
        engine.train_step(images, labels, rate, 0)
        changes.append(np.abs(look(engine) - before).mean())
    assert changes[0] < changes[1]


def test_bytes_are_normalised_as_the_loader_does(engine):
    size = engine.config.view.size
    pixels = np.random.default_rng(2).integers(0, 256, (2, size, size, 3), np.uint8)
    labels = batch(size)[1]
    images = ((pixels / 255 - MEAN) / DEVIATION).astype(np.float32).transpose(0, 3, 1, 2).copy()
    assert_close(engine.predict(pixels), engine.predict(images))
    a, b = (engine.train_step(x, labels, 0.0, 3) for x in (pixels, images))
    assert a.loss == pytest.approx(b.loss, rel=1e-5)


@pytest.mark.parametrize("kind", ["black", "unlabelled", "batch of one", "one label"])
def test_poor_batches_stay_finite(engine, kind):
    images, labels = batch(engine.config.view.size)
    if kind == "black":
        images = np.broadcast_to(np.float32(-np.divide(MEAN, DEVIATION))[:, None, None], images.shape).copy()
    elif kind == "unlabelled":
        labels = np.full_like(labels, 255)
    elif kind == "batch of one":
        images, labels = images[:1], labels[:1]
    else:
        labels = np.full_like(labels, 255)
        labels[0, 0, 0] = 3
    for seed in range(3):
        step = engine.train_step(images, labels, 0.001, seed)
        assert step.applied and math.isfinite(step.loss) and math.isfinite(step.gradient)
        assert kind != "unlabelled" or (step.loss, step.gradient) == (0.0, 0.0)
    assert np.isfinite(look(engine)).all()


def test_a_step_that_is_not_finite_did_not_happen(engine, tmp_path):
    run(engine, 1)
    engine.save(tmp_path / "weights")
    engine.save_state(tmp_path / "state")
    before, after = look(engine), run(engine, 2, first=1)
    engine.load(tmp_path / "weights")
    engine.load_state(tmp_path / "state")
    for bad in (np.nan, np.inf):
        images, labels = batch(engine.config.view.size)
        images[1, 2, 3, 4] = bad
        step = engine.train_step(images, labels, 0.01, 5)
        assert not step.applied
        assert not (math.isfinite(step.loss) and math.isfinite(step.gradient))
    np.testing.assert_array_equal(look(engine), before)
    assert run(engine, 2, first=1) == after


# --- prediction


def test_predictions_are_logits_at_the_images_size(engine):
    for height, width in ((48, 64), (56, 40), (51, 70)):
        images = np.random.default_rng(height).normal(0, 1, (3, 3, height, width)).astype(np.float32)
        logits = engine.predict(images)
        assert logits.shape == (3, CLASSES, height, width) and logits.dtype == np.float32
        assert np.isfinite(logits).all()
        assert_close(engine.predict(images[1:2]), logits[1:2])


def test_predicting_changes_nothing(engine, opened):
    first = run(engine, 2)
    engine.load(opened[1] / "weights")
    engine.load_state(opened[1] / "state")
    again = run(engine, 1)
    engine.predict(np.zeros((1, 3, 80, 56), np.float32))
    assert again + run(engine, 1, first=1) == first


# --- memory


def test_the_callers_memory_is_let_go_and_left_as_it_was(engine):
    images, labels = batch(engine.config.view.size)
    kept = images.copy(), labels.copy()
    engine.train_step(images, labels, 0.01, 0)
    engine.predict(images)
    np.testing.assert_array_equal(images, kept[0])
    np.testing.assert_array_equal(labels, kept[1])
    assert images.flags.writeable and labels.flags.writeable
    gone = [weakref.ref(array) for array in (images, labels)]
    del images, labels
    assert [ref() for ref in gone] == [None, None], "a slot would not come back to the loader"


def test_memory_that_is_read_only_will_do(engine):
    images, labels = batch(engine.config.view.size)
    images.flags.writeable = labels.flags.writeable = False
    assert engine.train_step(images, labels, 0.01, 0).applied
    engine.predict(images)


# --- files


def damaged(folder, write, stranger_writes):
    """Return paths of files that are missing, truncated, of another format, or of another network."""
    (missing, cut, other, strange) = (folder / name for name in ("missing", "cut", "other", "strange"))
    write(cut)
    cut.write_bytes(cut.read_bytes()[:-1000])
    other.write_bytes(b"PK\x03\x04 and so on" * 1000)
    stranger_writes(strange)
    return missing, cut, other, strange


def test_weights_that_do_not_fit_change_nothing(engine, stranger, tmp_path):
    before = look(engine)
    for path in damaged(tmp_path, engine.save, stranger.save):
        with pytest.raises(CheckpointError, match=path.name):
            engine.load(path)
    np.testing.assert_array_equal(look(engine), before)


def test_a_state_that_does_not_fit_changes_nothing(engine, stranger, tmp_path):
    run(engine, 1)
    engine.save(tmp_path / "weights")
    engine.save_state(tmp_path / "state")
    after = run(engine, 1, first=1)
    engine.load(tmp_path / "weights")
    engine.load_state(tmp_path / "state")
    for path in (*damaged(tmp_path, engine.save_state, stranger.save_state), tmp_path / "weights"):
        with pytest.raises(CheckpointError, match=path.name):
            engine.load_state(path)
    assert run(engine, 1, first=1) == after


def test_adam_goes_on_where_it_stopped(stranger, tmp_path):
    images, labels = batch(stranger.config.view.size)
    labels[labels == 18] = 0

    def go_on():
        return [stranger.train_step(images, labels, 1e-4, seed) for seed in (2, 3)]

    stranger.train_step(images, labels, 1e-4, 1)
    stranger.save(tmp_path / "weights")
    stranger.save_state(tmp_path / "state")
    after = go_on()
    stranger.load(tmp_path / "weights")
    stranger.load_state(tmp_path / "state")
    assert go_on() == after
