"""The input that a network expects: normalisation in NumPy and torch, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mhpdata.errors import OptionError
from mhpmodels.networks.known import KNOWN, known_by_outputs
from mhpmodels.networks.preprocessing import IMAGENET, Preprocessing

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["rgb", "bgr"])
def test_images_are_normalised_in_the_order_of_the_channels(name):
    given = Preprocessing((0.1, 0.2, 0.3), (0.5, 0.25, 1.0), bgr=name == "bgr")
    found = given.normalise(PIXELS)
    assert found.shape == (2, 3, 4, 5) and found.dtype == np.float32 and found.flags.c_contiguous
    for k, (channel, mean, deviation) in enumerate([(0, 0.1, 0.5), (1, 0.2, 0.25), (2, 0.3, 1.0)]):
        there = 2 - k if name == "bgr" else k
        np.testing.assert_allclose(found[:, there], (PIXELS[..., channel] / 255 - mean) / deviation, atol=1e-6)
    torch = pytest.importorskip("torch")
    from mhpmodels.engines.torch.foreign import normalise

    theirs = normalise(torch.from_numpy(PIXELS), given)
    assert theirs.is_contiguous()
    np.testing.assert_array_equal(theirs.numpy(), found)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"mean": (0.5, float("nan"), 0.5)}, "mean"),
        ({"deviation": (0.2, 0.0, 0.2)}, "deviation"),
        ({"size": (0, 5)}, "size"),
        ({"size": (5, 100_000)}, "size"),
        ({"fit": "crop"}, "fit"),
        ({"multiple": 0}, "multiple"),
    ],
)
def test_values_out_of_range_are_refused(values, place):
    with pytest.raises(OptionError, match=f"preprocessing, {place}"):
        Preprocessing(**values)


def test_known_weights_are_found_by_their_outputs():
    assert known_by_outputs("schp", 20) is KNOWN["schp-lip"] and known_by_outputs("schp", 19) is None
    assert {one.preprocessing.size for one in KNOWN.values()} == {(473, 473), (512, 512)}
    assert IMAGENET.as_dict()["size"] == "multiples of 8"
    assert KNOWN["schp-atr"].preprocessing.as_dict() == {
        "mean": [0.485, 0.456, 0.406],
        "deviation": [0.229, 0.224, 0.225],
        "channels": "BGR",
        "size": [512, 512],
        "fit": "pad",
    }
