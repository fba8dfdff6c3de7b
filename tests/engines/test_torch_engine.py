"""The torch engine beyond the contract, on a network of two convolutions; test_contract.py tests the contract."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.files.params import to_gluon_names, write_params

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import CLASSES, SIZE, Plain, batch, config  # noqa: E402
from torch_weights import weights  # noqa: E402

from mhpmodels.engines.torch.scaler import LARGEST, PATIENCE, Scaler  # noqa: E402

RATE = 0.1


@pytest.fixture
def opened(opened):
    """Return a function that opens engines of torch_tiny."""
    return lambda *arguments, **options: opened(config(*arguments, **options))


def changes(engine, images, labels, rate=RATE, seed=0):
    """Return the change of each weight by a step."""
    before = weights(engine)
    assert engine.train_step(images, labels, rate, seed).applied
    after = weights(engine)
    return {name: tensor - before[name] for name, tensor in after.items() if tensor.is_floating_point()}


# --- networks of one's own


MISTAKES = {
    "of_wrong_classes": rf"the network returned float32 \(2, {CLASSES + 1}, {SIZE}, {SIZE}\) for images \(2, 3, .*"
    rf"expected logits \(2, {CLASSES}, h, w\), or a tuple of them\. Return one channel per class",
    "of_wrong_channels": r"the network raised RuntimeError: .*line \d+\)\. Correct this line",
    "of_named_outputs": r"the network returned dict for images",
}


@pytest.mark.parametrize("function", MISTAKES)
def test_mistakes_of_a_network_of_ones_own_are_the_users(function):
    model, (images, labels) = f"own_networks:{function}", batch(count=2)
    with closing(open_engine(replace(config(), network=replace(config().network, model=model)))) as engine:
        for use in lambda: engine.train_step(images, labels, RATE, 0), lambda: engine.predict(images):
            with pytest.raises(OptionError, match=f"^model {model}: {MISTAKES[function]}"):
                use()


# --- the update


def test_an_update_is_autograds(opened):
    engine, (images, labels) = opened("Plain"), batch()
    network = Plain(None)
    network.load_state_dict(weights(engine))
    loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(images)), torch.from_numpy(labels).long())
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    step_rate = {"base": RATE, "head": 10 * RATE}
    for name, change in changes(engine, images, labels).items():
        if name in gradients and not name.startswith("norm"):
            torch.testing.assert_close(change, -step_rate[name[:4]] * gradients[name], atol=1e-6, rtol=1e-4)
    norm = math.sqrt(sum((g**2).sum().item() for g in gradients.values() if g is not None))
    again = opened("Plain").train_step(images, labels, RATE, 0)
    assert (again.loss, again.gradient) == pytest.approx((loss.item(), norm), rel=1e-5)


def test_decay_of_weights_but_not_of_vectors(opened):
    """No pixel is labelled, so only weight decay changes the weights."""
    images, labels = batch()[0], np.full((4, SIZE, SIZE), 255, np.uint8)
    for no_wd in (False, True):
        engine = opened(weight_decay=0.1, no_wd=no_wd)
        with torch.no_grad():
            engine._network.base.bias.fill_(1)
        before = weights(engine)
        found = changes(engine, images, labels)
        torch.testing.assert_close(found["base.weight"], -RATE * 0.1 * before["base.weight"], rtol=1e-3, atol=1e-7)
        torch.testing.assert_close(found["head.weight"], -RATE * before["head.weight"], rtol=1e-3, atol=1e-7)
        for name in ("base.bias", "norm.weight"):
            assert found[name].unique().tolist() == pytest.approx([0.0 if no_wd else -RATE * 0.1], rel=1e-3)


def test_clipping_makes_the_whole_gradient_shorter(opened):
    images, labels = batch()
    free = changes(opened("Plain", head_rate=1.0), images, labels)
    gradient = opened("Plain").train_step(images, labels, RATE, 0).gradient
    clipped = changes(opened("Plain", head_rate=1.0, clip_grad=gradient / 4), images, labels)
    for name, change in clipped.items():
        torch.testing.assert_close(change, free[name] / 4, atol=1e-6, rtol=1e-3)


def test_the_old_recipe_divides_by_the_images_and_weighs_all_outputs_alike(opened):
    """This holds for the update; the loss is GluonCV's printed one, with the configured weights, over all pixels."""
    images, labels = batch()
    plain = changes(opened("Plain"), images, labels)
    old = changes(opened("Plain", old_recipe=True), images, labels)
    for name, change in old.items():
        torch.testing.assert_close(change, plain[name] / 4, atol=1e-6, rtol=1e-3)
    losses = [opened(aux_weight=w, old_recipe=old).train_step(images, labels, 0.0, 0).loss
              for w, old in ((0.0, False), (0.5, False), (1.0, False), (0.5, True))]  # fmt: skip
    assert losses[1] == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-5)
    assert losses[1] < 0.9 * losses[2] and losses[3] == pytest.approx(losses[1], rel=1e-6)
    alike = changes(opened(aux_weight=1.0), images, labels)
    for name, change in changes(opened(aux_weight=0.5, old_recipe=True), images, labels).items():
        if not name.startswith("norm"):
            torch.testing.assert_close(change, alike[name] / 4, atol=1e-6, rtol=1e-3)
    labels[:, :2] = 255
    found, shown = (opened(old_recipe=old).train_step(images, labels, 0.0, 0).loss for old in (False, True))
    assert shown == pytest.approx(found * (SIZE - 2) / SIZE, rel=1e-5)


