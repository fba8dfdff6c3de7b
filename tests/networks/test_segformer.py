"""SegFormer as a network of the torch engine: presets, training, files, exports."""

from __future__ import annotations

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, OptionError, RemoteError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.models import BACKBONES, EFFICIENTNET, HUGGING_FACE, MIT, MODELS, RESNETS
from mhpmodels.networks.hf.presets import PRESETS

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import segformer, write  # noqa: E402
from torch_weights import weights  # noqa: E402

from mhpmodels.networks.hf.library import make_config  # noqa: E402

SIDE = 64
WEIGHTS = {"mit_b0": 3.7, "mit_b1": 13.7, "mit_b2": 27.5, "mit_b3": 47.3, "mit_b4": 64.1, "mit_b5": 84.7}
"""Millions of weights with the head for 150 classes, as in table 1 of the paper, to 0.1; b5 is 84.7 there."""


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write(tmp_path_factory.mktemp("hub") / "tiny", segformer())


def config(tiny, **options):
    fixed = {"engine": "torch", "model": "segformer", "backbone": str(tiny), "classes": 5, "crop_size": SIDE}
    usual = {"batch_size": 4, "optimizer": "adamw", "weight_decay": 0.01, "lr": 0.002, "head_rate": 2.0}
    return TrainConfig.of(**{**fixed, **usual, **options})


