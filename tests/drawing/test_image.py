"""Drawing a sample: every vector level equals the slow twin exactly, and PIL within one grey level."""

import naive_loader as naive
import numpy as np
import pytest
from drawn import NORM, a_map, draw, draw_labels, planes_of
from images import picture
from PIL import Image, ImageFilter

from mhpdata.drawing import image as render
from mhpdata.drawing import source as sources
from mhpdata.drawing.labels import find_boxes
from mhpdata.drawing.placement import Placement
from mhpdata.drawing.scratch import DrawScratch
from mhpdata.drawing.vectors import instructions as vectors

LEVELS = range(vectors.LEVEL + 1)
PLACES = {
    "upsampled": Placement(90, 130, 7, 11, 64, 64),
    "upsampled and mirrored": Placement(90, 131, 7, 66, 64, 64, flip=True),
    "reduced, padded": Placement(21, 29, 0, 0, 64, 64, flip=True),
    "reduced a lot": Placement(9, 13, 0, 0, 32, 32),
    "as it is": Placement(60, 83, 0, 0, 60, 83),
    "a strip": Placement(60, 166, 5, 130, 7, 36),
    "wider than high": Placement(75, 104, 3, 4, 33, 97),
    "one pixel": Placement(1, 1, 0, 0, 1, 1),
    "far too wide": Placement(60, 700, 0, 100, 16, 256, flip=True),
    "blurred": Placement(70, 97, 5, 9, 64, 64, radius=0.7),
    "blurred, padded": Placement(40, 56, 0, 0, 64, 64, flip=True, radius=0.99),
    "hardly blurred": Placement(70, 97, 5, 9, 33, 64, radius=0.01),
    "gray": Placement(70, 97, 5, 9, 40, 64, gray=True),
    "blurred, far larger than its source": Placement(33, 46, 0, 0, 130, 700, radius=0.8),
    "gray and blurred": Placement(70, 97, 5, 9, 64, 64, gray=True, radius=0.5),
}
SMALL = {
    "enlarged": Placement(20, 75, 7, 11, 8, 13),
    "as it is, mirrored": Placement(16, 60, 2, 30, 9, 30, flip=True),
    "reduced, padded": Placement(7, 20, 0, 0, 9, 32, flip=True),
    "reduced a lot": Placement(2, 8, 0, 0, 2, 8),
    "gray": Placement(20, 75, 7, 11, 5, 9, gray=True),
    "blurred": Placement(20, 75, 7, 11, 7, 12, radius=0.7),
    "gray and blurred": Placement(12, 45, 5, 9, 9, 11, gray=True, radius=0.99),
}
"""Small enough for kernels in plain Python."""