def test_parts_add_up_to_the_batch(opened):
    images, labels = batch()
    labels[0] = 255  # parts of a batch are weighted by their labelled pixels
    labels[3, :5] = 255
    whole, parts = (opened("Plain", accumulate=parts) for parts in (1, 4))
    a, b = (engine.train_step(images, labels, RATE, 0) for engine in (whole, parts))
    assert (a.loss, a.gradient) == pytest.approx((b.loss, b.gradient), rel=1e-5)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], tensor, atol=1e-6, rtol=1e-5)
    with pytest.raises(EngineError, match="3, to be split by --accumulate 4"):
        parts.train_step(images[:3], labels[:3], RATE, 0)


def test_labels_that_are_no_class(opened):
    images, labels = batch()
    labels[0, 0, 0] = CLASSES
    engine = opened()
    before = weights(engine)
    with pytest.raises(EngineError, match=r"label 3 in 1 pixel; expected labels 0 to 2, or 255\. .*classes=4"):
        engine.train_step(images, labels, RATE, 0)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(engine).items())


@pytest.mark.parametrize(("images", "found"), [
    (np.zeros((4, 3, SIZE, SIZE)), "float64"),
    (np.zeros((4, SIZE, SIZE, 3), np.float32), "float32"),
    (np.zeros((4, 3, SIZE, SIZE), np.uint8), "uint8"),
])  # fmt: skip
def test_images_of_another_kind(opened, images, found):
    with pytest.raises(EngineError, match=found):
        opened().train_step(images, batch()[1], RATE, 0)


def test_sizes_that_icnet_does_not_take():
    engine = open_engine(TrainConfig.of(engine="torch", backbone="resnet18", crop_size=32))
    with pytest.raises(EngineError, match="multiples of 16, at least 32"):
        engine.train_step(np.zeros((1, 3, 40, 40), np.float32), np.zeros((1, 40, 40), np.uint8), RATE, 0)
    engine.close()


def test_an_engine_that_only_predicts():
    engine = open_engine(config(), training=False)
    assert engine.predict(batch()[0]).shape == (4, CLASSES, SIZE, SIZE)
    with pytest.raises(EngineError, match="opened for prediction"):
        engine.train_step(*batch(), RATE, 0)
    engine.close()


# --- precision


def test_bfloat16_is_near_float32(opened):
    images, labels = batch()
    wide, narrow = (opened(dtype=dtype).train_step(images, labels, RATE, 0) for dtype in ("float32", "bfloat16"))
    assert narrow.applied and narrow.loss != wide.loss
    assert (narrow.loss, narrow.gradient) == pytest.approx((wide.loss, wide.gradient), rel=0.03)


