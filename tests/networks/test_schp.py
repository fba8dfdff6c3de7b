"""SCHP's network: its normalisation against InPlaceABN's CPU source, its logits against the original's, its weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from places import TESTS

torch = pytest.importorskip("torch")

from naive_abn import naive_abn  # noqa: E402
from schp_weights import CLASSES, SIDE, chosen, image, weight  # noqa: E402

from mhpdata.errors import CheckpointError  # noqa: E402
from mhpmodels.engines.torch.schp import build_schp, read_schp  # noqa: E402
from mhpmodels.networks.schp.abn import ABN  # noqa: E402
from mhpmodels.networks.schp.network import SCHP, classes_of  # noqa: E402


def tensors(classes=CLASSES):
    with torch.device("meta"):
        network = SCHP(classes)
    return {name: torch.from_numpy(weight(name, tuple(t.shape))) for name, t in network.state_dict().items()}


@pytest.fixture(scope="module")
def weights():
    return tensors()


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (2, 3, 7, 4)], ids=str)
def test_the_normalisation_is_that_of_the_extension(active, shape):
    rng = np.random.default_rng(3)
    layer = ABN(shape[1], active).eval()
    x, channels = rng.standard_normal(shape, np.float32) * 3, shape[1]
    values = {
        "running_mean": rng.standard_normal(channels, np.float32),
        "running_var": rng.random(channels, np.float32) + np.float32(1e-4),
        "weight": np.array([-2, 0.5, 0, -1e-6, 1.5], np.float32)[:channels],
        "bias": rng.standard_normal(channels, np.float32),
    }
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    expected = naive_abn(x, *values.values(), "leaky_relu" if active else "none")
    np.testing.assert_allclose(layer(torch.from_numpy(x.copy())).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert (expected < 0).any()


def test_the_logits_are_the_originals(weights):
    """Stored by tests/support/make_schp.py from the original's code."""
    stored = json.loads((TESTS / "golden/schp.json").read_text())
    assert (stored["classes"], stored["side"]) == (CLASSES, SIDE)
    network = build_schp(weights, "made")
    with torch.inference_mode():
        logits = network(torch.from_numpy(image())).numpy()
    assert logits.shape == (1, CLASSES, SIDE, SIDE)
    np.testing.assert_allclose(chosen(logits), stored["logits"], rtol=0, atol=1e-4)


def test_weights_are_recognised_by_their_names(weights):
    shapes = {name: tuple(t.shape) for name, t in weights.items()}
    assert classes_of(shapes) == CLASSES
    for changed in ({"decoder.conv4.weight": None}, {"fushion.3.weight": (7,)}, {"fushion.3.weight": (1, 256, 1, 1)}):
        other = {name: shape for name, shape in {**shapes, **changed}.items() if shape is not None}
        assert classes_of(other) is None


def test_weights_that_do_not_fit_are_refused_before_the_network_is_built(weights):
    for name, change, found in (
        ("layer3.22.bn3.bias", lambda t: t[:9], r"layer3.22.bn3.bias is \(9,\), not \(1024,\)"),
        ("edge.conv4.bias", None, "edge.conv4.bias is missing"),
        ("layer1.0.bn1.running_var", lambda t: t * float("nan"), "running_var has infinities or NaN"),
    ):
        other = {n: change(t) if n == name else t for n, t in weights.items() if n != name or change is not None}
        with pytest.raises(CheckpointError, match=found) as caught:
            build_schp(other, "a.pth")
        assert "as its authors published it" in caught.value.remedy


def test_a_file_that_needs_unpickling_is_refused(tmp_path, weights):
    torch.save({"state_dict": {"module.conv1.weight": torch.zeros(3)}, "run": print}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        read_schp(tmp_path / "a.pth")
    assert "save only the weights" in caught.value.remedy
    torch.save({"state_dict": {"module.conv1.weight": torch.zeros(3)}}, tmp_path / "b.pth")
    assert read_schp(tmp_path / "b.pth") is None


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_the_original_are_read(tmp_path, zipped):
    """PyTorch wrote no zip archives when SCHP's weights were published."""
    kept = ("conv1.weight", "fushion.3.weight")
    few = {f"module.{name}": (t if name in kept else t[:1]).clone() for name, t in tensors().items()}
    torch.save({"state_dict": few, "cycle_n": 4}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    found = read_schp(tmp_path / "a.pth")
    assert found is not None and "conv1.weight" in found
    assert torch.equal(found["conv1.weight"], few["module.conv1.weight"])
