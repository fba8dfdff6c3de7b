"""Images at the fixed input size of a network, and logits back at the size of the image."""

from __future__ import annotations

import numpy as np
import pytest

from mhpdata.errors import OptionError
from mhpdata.images.resize import resize_image
from mhpmodels.inference.fit import fit_back, fit_image
from mhpmodels.inference.pieces import SCALES, Inference
from mhpmodels.networks.preprocessing import Preprocessing

SIZES = [(40, 30), (30, 40), (33, 33), (473, 200), (1, 1), (1, 9), (600, 700)]


def place(size, target):
    """Return scale, row and column of the image in the input: a pixel y of the image lies at row + scale * y."""
    height, width = size
    span = max(width - 1, (height - 1) * target[1] / target[0]) or 1
    scale = (target[1] - 1) / span
    return scale, (target[0] - 1 - scale * (height - 1)) / 2, (target[1] - 1 - scale * (width - 1)) / 2


def at(channel, y, x):
    """Return a channel's value at a position, bilinearly, 0 outside."""
    padded = np.pad(channel.astype(np.float64), 1)
    top, left = int(np.floor(y)), int(np.floor(x))
    down, right = y - top, x - left
    patch = padded[np.clip([top + 1, top + 2], 0, padded.shape[0] - 1)]
    patch = patch[:, np.clip([left + 1, left + 2], 0, padded.shape[1] - 1)]
    return (1 - down) * ((1 - right) * patch[0, 0] + right * patch[0, 1]) + down * (
        (1 - right) * patch[1, 0] + right * patch[1, 1]
    )


@pytest.mark.parametrize("target", [(65, 65), (64, 48)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pad_centres_the_image_and_keeps_its_aspect_ratio(size, target):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    logits = rng.standard_normal((2, *target), np.float32)
    fitted, back = fit_image(image, target, "pad"), fit_back(logits, size, "pad")
    assert fitted.shape == (*target, 3) and back.shape == (2, *size) and back.dtype == np.float32
    scale, row, column = place(size, target)
    coarse = 1 / 16 + 1e-3  # OpenCV rounds positions to 1/32 of a pixel, on both axes
    for y, x in zip(rng.integers(0, target[0], 40), rng.integers(0, target[1], 40), strict=True):
        value = at(image[..., 0], (y - row) / scale, (x - column) / scale)
        assert abs(fitted[y, x, 0] - value) <= 255 * coarse + 1
    for y, x in zip(rng.integers(0, size[0], 40), rng.integers(0, size[1], 40), strict=True):
        value = at(logits[0], row + scale * y, column + scale * x)
        assert abs(back[0, y, x] - value) <= 2 * np.abs(logits).max() * coarse


def test_a_square_image_of_the_input_size_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (65, 65, 3), dtype=np.uint8)
    logits = np.random.default_rng(0).standard_normal((3, 65, 65), np.float32)
    for fit in ("pad", "stretch"):
        np.testing.assert_array_equal(fit_image(image, (65, 65), fit), image)
        np.testing.assert_array_equal(fit_back(logits, (65, 65), fit), logits)


def test_stretch_resizes_both_sides():
    image = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_image(image, (32, 48), "stretch"), resize_image(image, (32, 48)))
    ramp = np.broadcast_to(np.arange(48, dtype=np.float32), (2, 32, 48))
    back = fit_back(np.ascontiguousarray(ramp), (40, 96), "stretch")
    np.testing.assert_allclose(back[1, 7], np.clip((np.arange(96) + 0.5) / 2 - 0.5, 0, 47), atol=1e-5)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_inference_gives_the_network_its_size_and_returns_that_of_the_image(fit):
    seen = []

    def network(images):
        seen.append(images)
        return images.transpose(0, 3, 1, 2).astype(np.float32)

    image = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)
    inference = Inference(network, 3, preprocessing=Preprocessing(size=(64, 64), fit=fit), window=96)
    logits = inference(image)
    assert [x.shape for x in seen] == [(1, 64, 64, 3)] and inference.pieces((5000, 6000)) == 1
    np.testing.assert_array_equal(seen[0][0], fit_image(image, (64, 64), fit))
    assert logits.shape == (3, 150, 210) and logits.flags.c_contiguous
    np.testing.assert_array_equal(logits, fit_back(network(seen[0])[0], (150, 210), fit))


def test_several_scales_make_no_sense_at_a_fixed_size():
    with pytest.raises(OptionError, match="always 64 x 32"):
        Inference(print, 3, scales=SCALES, preprocessing=Preprocessing(size=(64, 32)))
