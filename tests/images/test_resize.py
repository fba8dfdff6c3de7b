"""The packed size and resizing equal the slow twin and Pillow bit for bit."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mhpdata.errors import OptionError
from mhpdata.images.nearest_pixel import nearest_index, resize_labels
from mhpdata.images.resize import resize_image, weights
from mhpdata.images.size import packed_size

# (height, width) -> (height, width): usual, small and large reduction, one pass only, edge cases
SIZES = [
    pytest.param((63, 62), (78, 77), marks=pytest.mark.compiled),
    pytest.param((48, 64), (77, 102), marks=pytest.mark.compiled),
    ((64, 48), (33, 25)),
    pytest.param((120, 90), (102, 76), marks=pytest.mark.compiled),
    ((64, 51), (3, 5)),
    ((40, 30), (40, 51)),
    ((40, 30), (51, 30)),
    ((40, 30), (40, 7)),
    ((40, 30), (7, 30)),
    ((40, 30), (40, 30)),
    ((40, 30), (80, 10)),
    ((1, 1), (1, 1)),
    ((1, 1), (5, 9)),
    ((1, 50), (8, 33)),
    ((50, 1), (33, 8)),
    ((37, 41), (1, 1)),
    ((2, 300), (3, 1)),
    pytest.param((2, 2), (300, 200), marks=pytest.mark.compiled),
]


def picture(shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, 256, (*shape, 3), dtype=np.uint8)


def pillow(image, size):
    """Resize rows, then columns, in two calls: since Pillow 13.0 one call sometimes takes the columns first."""
    rows = Image.fromarray(image).resize((size[1], image.shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(rows.resize(size[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_image_equals_the_twin_and_pillow(shape, size):
    for image in (
        picture(shape),
        np.full((*shape, 3), 255, np.uint8),
        255 * (picture(shape, 1) > 127).astype(np.uint8),
    ):
        made = resize_image(image, size)
        np.testing.assert_array_equal(made, naive.resize_image(image, size))
        np.testing.assert_array_equal(made, pillow(image, size))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((634, 626), (784, 768)),
        ((1201, 907), (1024, 768)),
        ((1600, 2133), (768, 1024)),
        ((30, 16000), (8, 700)),
        ((9, 40000), (9, 1)),
    ],
)
def test_image_equals_pillow_at_true_sizes(shape, size):
    """Sizes from ``packed_size``, in one call to any version of Pillow, and extreme ones."""
    image = picture(shape)
    made = resize_image(image, size)
    np.testing.assert_array_equal(made, pillow(image, size))
    if min(size) == 768:
        direct = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(made, np.asarray(direct))


@pytest.mark.compiled
@settings(derandomize=True, max_examples=150, deadline=None)
@given(shape=st.tuples(st.integers(1, 90), st.integers(1, 90)), size=st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_any_size_equals_pillow(shape, size):
    image = picture(shape)
    np.testing.assert_array_equal(resize_image(image, size), pillow(image, size))
    labels = np.ascontiguousarray(image[..., 0])
    np.testing.assert_array_equal(resize_labels(labels, size), naive.resize_labels(labels, size))


@pytest.mark.parametrize(
    ("n_in", "n_out"), [(1, 1), (1, 7), (7, 1), (626, 768), (3709, 768), (65535, 2), (2, 65535), (999, 1000)]
)
def test_weights_equal_the_twin(n_in, n_out):
    first, taps, table = weights(n_in, n_out)
    for i, (start, row) in enumerate(naive.weights(n_in, n_out)):
        assert (first[i], taps[i]) == (start, len(row))
        assert table[i, : len(row)].tolist() == row
        assert not table[i, len(row) :].any()


@settings(derandomize=True, max_examples=300, deadline=None)
@given(n_in=st.integers(1, 5000), n_out=st.integers(1, 2000))
def test_nearest_is_pillows_but_for_exact_ties(n_in, n_out):
    index = nearest_index(n_in, n_out)
    assert index.dtype == np.int32
    assert index.tolist() == [(2 * i + 1) * n_in // (2 * n_out) for i in range(n_out)]
    theirs = np.asarray(
        Image.fromarray(np.arange(n_in, dtype=np.int32)[None]).resize((n_out, 1), Image.Resampling.NEAREST)
    )[0]
    tie = (2 * np.arange(n_out, dtype=np.int64) + 1) * n_in % (2 * n_out) == 0
    np.testing.assert_array_equal(index[~tie], theirs[~tie])
    assert np.isin(index[tie] - theirs[tie], (0, 1)).all()


def test_nearest_tie_takes_the_pixel_after():
    assert nearest_index(2, 1).tolist() == [1]
    assert nearest_index(1600, 1000)[2] == 4


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_labels_equal_the_twin(shape, size):
    labels = np.random.default_rng([*shape]).integers(0, 19, shape, dtype=np.uint8)
    labels.flags.writeable = False
    np.testing.assert_array_equal(resize_labels(labels, size), naive.resize_labels(labels, size))


def test_labels_and_persons_stay_together():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 19, (61, 47), dtype=np.uint8)
    both = labels + 19
    np.testing.assert_array_equal(resize_labels(labels, (96, 72)) + 19, resize_labels(both, (96, 72)))


@pytest.mark.parametrize("size", [(20, 30), (30, 20), (20, 20), (30, 30)])
def test_into_a_given_array(size):
    image, labels = picture((20, 20)), picture((20, 20))[..., 0].copy()
    out, plane = np.full((*size, 3), 9, np.uint8), np.full(size, 9, np.uint8)
    assert resize_image(image, size, out) is out
    assert resize_labels(labels, size, plane) is plane
    np.testing.assert_array_equal(out, resize_image(image, size))
    np.testing.assert_array_equal(plane, resize_labels(labels, size))
    assert not np.shares_memory(resize_image(image, size), image)


def test_strided_and_read_only_input():
    image = picture((24, 31))
    frozen = image.copy()
    frozen.flags.writeable = False
    want = resize_image(image, (40, 50))
    np.testing.assert_array_equal(resize_image(frozen, (40, 50)), want)
    np.testing.assert_array_equal(resize_image(np.asfortranarray(image), (40, 50)), want)
    np.testing.assert_array_equal(resize_image(image[..., ::-1], (40, 50)), want[..., ::-1])
    plane = np.ascontiguousarray(image[..., 1])
    np.testing.assert_array_equal(resize_labels(image[..., 1], (9, 8)), resize_labels(plane, (9, 8)))


@pytest.mark.parametrize("size", [768, 480, 100, 8])
def test_packed_size_is_gluoncvs(size):
    rng = np.random.default_rng(size)
    for height, width in [(634, 626), (626, 634), (768, 768), (768, 1080), *rng.integers(100, 4300, (500, 2)).tolist()]:
        assert packed_size(height, width, size) == naive.packed_size(height, width, size)


@pytest.mark.parametrize(
    ("args", "want"),
    [
        ((710, 1000, 768), (768, 1080)),
        ((634, 626, 768), (776, 768)),
        ((500, 500, 769), (768, 769)),
        ((100, 151, 8), (8, 16)),  # 12 pixels: 1.5 times 8, half to even
        ((100, 251, 8), (8, 16)),  # 20 pixels: 2.5 times 8, half to even
        ((5, 5, 1), (8, 1)),  # never 0
        ((123, 45, 0), (123, 45)),
        ((123, 45, 0, "long"), (123, 45)),
        ((1000, 710, 1024, "long"), (1024, 728)),
        ((710, 1000, 1024, "long"), (728, 1024)),
        ((10, 60000, 512, "long"), (8, 512)),
        ((500, 500, 512, "long"), (512, 512)),
    ],
)
def test_packed_size(args, want):
    assert packed_size(*args) == want


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((10, 2000, 768), "would become 768 x 153600"),
        ((10, 10, -1), "size: -1"),
        ((10, 10, 65536), "size: 65536"),
        ((0, 10, 768), "0 x 10 pixels"),
        ((10, 65536, 768), "10 x 65536 pixels"),
        ((10, 10, 768, "wide"), "'wide'; expected short or long"),
    ],
)
def test_packed_size_refuses(args, text):
    with pytest.raises(OptionError, match=text):
        packed_size(*args)


RGB, MAP = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8)


@pytest.mark.parametrize(
    ("resize", "array", "size", "out"),
    [
        (resize_image, MAP, (4, 5), None),
        (resize_image, RGB.astype(np.float32), (4, 5), None),
        (resize_image, RGB[:0], (4, 5), None),
        (resize_image, RGB, (0, 5), None),
        (resize_image, RGB, (4, 65536), None),
        (resize_image, RGB, (8, 5), RGB.copy()),
        (resize_image, RGB, (4, 5), np.zeros((4, 5, 3), np.int8)),
        (resize_image, RGB, (4, 5), np.zeros((4, 10, 3), np.uint8)[:, ::2]),
        (resize_labels, RGB, (4, 5), None),
        (resize_labels, MAP.astype(np.int32), (4, 5), None),
        (resize_labels, MAP[:, :0], (4, 5), None),
        (resize_labels, MAP, (4, 0), None),
        (resize_labels, MAP, (8, 5), MAP.copy()),
    ],
)
def test_refuses(resize, array, size, out):
    with pytest.raises(OptionError):
        resize(array, size, out)