def test_a_factor_too_large_is_made_smaller_within_the_step(opened):
    """The guard is not informed, and the running statistics are those of one step."""
    images, labels = batch()
    engine, one = opened(dtype="float16"), opened(dtype="float16")
    engine.trainer.scaler.factor, one.trainer.scaler.factor = 2.0**40, 1.0
    found, expected = (e.train_step(images, labels, RATE, 0) for e in (engine, one))
    assert found.applied and 1 < engine.trainer.scaler.factor < 2.0**40
    assert (found.loss, found.gradient) == pytest.approx((expected.loss, expected.gradient), rel=0.01)
    torch.testing.assert_close(weights(engine)["norm.running_mean"], weights(one)["norm.running_mean"])
    assert weights(engine)["norm.num_batches_tracked"] == weights(one)["norm.num_batches_tracked"]


def test_a_gradient_that_no_factor_makes_finite_is_the_guards(opened):
    engine, (images, labels) = opened("Wide", dtype="float16"), batch()
    before = weights(engine)
    assert not engine.train_step(images * 1e4, labels, RATE, 0).applied  # its loss is NaN
    scaler, tried = engine.trainer.scaler, []
    scaler.good = 7
    engine.trainer._differentiate = lambda *_: (1.0, tried.append(scaler.factor) or math.inf)
    assert not engine.train_step(images, labels, RATE, 0).applied
    assert tried[0] == LARGEST and tried[-1] == 1
    assert (scaler.factor, scaler.good) == (LARGEST, 7), "the factor was let go for a broken step"
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(engine).items())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_low_precision_too_a_step_that_is_not_finite_did_not_happen(opened, dtype):
    engine, (images, labels) = opened(dtype=dtype), batch()
    images[0, 0, 0, 0] = math.nan
    before = weights(engine)
    assert not engine.train_step(images, labels, RATE, 0).applied
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(engine).items())
    assert engine.train_step(*batch(), RATE, 0).applied


def test_channels_last_takes_the_same_steps(opened):
    """This forces the memory format that the engine uses on a GPU."""
    images, labels = batch()
    plain, last = opened(), opened()
    last._format = last.trainer.memory_format = torch.channels_last
    last._network.to(memory_format=torch.channels_last)
    for seed in range(3):
        a, b = (engine.train_step(images, labels, RATE, seed) for engine in (plain, last))
        assert (a.loss, a.gradient) == pytest.approx((b.loss, b.gradient), rel=1e-4)
    np.testing.assert_allclose(last.predict(images), plain.predict(images), atol=1e-4)
    assert last._network.base.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_factor_goes_on_where_it_stopped(opened, tmp_path):
    engine, other = opened(dtype="float16"), opened(dtype="float16", seed=1)
    engine.trainer.scaler.factor, engine.trainer.scaler.good = 8.0, 7
    engine.save_state(tmp_path / "state")
    other.load_state(tmp_path / "state")
    assert (other.trainer.scaler.factor, other.trainer.scaler.good) == (8.0, 7)


def test_the_factor_grows_after_many_good_steps():
    scaler = Scaler(used=True)
    largest = scaler.factor
    assert scaler.shrink() and scaler.shrink() and scaler.factor == largest / 4
    for _ in range(PATIENCE):
        scaler.grow()
    assert scaler.factor == largest / 2
    for _ in range(3 * PATIENCE):
        scaler.grow()
    assert scaler.factor == largest
    unused = Scaler(used=False)
    unused.grow()
    assert unused.factor == 1.0 and not unused.shrink()


# --- the average of the weights


def test_the_average_predicts_and_is_saved_and_training_goes_on_from_the_weights(opened, tmp_path):
    images, labels = batch()
    engine, bare = opened(ema=0.5, momentum=0.9), opened(momentum=0.9)
    seen = []
    for seed in range(3):
        assert engine.train_step(images, labels, RATE, seed) == bare.train_step(images, labels, RATE, seed)
        seen.append(weights(bare))
    engine.save(tmp_path / "weights")
    engine.save_state(tmp_path / "state")
    saved = torch.load(tmp_path / "weights", weights_only=True)
    expected = (seen[0]["head.weight"] + seen[1]["head.weight"]) / 4 + seen[2]["head.weight"] / 2
    torch.testing.assert_close(saved["head.weight"], expected)
    torch.testing.assert_close(saved["norm.running_mean"], seen[2]["norm.running_mean"])

    other = opened(ema=0.5, momentum=0.9, seed=1)
    other.load(tmp_path / "weights")
    other.load_state(tmp_path / "state")
    np.testing.assert_array_equal(other.predict(images), engine.predict(images))
    for seed in range(3, 5):
        assert other.train_step(images, labels, RATE, seed) == engine.train_step(images, labels, RATE, seed)
    np.testing.assert_array_equal(other.predict(images), engine.predict(images))
    with pytest.raises(CheckpointError, match="holds no running average"):
        bare.save_state(tmp_path / "bare")
        engine.load_state(tmp_path / "bare")


