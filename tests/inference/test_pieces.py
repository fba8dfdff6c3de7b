"""Padding, windows, mirror images and scales around a network, compared with its output for single pixels."""

from __future__ import annotations

import numpy as np
import pytest
from networks import ByColour, BySide

from mhpdata.errors import EngineError, OptionError
from mhpdata.images.resize import resize_image
from mhpdata.labels import MHP_V1
from mhpmodels.inference.pieces import SCALES, Inference
from mhpmodels.inference.rescale import add_probabilities, labels_at

SIZES = [(1, 1), (1, 70), (70, 1), (8, 16), (33, 50), (96, 96), (97, 200), (300, 25)]


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def alone(network, image):
    """Return the network's logits for each pixel by itself."""
    free = ByColour(len(network.bias), 1)
    return free(image[None])[0]


def softmax(logits):
    exps = np.exp(logits - logits.max(0))
    return exps / exps.sum(0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("multiple", "least"), [(1, 1), (8, 1), (8, 32), (32, 32), (8, 36)])
def test_padding_never_comes_back(size, multiple, least):
    network, image = ByColour(multiple=multiple, least=least), picture(size)
    logits = Inference(network, 19, multiple, least)(image)
    assert logits.dtype == np.float32 and logits.flags.c_contiguous
    np.testing.assert_array_equal(logits, alone(network, image))
    (shape,) = network.shapes
    assert shape[2:] == tuple(-(-max(side, least) // multiple) * multiple for side in size)


def test_the_padding_is_black_below_and_to_the_right():
    seen = []

    def network(images):
        seen.append(images.copy())
        return np.zeros((1, 2, *images.shape[1:3]), np.float32)

    image = picture((9, 17))
    Inference(network, 2, 8, mirror=True)(image)
    for padded, expected in zip(seen, (image, image[:, ::-1]), strict=True):
        np.testing.assert_array_equal(padded[0, :9, :17], expected)
        assert not padded[0, 9:].any() and not padded[0, :, 17:].any()


@pytest.mark.parametrize("size", [(24, 24), (25, 24), (24, 200), (97, 130), (300, 25), (1, 500)], ids=str)
def test_windows_cover_every_pixel_once_or_say_the_same(size):
    network, image = ByColour(multiple=8), picture(size)
    inference = Inference(network, 19, 8, window=30)  # 24 at most: a multiple of 8
    np.testing.assert_allclose(inference(image), alone(network, image), rtol=1e-5, atol=1e-5)
    assert len(network.shapes) == inference.pieces(size)
    assert {shape[2] for shape in network.shapes} | {shape[3] for shape in network.shapes} <= {8, 16, 24}


def test_a_window_at_the_edge_is_whole_and_overlaps_are_means():
    calls = []

    def network(images):
        calls.append(images.shape[1:3])
        return np.full((1, 1, *images.shape[1:3]), len(calls), np.float32)

    logits = Inference(network, 1, 8, window=24)(picture((8, 40)))
    assert calls == [(8, 24), (8, 24)]
    assert logits[0, 0].tolist() == [1] * 16 + [1.5] * 8 + [2] * 16


@pytest.mark.parametrize("size", [(32, 64), (33, 51), (1, 2)], ids=str)
def test_a_mirror_image_comes_back_mirrored_with_its_sides_exchanged(size):
    image = picture(size)
    inference = Inference(BySide(), 19, 1, 1, mirror=True, flip_pairs=MHP_V1.flip_pairs)
    logits = inference(image)
    assert set(np.unique(logits)) <= {0, 2, 2.5, 4.5, 4, 5}
    middle = size[1] // 2
    assert (logits.argmax(0)[:, :middle] == 15).all()
    assert (logits.argmax(0)[:, size[1] - middle :] == 14).all()
    assert (logits[15, :, :middle] == 4.5).all() and (logits[14, :, :middle] == 0).all()
    left_as_they_are = Inference(BySide(), 19, 1, 1, mirror=True)(image)
    assert (left_as_they_are[15, :, :middle] == 2.5).all() and (left_as_they_are[14, :, :middle] == 2).all()


def test_a_network_that_looks_at_colours_only_says_left_and_right_alike_under_a_mirror():
    network, image = ByColour(multiple=8), picture((20, 30))
    logits = Inference(network, 19, 8, mirror=True, flip_pairs=MHP_V1.flip_pairs)(image)
    expected = alone(network, image)
    for c in range(19):
        other = dict([*MHP_V1.flip_pairs, *((b, a) for a, b in MHP_V1.flip_pairs)]).get(c, c)
        np.testing.assert_allclose(logits[c], (expected[c] + expected[other]) / 2, rtol=1e-5, atol=1e-6)


def naive_scaled(array, size):
    """Resize bilinearly with half-pixel centres, one pixel at a time, in float64."""
    out = np.empty((len(array), *size))
    for y in range(size[0]):
        for x in range(size[1]):
            place = []
            for at, n_in, n_out in ((y, array.shape[1], size[0]), (x, array.shape[2], size[1])):
                real = min(max((at + 0.5) * n_in / n_out - 0.5, 0), n_in - 1)
                low = int(real)
                place.append((low, min(low + 1, n_in - 1), real - low))
            (top, bottom, down), (left, right, along) = place
            corners = array[:, [top, top, bottom, bottom], [left, right, left, right]].astype(np.float64)
            shares = [(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along]
            out[:, y, x] = corners @ np.array(shares)
    return out


@pytest.mark.parametrize("old", [(1, 1), (1, 9), (7, 5), (16, 24)], ids=str)
@pytest.mark.parametrize("new", [(1, 1), (7, 5), (31, 2), (3, 40)], ids=str)
def test_rescaled_logits_are_the_slow_twins(old, new):
    logits = np.random.default_rng(1).standard_normal((5, *old)).astype(np.float32) * 3
    expected = naive_scaled(logits, new)
    total = np.ones((5, *new), np.float32)
    add_probabilities(logits, total)
    np.testing.assert_allclose(total, 1 + softmax(expected), atol=1e-5)
    labels = labels_at(logits, new)
    assert labels.dtype == np.uint8 and labels.shape == new
    chosen = np.take_along_axis(expected, labels[None].astype(np.int64), 0)[0]
    np.testing.assert_allclose(chosen, expected.max(0), atol=1e-5)  # near ties may go either way
    whole = np.round(logits)
    np.testing.assert_array_equal(labels_at(whole, old), whole.argmax(0))  # at the same size, exactly argmax


def test_a_nan_is_never_a_label():
    logits = np.zeros((3, 4, 4), np.float32)
    logits[1, 2, 3] = np.nan
    with pytest.raises(EngineError, match="NaN"):
        labels_at(logits, (9, 9))


def test_several_scales_are_the_mean_of_their_probabilities():
    network, image = ByColour(multiple=8), picture((40, 56))
    scores = Inference(network, 19, 8, scales=SCALES)(image)
    expected = np.zeros_like(scores, np.float64)
    for scale in SCALES:
        size = round(40 * scale), round(56 * scale)
        expected += softmax(naive_scaled(alone(network, resize_image(image, size)), (40, 56))) / len(SCALES)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)


class Pointing:
    """A network whose heatmap is a bell at the centre of the red, to which all offsets point."""

    def __call__(self, images):
        _, height, width, _ = images.shape
        red = images[0, :, :, 0].astype(np.float64)
        y, x = np.arange(height)[:, None], np.arange(width)
        cy, cx = (red * y).sum() / red.sum(), (red * x).sum() / red.sum()
        heat = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (0.1 * height) ** 2)
        maps = np.stack(np.broadcast_arrays(heat, cy - y, cx - x))
        return np.concatenate([np.zeros((2, height, width)), maps])[None].astype(np.float32)


def test_maps_of_persons_are_averaged_over_scales_and_mirror_images():
    image = np.zeros((40, 56, 3), np.uint8)
    image[8:16, 32:48, 0] = 200
    one = Inference(Pointing(), 2, person_maps=3)(image)
    mirrored = Inference(Pointing(), 2, mirror=True, person_maps=3)(image)
    np.testing.assert_allclose(mirrored, one, atol=1e-4)
    scores = Inference(Pointing(), 2, scales=SCALES, mirror=True, person_maps=3)(image)
    np.testing.assert_allclose(scores[:2], 0.5)
    assert np.abs(scores[3:, 4:-4, 4:-4] - one[3:, 4:-4, 4:-4]).max() < 0.5
    assert np.unravel_index(scores[2].argmax(), (40, 56)) in {(y, x) for y in (11, 12) for x in (39, 40)}


def test_a_picture_of_one_pixel_at_every_scale():
    scores = Inference(ByColour(multiple=32), 19, 32, scales=SCALES, mirror=True, flip_pairs=((9, 10),))(
        picture((1, 1))
    )
    assert scores.shape == (19, 1, 1) and scores.sum() == pytest.approx(1)


def test_a_network_of_another_shape_is_an_error():
    with pytest.raises(EngineError, match=r"\(1, 2, 8, 8\); expected float32 \(1, 19, 8, 8\)"):
        Inference(ByColour(2), 19, 8)(picture((8, 8)))
    with pytest.raises(OptionError, match="window"):
        Inference(ByColour(), 19, 8, window=16)