def batch(seed=0, count=4):
    """Return images of two halves of noise around the colour of their class, and labels with unlabelled pixels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((count, SIDE, SIDE), np.uint8)
    labels[:, :, SIDE // 2 :] = rng.integers(1, 5, (count, 1, 1))
    images = (labels[..., None] * 50 + rng.integers(0, 20, (count, SIDE, SIDE, 3))).astype(np.uint8)
    labels[:, :4] = 255
    return images, labels


def test_the_table_of_models_has_a_preset_for_each_backbone():
    assert set(PRESETS) == set(BACKBONES) - {*RESNETS, EFFICIENTNET}
    assert all(model.usual in model.backbones for model in MODELS.values())
    for name in HUGGING_FACE:
        assert TrainConfig.of(model=name, engine="torch").network.backbone == MODELS[name].usual


@pytest.mark.parametrize("name", MIT)
def test_a_preset_has_the_size_of_the_paper(name):
    with torch.device("meta"):
        model = transformers.SegformerForSemanticSegmentation(make_config(PRESETS[name], num_labels=150))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(WEIGHTS[name], abs=0.15)


def test_options_that_do_not_fit_are_refused(tiny):
    with pytest.raises(OptionError, match=r"backbone: resnet50 with model segformer; expected mit_b0.*--model icnet"):
        TrainConfig.of(engine="torch", model="segformer", backbone="resnet50")
    with pytest.raises(OptionError, match="backbone: mit_b0 with model icnet; expected resnet18"):
        TrainConfig.of(engine="torch", model="icnet", backbone="mit_b0")
    with pytest.raises(OptionError, match=r"backbone: .* with model psp"):
        TrainConfig.of(engine="torch", model="psp", backbone=str(tiny))
    with pytest.raises(OptionError, match="model: segformer with engine mxnet"):
        TrainConfig.of(engine="mxnet", model="segformer")
    with pytest.raises(OptionError, match="crop_size: 48 with model segformer; expected a multiple of 32"):
        TrainConfig.of(engine="torch", model="segformer", crop_size=48)
    with pytest.raises(OptionError, match="optimizer: adamw with engine mxnet"):
        TrainConfig.of(engine="mxnet", optimizer="adamw")


def test_a_run_does_not_need_the_folder_of_its_backbone_again(tmp_path):
    folder = write(tmp_path / "tiny", segformer())
    began = config(folder)
    for path in folder.iterdir():
        path.unlink()
    again = TrainConfig.from_json(began.to_json())
    assert again == began and again.changed(lr=1.0, backbone=str(folder)).network == began.network
    engine = open_engine(again)
    assert engine._network.segformer.config.hidden_sizes == [8, 16, 16, 24]
    engine.close()
    with pytest.raises(CheckpointError, match=r"config\.json: missing"):
        config(folder)


def test_training_lowers_the_loss_and_resumes_bit_for_bit(tiny, tmp_path):
    options = {"ema": 0.9, "layer_decay": 0.8, "dice_weight": 0.5, "lovasz_weight": 0.5, "clip_grad": 5.0}
    engine, losses = open_engine(config(tiny, **options)), []
    images, labels = batch()
    for step in range(30):
        if step == 26:
            engine.save(tmp_path / "a.pt")
            engine.save_state(tmp_path / "a.state")
        losses.append(engine.train_step(images, labels, 0.01, step).loss)
    last, shown = weights(engine), engine.predict(images)
    engine.close()
    assert losses[-1] < 0.6 * losses[0]
    again = open_engine(config(tiny, **options))
    again.load(tmp_path / "a.pt")
    again.load_state(tmp_path / "a.state")
    assert [again.train_step(images, labels, 0.01, step).loss for step in range(26, 30)] == losses[26:]
    assert all(torch.equal(tensor, last[name]) for name, tensor in weights(again).items())
    np.testing.assert_array_equal(again.predict(images), shown)
    again.close()


def test_heads_of_persons_and_other_types_run(tiny):
    engine = open_engine(config(tiny, persons=True, dtype="bfloat16", accumulate=2))
    images, labels = batch()
    targets = np.zeros((4, 4, SIDE, SIDE), np.float32)
    assert engine.train_step(images, labels, 0.001, 0).applied
    assert engine.train_step(images, labels, 0.001, 1, targets).applied
    assert engine.predict_persons(images).shape == (4, 8, SIDE, SIDE)
    assert engine.predict(images[:, :40, :50]).shape == (4, 5, 40, 50)
    engine.close()


def test_each_weight_gets_a_gradient(tiny):
    """DDP waits for the gradient of each weight."""
    engine = open_engine(config(tiny, optimizer="sgd", momentum=0.9))
    engine.train_step(*batch(), 0.001, 0)
    for name, parameter in engine._network.named_parameters():
        assert engine._to_train._optimizer._optimizer.state[parameter]["momentum_buffer"] is not None, name
    engine.close()


def test_pretrained_weights_of_the_encoder_come_from_a_folder(tiny, tmp_path):
    plain, engine = open_engine(config(tiny)), open_engine(config(tiny, pretrained_base=str(tiny)))
    theirs, own, drawn = segformer().state_dict(), weights(engine), weights(plain)
    for name in own:
        expected = theirs if name.startswith("segformer.") else drawn
        assert torch.equal(own[name], expected[name]), name
    plain.close()
    engine.close()
    classifier = tmp_path / "imagenet"  # an encoder with another head, as nvidia/mit-b0
    given = segformer().config
    write(classifier, transformers.SegformerForImageClassification(given), None)
    open_engine(config(tiny, pretrained_base=str(classifier))).close()
    with pytest.raises(CheckpointError, match=r"does not fit the network: .* is \("):
        open_engine(TrainConfig.of(engine="torch", model="segformer", backbone="mit_b0", pretrained_base=str(tiny)))
    for wrong in ("store", str(tmp_path / "nowhere")):
        with pytest.raises(CheckpointError, match="is not a folder"):
            open_engine(config(tiny, pretrained_base=wrong))


def test_a_name_of_the_hub_is_looked_up_in_its_cache(tiny, tmp_path, monkeypatch, caplog):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RemoteError, match=r"someone/tiny: cannot be downloaded from Hugging Face"):
        open_engine(config(tiny, pretrained_base="someone/tiny"))
    snapshot = tmp_path / "models--someone--tiny/snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (tmp_path / "models--someone--tiny/refs").mkdir()
    (tmp_path / "models--someone--tiny/refs/main").write_text("0" * 40)
    for path in tiny.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    engine = open_engine(config(tiny, pretrained_base="someone/tiny"))
    assert torch.equal(
        weights(engine)["segformer.stages.0.layer_norm.weight"], segformer().segformer.stages[0].layer_norm.weight
    )
    engine.close()
    assert "using the copy of huggingface.co/someone/tiny" in caplog.text
    assert "licence of these weights is on the page https://huggingface.co/someone/tiny" in caplog.text


def test_levels_are_the_blocks_from_the_stem_on_and_each_weight_of_the_encoder_has_one(tiny):
    from mhpmodels.networks.levels import depth_factors

    engine = open_engine(config(tiny))
    factors = depth_factors(engine._network, 0.5)
    assert factors["segformer.stages.0.patch_embeddings.proj.weight"] == 0.5**5
    assert (
        factors["segformer.stages.2.blocks.1.mlp.fc1.weight"] == factors["segformer.stages.2.layer_norm.bias"] == 0.25
    )
    assert factors["decode_head.classifier.weight"] == 1.0
    assert all((factor < 1) == name.startswith("segformer.") for name, factor in factors.items())
    engine.close()
