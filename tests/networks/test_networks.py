"""The torch networks compared with GluonCV's: the same weights give the same logits; edge cases of batch norm."""

from __future__ import annotations

import copy
import sys
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mhpdata.errors import CheckpointError, EngineError, OptionError
from mhpmodels.config import TrainConfig
from mhpmodels.engines.engine import open_engine
from mhpmodels.files.params import read_params, to_gluon_names, to_torch_names, write_params
from mhpmodels.models import EFFICIENTNET, RESNETS
from mhpmodels.networks import architecture
from mhpmodels.networks.architecture import Architecture, build_network

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpmodels.networks.backbones import resnet  # noqa: E402
from mhpmodels.networks.norm import BatchNorm, CudaSyncBatchNorm, SyncBatchNorm, synchronise  # noqa: E402
from mhpmodels.networks.resize import resize, resize_by_products  # noqa: E402

# MXNet uses old names of SciPy when it saves
pytestmark = pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
HEADS = ("head", "auxlayer", "psp_head", "conv_sub1", "conv_sub4", "conv_sub2")


@pytest.fixture(scope="module")
def gluon(mx):
    """Return GluonCV's two networks."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setitem(sys.modules, "torch", None)  # gluoncv cannot be imported beside torch >= 2
        icnet = pytest.importorskip("gluoncv.model_zoo.icnet", reason="GluonCV is not installed here")
        pspnet = pytest.importorskip("gluoncv.model_zoo.pspnet", reason="GluonCV is not installed here")
    return {"icnet": icnet.ICNet, "psp": pspnet.PSPNet}


def their_network(mx, gluon, model, crop, rng):
    """Initialise GluonCV's network as GluonCV does, with non-default running statistics and no dropout."""
    mx.random.seed(0)  # otherwise the weights depend on the tests before, and some exceed the tolerance
    network = gluon[model](19, backbone="resnet50", pretrained_base=False, crop_size=crop, aux=True)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="out", magnitude=2), force_reinit=True)
    for name in HEADS:
        if hasattr(network, name):
            getattr(network, name).initialize(force_reinit=True)
    network(mx.nd.zeros((1, 3, crop, crop)))
    spread = {"gamma": (0.5, 1), "beta": (-0.2, 0.2), "running_mean": (-0.2, 0.2), "running_var": (0.5, 2)}
    for name, parameter in network._collect_params_with_prefix().items():
        if (last := name.rpartition(".")[2]) in spread:
            parameter.set_data(mx.nd.array(rng.uniform(*spread[last], parameter.shape)))

    def no_dropout(block):
        if isinstance(block, mx.gluon.nn.Dropout):
            block._rate = 0

    network.apply(no_dropout)
    return network


def photos(count, crop, rng):
    """Return natural-looking images: smooth coloured shapes and grain, float32 (N, 3, crop, crop)."""
    shapes = torch.from_numpy(rng.normal(0, 1.5, (count, 3, 5, 5)).astype(np.float32))
    return resize(shapes, (crop, crop)).numpy() + rng.normal(0, 0.3, (count, 3, crop, crop)).astype(np.float32)


@dataclass
class Pair:
    """Return their network and ours with the same weights, and images."""

    theirs: Any
    ours: Any
    images: np.ndarray


def pair(mx, gluon, model, crop, tmp_path):
    rng = np.random.default_rng(0)
    theirs = their_network(mx, gluon, model, crop, rng)
    theirs.save_parameters(str(tmp_path / "theirs.params"))
    arrays = to_torch_names(read_params(tmp_path / "theirs.params"))
    ours = build_network(Architecture(model, "resnet50", 19, aux=model == "psp"), dropout=0.0)
    ours.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return Pair(theirs, ours, photos(2, crop, rng))


def check_outputs(found, expected, count):
    assert len(found) == len(expected) == count
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.asnumpy(), rtol=0, atol=1e-3)


def check_predict(mx, both):
    expected = both.theirs(mx.nd.array(both.images))
    with torch.no_grad():
        found = both.ours.eval()(torch.from_numpy(both.images))
    check_outputs(found, expected[:1], 1)