@pytest.mark.compiled
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("yuv", [True, False], ids=["yuv", "rgb"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_every_level_draws_what_the_twin_draws(place, yuv, level):
    for size in (60, 83), (61, 84):
        draws_what_the_twin_draws(size, yuv, place, level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("yuv", [True, False], ids=["yuv", "rgb"])
@pytest.mark.parametrize("place", SMALL.values(), ids=SMALL)
def test_every_level_draws_small_crops_as_the_twin_does(place, yuv, level):
    for size in (16, 60), (17, 61):
        draws_what_the_twin_draws(size, yuv, place, level)


def draws_what_the_twin_draws(size, yuv, place, level):
    planes = planes_of(size, yuv)
    expected = naive.image(planes, yuv, size, place)
    np.testing.assert_array_equal(draw(planes, yuv, size, place, "uint8", level), expected)
    for kind in "float32", "float16":
        found = draw(planes, yuv, size, place, kind, level)
        assert found.tobytes() == naive.normalise(expected, kind).tobytes()


@pytest.mark.compiled
@pytest.mark.parametrize("level", LEVELS)
def test_random_shapes(level):
    rng = np.random.default_rng(level)
    scratch = DrawScratch()  # shared by all tests: leftovers of a sample must not affect the next
    for trial in range(40):
        size = tuple(rng.integers(1, 50, 2))
        scaled = tuple(rng.integers(1, 120, 2))
        crop = tuple(rng.integers(1, 100, 2))
        top, left = (rng.integers(0, max(s - c, 0) + 1) for s, c in zip(scaled, crop, strict=True))
        place = Placement(*map(int, (*scaled, top, left, *crop)), flip=bool(trial % 2), radius=0.4 * (trial % 5 == 0))
        yuv = bool(trial % 3)
        planes = planes_of(size, yuv, trial)
        expected = naive.image(planes, yuv, size, place)
        np.testing.assert_array_equal(
            draw(planes, yuv, size, place, "uint8", level, 0, scratch), expected, str((size, place))
        )
        found = draw(planes, yuv, size, place, "float32", level, 4 * (trial % 2), scratch)
        assert found.tobytes() == naive.normalise(expected, "float32").tobytes()


@pytest.mark.compiled
@pytest.mark.parametrize("size", [(384, 540), (273, 384), (768, 1080), (1092, 1536)])
def test_within_one_level_of_pil(size):
    source = np.random.default_rng(0).integers(0, 256, (768, 1080, 3), np.uint8)
    place = Placement(*size, 0, 0, *size)
    planes = [np.ascontiguousarray(source[:, :, c]) for c in range(3)]
    ours = draw(planes, False, (768, 1080), place, "uint8", vectors.LEVEL)
    pil = np.array(Image.fromarray(source).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(ours.astype(int) - pil).max() <= 1


@pytest.mark.parametrize("level", LEVELS)
def test_split_channels(level):
    rng = np.random.default_rng(0)
    for count, begin, end in (1, 0, 1), (63, 0, 63), (200, 37, 200), (500, 100, 360):
        pixels = rng.integers(0, 256, 3 * count + 256, np.uint8)
        out = np.zeros(3 * (count + 64) + 64, np.uint8)
        render.split_channels(level, pixels, begin, end, out, count + 64)
        for channel in range(3):
            found = out[channel * (count + 64) :][begin:end]
            np.testing.assert_array_equal(found, pixels[3 * begin : 3 * end].reshape(-1, 3)[:, channel])


def test_unscaled_rgb_is_untouched():
    source = planes_of((33, 47), False)
    for level in LEVELS:
        out = draw(source, False, (33, 47), Placement(33, 47, 0, 0, 33, 47), "uint8", level)
        np.testing.assert_array_equal(out, np.stack(source, axis=-1))


def test_tables_of_floats_are_the_multiply_add_of_the_vectors():
    mean, deviation = render.MEAN, render.DEVIATION
    exact = (np.arange(256) / 255 - np.array(mean)[:, None]) / np.array(deviation)[:, None]
    np.testing.assert_allclose(NORM.floats, exact, atol=3e-7)
    ramp = [np.arange(256, dtype=np.uint8)[None]] * 3
    for level in LEVELS:
        found = draw(ramp, False, (1, 256), Placement(1, 256, 0, 0, 1, 256), "float32", level)
        assert found.tobytes() == NORM.floats.tobytes()


def test_a_flip_is_the_mirror_of_the_same_crop():
    planes = planes_of((61, 84), True)
    one = Placement(70, 97, 4, 20, 32, 40)
    other = one._replace(flip=True, left=97 - 20 - 40)
    for level in LEVELS:
        np.testing.assert_array_equal(
            draw(planes, True, (61, 84), one, "uint8", level)[:, ::-1],
            draw(planes, True, (61, 84), other, "uint8", level),
        )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("kept", [(0, 20), (30, 25), (50, 10)])
def test_only_touched_rows_are_read(kept, flip):
    top, rows = kept
    place = Placement(60, 83, top, 3, rows, 50, flip=flip)
    planes = planes_of((60, 83), True)
    expected = draw(planes, True, (60, 83), place, "uint8", 0)
    for p, (size, extent) in enumerate([(60, 60.0), (30, 30.0), (30, 30.0)]):
        low, high = sources.touched(size, extent, 60, top, rows, False)
        planes[p][:low] = 1
        planes[p][high:] = 1
    np.testing.assert_array_equal(draw(planes, True, (60, 83), place, "uint8", 0), expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_labels_and_persons_against_the_twin(place, level):
    pairs = ((9, 10), (12, 13))
    for seed, size in enumerate([(60, 83), (61, 84), (1, 1)]):
        labels, persons = a_map(size, seed), a_map(size, seed + 10)
        runs = naive.runs(labels, persons)
        for pad, misalign in (255, 0), (0, 3):
            sound, found, owners = draw_labels(level, size, runs, place, pairs, pad, True, misalign)
            assert sound
            np.testing.assert_array_equal(found, naive.labels(labels, place, pairs, pad))
            np.testing.assert_array_equal(owners, naive.labels(persons, place, (), 0))
    sound, found, _ = draw_labels(level, size, runs, place, pairs, 255)
    assert sound
    np.testing.assert_array_equal(found, naive.labels(labels, place, pairs, 255))


def test_nearest_is_pil_s_away_from_ties():
    labels = a_map((60, 83), 3)
    for size in (77, 101), (31, 40), (47, 59):
        place = Placement(*size, 0, 0, *size)
        pil = np.array(Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST))
        # PIL accumulates in floating point, so ties between two pixels go either way; ours is exact
        clear = np.ix_(*((2 * np.arange(s) + 1) * n % (2 * s) != 0 for n, s in zip((60, 83), size, strict=True)))
        np.testing.assert_array_equal(draw_labels(0, (60, 83), naive.runs(labels, labels), place)[1][clear], pil[clear])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("flip", [False, True])
def test_damaged_runs_are_refused(level, flip):
    labels = a_map((60, 83), 0)
    offsets, runs = naive.runs(labels, labels)
    place = PLACES["as it is"]._replace(flip=flip)
    for damage in ("end too large", "falls", "offset too large", "offset falls", "short"):
        bad_offsets, bad = offsets.copy(), runs.copy()
        if damage == "end too large":
            bad[5] |= 0xFFFF
        elif damage == "falls":
            bad[offsets[3]] &= 0xFFFF0000
        elif damage == "offset too large":
            bad_offsets[-1] += 1
        elif damage == "offset falls":
            bad_offsets[7] = 2**32 - 1
        else:
            bad[offsets[1] - 1] -= 1
        assert not draw_labels(level, (60, 83), (bad_offsets, bad), place)[0]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("flip", [False, True])
def test_labels_and_persons_that_do_not_exist_are_refused_when_they_are_drawn(level, flip):
    labels = a_map((60, 83), 0)
    labels[labels < 255] %= 19
    persons = np.where(labels == 255, 0, labels % 4).astype(np.uint8)
    place = PLACES["as it is"]._replace(flip=flip)
    offsets, runs = naive.runs(labels, persons)
    assert draw_labels(level, (60, 83), (offsets, runs), place, persons=True, most=(19, 3))[0]
    for word, persons_too in ((77 << 16, False), (19 << 16, False), (254 << 16, False), (4 << 24, True)):
        for at in (0, len(runs) // 2, len(runs) - 1):
            bad = runs.copy()
            bad[at] = (bad[at] & 0xFFFF) | word
            assert not draw_labels(level, (60, 83), (offsets, bad), place, persons=persons_too, most=(19, 3))[0]


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (40, 60)])
def test_boxes_enclose_what_is_shown_of_each_person(size):
    persons = (
        np.random.default_rng(size[1]).choice([0, 1, 2, 5, 9], size, p=[0.96, 0.01, 0.01, 0.01, 0.01]).astype(np.uint8)
    )
    for count in 0, 5, 9:
        expected = np.zeros((count, 4), np.int32)
        for person in range(1, count + 1):
            rows, columns = np.nonzero(persons == person)
            if rows.size:
                expected[person - 1] = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        found = find_boxes(persons, count)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("radius", [0.3, 0.6, 1.0])
def test_the_blur_is_a_gaussian_which_pillows_boxes_are_nearly(radius):
    """docs/recipes.md: at most 0.7 levels on average, and 6 in one pixel of an image."""
    photo = picture(size=(64, 64))
    boxes = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(radius))).astype(int)
    difference = np.abs(naive.blur(photo, radius) - boxes)
    assert difference.mean() < 1.5 and difference.max() <= 6
