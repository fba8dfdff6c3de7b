"""UperNet over Swin and ConvNeXt V2: transformers' logits, gradients, pretrained weights."""

from __future__ import annotations

import numpy as np
import pytest

from mhpdata.errors import CheckpointError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.models import PYRAMIDS

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
transformers = pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from hub_folders import write  # noqa: E402

from mhpmodels.networks.architecture import Architecture, build_network  # noqa: E402
from mhpmodels.networks.hf.backbones import STAGES, backbone_config  # noqa: E402
from mhpmodels.networks.levels import depth_factors  # noqa: E402

TINY = {
    "swin": transformers.SwinConfig(embed_dim=8, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=4),
    "convnextv2": transformers.ConvNextV2Config(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 2, 1]),
}
HEADS = {"swin": transformers.SwinForImageClassification, "convnextv2": transformers.ConvNextV2ForImageClassification}
WEIGHTS = {
    "swin_tiny": 27.5,
    "swin_small": 48.8,
    "swin_base": 86.7,
    "swin_large": 195.0,
    "convnextv2_atto": 3.4,
    "convnextv2_femto": 4.85,
    "convnextv2_pico": 8.5,
    "convnextv2_nano": 15.0,
    "convnextv2_tiny": 27.9,
    "convnextv2_base": 87.7,
    "convnextv2_large": 196.4,
    "convnextv2_huge": 657.5,
}
"""Millions of weights without the classifier of ImageNet; the papers say 29, 50, 88, 197 and 3.7, 5.2, 9.1, 15.6, 28.6,
89, 198, 660 with it."""


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module", params=TINY)
def folder(request, tmp_path_factory):
    """Return the folder of a tiny classifier, as those with weights from ImageNet."""
    torch.manual_seed(0)
    return write(tmp_path_factory.mktemp("hub") / request.param, HEADS[request.param](TINY[request.param]), None)


def config(folder, **options):
    fixed = {"engine": "torch", "model": "upernet", "backbone": str(folder), "classes": 5, "crop_size": 64}
    return TrainConfig.of(**{**fixed, "batch_size": 2, "momentum": 0.9, **options})


def network(folder):
    given = config(folder)
    torch.manual_seed(1)
    return build_network(Architecture.of_config(given), 0.1, given)


@pytest.mark.parametrize("name", PYRAMIDS)
def test_a_preset_has_the_size_of_the_paper(name):
    with torch.device("meta"):
        backbone = transformers.AutoBackbone.from_config(backbone_config(name))
    assert sum(p.numel() for p in backbone.parameters()) / 1e6 == pytest.approx(WEIGHTS[name], rel=0.01)
    assert len(backbone.channels) == 4


def test_the_logits_are_those_of_transformers(folder):
    own = network(folder).eval()
    given = transformers.UperNetConfig(
        backbone_config=backbone_config(str(folder), config(folder).network.described),
        num_labels=5,
        use_auxiliary_head=False,
    )
    theirs = transformers.UperNetForSemanticSegmentation(given).eval()
    theirs.load_state_dict(own.state_dict())
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(own(x)[0], theirs(x).logits, rtol=1e-6, atol=1e-6)


def test_each_trained_weight_gets_a_gradient_and_each_of_the_backbone_a_level(folder):
    engine = open_engine(config(folder, persons=True))
    images, labels = np.zeros((2, 64, 64, 3), np.uint8), np.ones((2, 64, 64), np.uint8)
    assert engine.train_step(images, labels, 0.001, 0, np.zeros((2, 4, 64, 64), np.float32)).applied
    state = engine._to_train._optimizer._optimizer.state
    named = dict(engine._network.named_parameters())
    assert [name for name, p in named.items() if p.requires_grad and "momentum_buffer" not in state.get(p, {})] == []
    factors = depth_factors(engine._network, 0.5)
    still = [name for name, factor in factors.items() if name.startswith("backbone.") and factor == 1.0]
    assert all(not named[name].requires_grad for name in still)
    assert min(factors.values()) == 0.5**6 and factors["decode_head.classifier.bias"] == 1.0
    assert engine.predict(images[:, :40, :50]).shape == (2, 5, 40, 50)
    engine.close()


def test_weights_of_imagenet_come_from_a_folder(folder, tmp_path):
    engine = open_engine(config(folder, pretrained_base=str(folder)))
    kind = type(engine._network.backbone)
    theirs = kind.from_pretrained(folder, out_features=list(STAGES)).state_dict()
    own = engine._network.backbone.state_dict()
    alike = [name for name in own if torch.equal(own[name], theirs[name])]
    assert len(alike) == len(own)
    engine.close()
    other = HEADS[TINY[folder.name].model_type](TINY[folder.name].__class__())
    if folder.name == "swin":
        with pytest.raises(CheckpointError, match="does not fit the network"):
            open_engine(config(folder, pretrained_base=str(write(tmp_path / "other", other, None))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is not a JSON object"),
        ("x", "is not JSON"),
        ('{"model_type": "swin", "window_size": 64, "depths": [64, 64, 64, 64]}', "describes .* weights"),
    ],
)
def test_the_text_of_a_checkpoint_describes_a_network_of_a_sensible_size(text, message):
    with pytest.raises(CheckpointError, match=rf"swin/config\.json.*{message}"):
        backbone_config("swin", text)