@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_the_same_weights_give_gluoncvs_logits_and_statistics(mx, gluon, model, tmp_path):
    both = pair(mx, gluon, model, 96, tmp_path)
    check_predict(mx, both)
    with mx.autograd.record():
        expected = both.theirs(mx.nd.array(both.images))
        total = sum(output.sum() for output in expected)
    total.backward()  # MXNet follows the statistics in the backward pass
    with torch.no_grad():
        found = both.ours.train()(torch.from_numpy(both.images))
    check_outputs(found, expected, {"icnet": 4, "psp": 2}[model])
    statistics = {name: p.data().asnumpy() for name, p in both.theirs._collect_params_with_prefix().items()}
    for name, array in to_gluon_names({n: t.numpy() for n, t in both.ours.state_dict().items()}).items():
        if "running" in name:
            np.testing.assert_allclose(array, statistics[name], rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("crop", [480, 768])
@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_the_same_at_the_crops_of_the_recipe(mx, gluon, model, crop, tmp_path):
    """Compared in training with their network in float64: MXNet sums float32 batch statistics naively, and at 768 x 768
    a single batch norm is off by 2e-3."""
    both = pair(mx, gluon, model, crop, tmp_path)
    check_predict(mx, both)
    both.theirs.cast("float64")
    with mx.autograd.train_mode():
        expected = both.theirs(mx.nd.array(both.images, dtype="float64"))
    with torch.no_grad():
        found = both.ours.train()(torch.from_numpy(both.images))
    check_outputs(found, expected, {"icnet": 4, "psp": 2}[model])


@pytest.mark.parametrize("model", ["icnet", "psp"])
@pytest.mark.parametrize("backbone", RESNETS[:3])
def test_weights_tell_their_architecture_and_keep_every_bit(model, backbone, tmp_path):
    wanted = Architecture(model, backbone, 7, aux=model == "psp")
    network = build_network(wanted, dropout=0.0)
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    write_params(tmp_path / "a.params", to_gluon_names(arrays))
    again = to_torch_names(read_params(tmp_path / "a.params"))
    for name, array in again.items():
        assert array.tobytes() == arrays[name].tobytes(), name
    assert Architecture.of_weights({name: array.shape for name, array in again.items()}) == wanted


def test_other_weights_have_no_architecture():
    with pytest.raises(CheckpointError, match=r"1 arrays, such as fc\.weight"):
        Architecture.of_weights({"fc.weight": (10, 10)})


def test_a_backbone_that_torch_lacks_is_one_error_before_anything_is_built(monkeypatch):
    assert (*resnet.BACKBONES, EFFICIENTNET) == architecture.BACKBONES
    assert set(resnet.BACKBONES) < set(RESNETS)
    for module in ("mhpmodels.engines.torch.engine", "mhpmodels.networks.icnet"):
        monkeypatch.setitem(sys.modules, module, None)
    lacking = TrainConfig.of(engine="torch", backbone="resnest50")
    for build in (open_engine, lambda config: build_network(Architecture.of_config(config), 0.1, config)):
        with pytest.raises(
            OptionError, match=r"backbone: resnest50 with engine torch; expected resnet18, .* or efficientnet_lite0"
        ):
            build(lacking)
    replace(Architecture.of_config(lacking), model="my.module:network").check()


def test_a_config_tells_the_architecture():
    config = TrainConfig.of(model="psp", backbone="resnet18", classes=5, aux=True)
    assert Architecture.of_config(config) == Architecture("psp", "resnet18", 5, aux=True)


@pytest.mark.parametrize("size", [(64, 96), (75, 70), (33, 40)])
@pytest.mark.parametrize("model", ["icnet", "psp"])
def test_logits_have_the_size_of_the_images_whatever_it_is(model, size):
    network = build_network(Architecture(model, "resnet18", 3), dropout=0.1).eval()
    with torch.no_grad():
        (logits,) = network(torch.zeros(1, 3, *size))
    assert logits.shape == (1, 3, *size)


def test_the_initial_weights_follow_from_torchs_generator():
    def draw(seed):
        torch.manual_seed(seed)
        return build_network(Architecture("icnet", "resnet18", 3), dropout=0.1).state_dict()

    one, same, other = draw(1), draw(1), draw(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("norm", [BatchNorm, lambda n: SyncBatchNorm(BatchNorm(n))], ids=["alone", "synchronised"])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 3, 1, 1), (1, 3, 1, 1)])
