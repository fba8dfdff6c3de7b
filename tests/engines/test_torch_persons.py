"""Heads of persons with the torch engine: their weights, loss, stages, files and exports."""

from __future__ import annotations

import numpy as np
import pytest
from full_networks import batch as blobs
from full_networks import config as full_config

from mhpdata.drawing.targets import draw_targets
from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpdata.settings.output import OFFSET_UNIT
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.networks.architecture import Architecture, build_network
from mhpmodels.prediction.convert import convert
from mhpmodels.prediction.trained import open_trained

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch_tiny import SIZE, batch, config  # noqa: E402
from torch_weights import weights  # noqa: E402

from mhpmodels.networks.resize import resize  # noqa: E402

RATE = 0.05


def targets(count=4, size=SIZE):
    drawn = np.zeros((count, 4, size, size), np.float32)
    for i in range(count):
        persons = np.zeros((size, size), np.uint8)
        persons[: size // 2, i : i + size // 2], persons[size // 2 :, 3:9] = 1, 2
        draw_targets(persons, drawn[i], OFFSET_UNIT)
    return drawn


@pytest.mark.parametrize("model", ["icnet", pytest.param("psp", marks=pytest.mark.slow)])
def test_heads_change_neither_the_first_weights_nor_the_labels(opened, model):
    plain, engine = (opened(full_config("torch", model, persons=persons)) for persons in (False, True))
    theirs, ours = weights(plain), weights(engine)
    assert set(ours) - set(theirs) == {name for name in ours if name.startswith("persons.")}
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert 100_000 < sum(p.numel() for n, p in engine._network.named_parameters() if n.startswith("persons.")) < 900_000
    images, labels = blobs(plain.config.view.size)
    found = engine.predict_persons(images)
    assert found.shape == (2, 22, *labels.shape[1:]) and found.dtype == np.float32
    assert not found[:, 19:].any(), "a head's last layer starts at 0"
    np.testing.assert_array_equal(found[:, :19], plain.predict(images))
    np.testing.assert_array_equal(found[:, :19], engine.predict(images))
    # the first stage: steps without targets
    assert engine.train_step(images, labels, RATE, 3) == plain.train_step(images, labels, RATE, 3)
    after = weights(engine)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights(plain).items())
    learned = [n for n, _ in engine._network.named_parameters() if n.startswith("persons.")]
    assert all(torch.equal(after[name], ours[name]) for name in learned)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_heads_learn_centres_and_offsets(opened, model):
    engine = opened(full_config("torch", model, persons=True, optimizer="adam", head_rate=1.0, dropout=0.0))
    size = engine.config.view.size
    images, labels = blobs(size)
    wanted = targets(2, size)
    losses = [engine.train_step(images, labels, 0.003, seed, wanted).loss for seed in range(8)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_loss_is_the_mean_of_the_errors(opened):
    engine = opened(config("Persons", persons=True, person_weights=(3.0, 0.7)))
    images, labels = batch()
    wanted = targets()
    network, true = engine._network.train(), torch.from_numpy(wanted)
    logits, maps = network(torch.from_numpy(images))
    maps = resize(maps, (SIZE, SIZE))
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).long())
    expected = expected + 3.0 * torch.nn.functional.mse_loss(maps[:, 0], true[:, 0])
    counts = true[:, 3] == 1
    offsets = [(maps[:, k] - true[:, k])[counts].abs().mean() for k in (1, 2)]
    expected = expected + 0.7 * sum(offsets) / 2
    step = engine.train_step(images, labels, 0.0, 0, wanted)
    assert step.loss == pytest.approx(expected.item(), rel=1e-5)
    nobody = np.zeros_like(wanted)
    assert np.isfinite(engine.train_step(images, labels, RATE, 0, nobody).loss)