def test_an_average_begins_with_the_weights_that_are_loaded(opened, tmp_path):
    engine, other = opened(ema=0.9), opened(seed=1)
    other.save(tmp_path / "weights")
    engine.load(tmp_path / "weights")
    images, labels = batch()
    np.testing.assert_array_equal(engine.predict(images), other.predict(images))
    engine.train_step(images, labels, RATE, 0)
    other.train_step(images, labels, RATE, 0)
    np.testing.assert_array_equal(engine.predict(images), other.predict(images))


# --- files


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


def test_no_code_is_unpickled(opened, tmp_path, capsys):
    torch.save(Evil(), tmp_path / "evil")
    engine = opened()
    for load in (engine.load, engine.load_state):
        with pytest.raises(CheckpointError, match="evil"):
            load(tmp_path / "evil")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("change", [
    {"factor": math.inf}, {"factor": 0.5}, {"good": None}, {"steps": -1}, {"steps": "2"}, {"moments": 3},
    {"moments": {}}, {"moments": {"momentum_buffer:base.weight": torch.zeros(1)}},
])  # fmt: skip
def test_a_state_that_was_tampered_with(opened, change, tmp_path):
    engine = opened(momentum=0.9)
    engine.train_step(*batch(), RATE, 0)
    engine.save_state(tmp_path / "state")
    content = torch.load(tmp_path / "state", weights_only=True)
    torch.save({**content, **change}, tmp_path / "state")
    with pytest.raises(CheckpointError, match="state"):
        engine.load_state(tmp_path / "state")


def test_weights_that_are_not_finite(opened, tmp_path):
    engine = opened()
    torch.save({**weights(engine), "norm.running_var": torch.full((4,), math.nan)}, tmp_path / "weights")
    with pytest.raises(CheckpointError, match=r"norm\.running_var has infinities or NaN"):
        engine.load(tmp_path / "weights")


def test_gluoncvs_files_load_with_and_without_their_auxiliary_head(tmp_path):
    options = {"engine": "torch", "model": "psp", "backbone": "resnet18", "crop_size": 48}
    with_aux, without = (open_engine(TrainConfig.of(aux=aux, **options), training=False) for aux in (True, False))
    state = {name: tensor.numpy() for name, tensor in with_aux._network.state_dict().items()}
    write_params(tmp_path / "a.params", to_gluon_names(state))
    without.load(tmp_path / "a.params")
    images = np.random.default_rng(0).normal(size=(1, 3, 48, 48)).astype(np.float32)
    np.testing.assert_array_equal(without.predict(images), with_aux.predict(images))
    without.save(tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"auxlayer\.block\.0\.weight is missing"):
        with_aux.load(tmp_path / "b.pt")


# --- options of the config


@pytest.mark.parametrize("option", [{"ema": 0.9}, {"accumulate": 2}, {"compile": True}, {"model": "a:b"}])
def test_what_only_torch_has(option):
    with pytest.raises(OptionError, match="engine torch"):
        TrainConfig.of(engine="mxnet", **option)
    assert TrainConfig.of(engine="torch").changed(**option)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)  # raised by torch itself
def test_a_compiled_network_takes_the_same_steps(opened):
    """This is slow, as torch.compile calls a C++ compiler."""
    images, labels = batch()
    plain, compiled = opened(), opened(compile=True)
    for seed in range(3):
        a, b = (engine.train_step(images, labels, RATE, seed) for engine in (plain, compiled))
        assert (a.loss, a.gradient) == pytest.approx((b.loss, b.gradient), rel=1e-4)
    np.testing.assert_allclose(compiled.predict(images), plain.predict(images), atol=1e-4)