def test_batch_norm_against_its_definition(norm, shape, alone):
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, shape)
    layer = norm(3).double()
    torch.nn.init.uniform_(layer.weight)
    torch.nn.init.uniform_(layer.bias)
    weight, bias = (p.detach().numpy()[:, None, None] for p in (layer.weight, layer.bias))
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    expected = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None] * weight + bias
    given = torch.from_numpy(x).requires_grad_()
    np.testing.assert_allclose(layer(given).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * mean, atol=1e-9)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * variance, atol=1e-9)
    assert torch.autograd.gradcheck(layer, given, atol=1e-4)


@pytest.fixture
def alone(tmp_path):
    """Make a group of one process, for layers that communicate."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_torchs_batch_norm_keeps_its_own_rule(alone):
    """The running variance is unbiased, on all ranks as on one."""
    x, theirs = torch.randn(4, 3, 5, 6, dtype=torch.float64), torch.nn.BatchNorm2d(3).double()
    ours = SyncBatchNorm(copy.deepcopy(theirs)).double()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize(
    ("cuda", "kinds"),
    [(False, [SyncBatchNorm, SyncBatchNorm]), (True, [CudaSyncBatchNorm, torch.nn.SyncBatchNorm])],
    ids=["cpu", "cuda"],
)
def test_synchronising_keeps_every_tensor_and_key(cuda, kinds):
    """The network has a batch norm of ours and one of torch."""
    inner = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), BatchNorm(4))
    network = torch.nn.Sequential(inner, torch.nn.BatchNorm2d(4, eps=1e-3, momentum=0.2))
    before = network.state_dict()
    synchronise(network, cuda)
    assert [type(network[0][1]), type(network[1])] == kinds
    assert (network[1].eps, network[1].momentum) == (1e-3, 0.2)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(after[name].data_ptr() == tensor.data_ptr() for name, tensor in before.items())
    assert len(list(network.parameters())) == 6


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}])
def test_what_cannot_be_synchronised_is_named(options):
    with pytest.raises(EngineError, match=r"BatchNorm2d\(3.*cannot be synchronised on the CPU"):
        synchronise(torch.nn.Sequential(torch.nn.BatchNorm2d(3, **options)), False)


def test_a_network_of_ones_own():
    config = TrainConfig()

    def build(name):
        return build_network(Architecture(name, "resnet50", 19), 0.1, config)

    assert build("own_networks:convolution").out_channels == 19
    mistakes = {
        "own_networks:none": "the module own_networks has no none; expected a function that takes the run's",
        "own_networks:torch": "torch is a module; expected a function",
        "no.such:f": "the module no was not found. Set PYTHONPATH to the folder that contains no,",
        ":f": "Empty module name",
        "own_networks:no_network": "the function returned an object of type int; expected a function",
        "own_networks:of_two": "the function raised TypeError: of_two.. missing 1 required .*expected a function",
        "own_networks:of_classes": r"the function raised TypeError: .*own_networks.py, line \d+\)",
        "own_networks_broken:f": r"importing own_networks_broken raised ModuleNotFoundError: .*broken.py, line 1\)",
    }
    for name, found in mistakes.items():
        with pytest.raises(OptionError, match=f"^model {name}: {found}"):
            build(name)


# --- resizing


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(("old", "new"), [
    ((3, 5), (24, 20)), ((1, 1), (6, 7)), ((1, 4), (1, 31)), ((6, 6), (13, 17)), ((24, 30), (768, 100)),
    ((7, 5), (3, 1)),
])  # fmt: skip
@pytest.mark.parametrize("aligned", [True, False])
def test_two_products_resize_as_torch_does(old, new, layout, aligned):
    torch.manual_seed(0)
    x = torch.randn(2, 6, *old).contiguous(memory_format=layout).requires_grad_()
    weights = torch.randn(2, 6, *new)
    expected = resize(x, new, aligned)
    (gradient,) = torch.autograd.grad((expected * weights).sum(), x)
    found = resize_by_products(x, new, aligned)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), x)[0], gradient, rtol=0, atol=1e-4 * gradient.abs().max().item()
    )
    one_pixel = old == (1, 1)  # fits both memory formats, and takes that of the features in the pyramid
    assert found.is_contiguous(memory_format=torch.channels_last if one_pixel else layout)
    half = x.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = resize_by_products(half, new, aligned)
    torch.testing.assert_close(found, resize(half.float(), new, aligned), rtol=0, atol=2e-5)