def test_a_run_resumes_exactly_in_both_stages(opened, tmp_path):
    options = {"persons": True, "optimizer": "adam"}
    engine = opened(config("Persons", **options))
    images, labels = batch()
    stages = [None, None, targets(), targets(), None]
    for seed, wanted in enumerate(stages):
        engine.save(tmp_path / f"weights{seed}")
        engine.save_state(tmp_path / f"state{seed}")
        other = opened(config("Persons", seed=1, **options))
        other.load(tmp_path / f"weights{seed}")
        other.load_state(tmp_path / f"state{seed}")
        for later in range(seed, len(stages)):
            other.train_step(images, labels, RATE, later, stages[later])
        step = engine.train_step(images, labels, RATE, seed, wanted)
        assert step.applied
        resumed = weights(other)
        if seed == 0:
            first = resumed
        assert all(torch.equal(first[name], tensor) for name, tensor in resumed.items())
    content = torch.load(tmp_path / "state3", weights_only=True)
    assert content["fewer"] == {"persons.weight": 1, "persons.bias": 1}
    content["fewer"]["persons.bias"] = 7
    torch.save(content, tmp_path / "state3")
    with pytest.raises(CheckpointError, match="numbers of updates"):
        engine.load_state(tmp_path / "state3")


def test_weights_without_heads_begin_a_run_with_heads_and_the_reverse_ignores_them(opened, tmp_path):
    plain, engine = (opened(full_config("torch", "icnet", persons=p, seed=s)) for p, s in ((False, 1), (True, 2)))
    own = weights(engine)
    plain.save(tmp_path / "plain.pt")
    engine.save(tmp_path / "heads.pt")
    engine.load(tmp_path / "plain.pt")
    expected = {**own, **weights(plain)}
    assert all(torch.equal(expected[name], tensor) for name, tensor in weights(engine).items())
    plain.load(tmp_path / "heads.pt")
    assert torch.equal(weights(plain)["conv1.weight"], own["conv1.weight"])
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    assert Architecture.of_weights(shapes) == Architecture.of_config(engine.config)
    predictor = opened_for_prediction(engine.config)
    with pytest.raises(CheckpointError, match=r"persons\..* is missing.*Pass no --persons to use these weights"):
        predictor.load(tmp_path / "plain.pt")
    with pytest.raises(CheckpointError, match="heads of persons"):
        convert(tmp_path / "heads.pt", tmp_path / "heads.params")
    convert(tmp_path / "heads.pt", tmp_path / "again.pt")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert all(torch.equal(again[name], own[name]) for name in again) and "persons.centre.bn.weight" in again


def opened_for_prediction(config):
    return open_engine(config, training=False)


def test_a_small_network_is_exported_with_its_heads(tmp_path):
    """export_network compares both outputs with torch's."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    from torch_tiny import Persons

    from mhpmodels.engines.torch.export import export_network

    export_network(Persons(config()), tmp_path / "a.onnx", persons=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["logits", "persons"]


@pytest.mark.slow
def test_an_onnx_file_has_the_heads(tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed here; environment A has it")
    torch.manual_seed(0)
    architecture = Architecture("icnet", "resnet18", 5, persons=True)
    network = build_network(architecture, 0.0)
    for head in (network.persons.centre, network.persons.offset):
        torch.nn.init.normal_(head.out.weight)
    torch.save(network.state_dict(), tmp_path / "a.pt")
    convert(tmp_path / "a.pt", tmp_path / "a.onnx")
    engine = open_trained(tmp_path / "a.onnx", {})
    given = {"engine": "torch", "backbone": "resnet18", "persons": True, "classes": 5}
    theirs = open_trained(tmp_path / "a.pt", given)
    assert engine.config.network.persons
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    expected = theirs.predict_persons(images)
    np.testing.assert_allclose(engine.predict_persons(images), expected, atol=1e-3 * np.abs(expected).max())
    assert engine.predict(images).shape == (1, 5, 64, 96)
    theirs.close()


def test_what_has_no_heads_is_refused(opened):
    with pytest.raises(OptionError, match=r"persons.*engine torch"):
        TrainConfig.of(engine="mxnet", persons=True)
    with pytest.raises(OptionError, match=r"persons.*old_recipe"):
        TrainConfig.of(engine="torch", persons=True, old_recipe=True)
    images, labels = batch()
    with pytest.raises(EngineError, match="without heads of persons"):
        opened(config()).train_step(images, labels, RATE, 0, targets())
    engine = opened(config("Persons", persons=True))
    with pytest.raises(EngineError, match=r"targets: float32 \(4, 3, 16, 16\)"):
        engine.train_step(images, labels, RATE, 0, targets()[:, :3])
    with pytest.raises(OptionError, match="a pair of logits"):
        opened(config("Plain", persons=True)).predict(images)
