"""The panels of a figure: overlapping pixels compared with their slow twin, numbers of persons, sizes."""

from __future__ import annotations

import numpy as np
import pytest
from boxes import box, write_packed
from naive import contested as naive_contested

import mhpdata
from mhpdata.errors import OptionError
from mhpmodels.figures import page, panels

EQUAL, CONFLICTING = panels.EQUAL, panels.CONFLICTING
HALF = panels.MARK // 2


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("show"))


# --- overlapping pixels


def test_contested_map_by_hand():
    masks = np.array([[[4, 4, 0, 4, 5, 4]], [[0, 4, 4, 5, 0, 4]], [[0, 0, 0, 4, 5, 7]]], np.uint8)
    np.testing.assert_array_equal(panels.contested_map(list(masks)), [[0, 1, 0, 2, 1, 2]])


@pytest.mark.parametrize("persons", [1, 2, 5])
def test_contested_map_equals_its_slow_twin(persons):
    masks = list(np.random.default_rng(persons).choice([0, 0, 3, 4, 255], (persons, 23, 31)).astype(np.uint8))
    np.testing.assert_array_equal(panels.contested_map(masks), naive_contested(masks))


def test_contested_map_of_nobody():
    assert not panels.contested_map([], (3, 4)).any()
    with pytest.raises(OptionError, match="no masks and no size"):
        panels.contested_map([])


def test_contested_map_counts_what_the_record_counts(rec):
    for split in ("train", "val", "test"):
        for sample in mhpdata.open(rec, split):
            state = panels.contested_map(sample.masks)
            assert (sample.record.contested, sample.record.conflicting) == ((state > 0).sum(), (state == 2).sum())


@pytest.mark.parametrize("size", [(10, 7), (100, 70), (333, 233), (50, 35)])
def test_no_contested_pixel_is_lost_at_another_size(size):
    state = np.zeros((100, 70), np.uint8)
    points = np.random.default_rng(0).integers(0, (100, 70), (12, 2))
    for y, x in points:
        state[y, x] = 1
    state[50, 35] = 2
    small = panels.shrink_contested(state, size)
    assert small.shape == size
    for y, x in [*points, (50, 35)]:
        y, x = y * size[0] // 100, x * size[1] // 70
        around = small[max(y - HALF, 0) : y + HALF + 1, max(x - HALF, 0) : x + HALF + 1]
        assert (around >= 1).all()
    y, x = 50 * size[0] // 100, 35 * size[1] // 70
    assert (small[max(y - HALF, 0) : y + HALF + 1, max(x - HALF, 0) : x + HALF + 1] == 2).all()


def test_a_contested_pixel_is_seen_in_a_page_that_shows_the_sheet_at_half_its_size():
    small = panels.shrink_contested(box((100, 100), 50, 50, 1, 1, 1), (40, 40))
    np.testing.assert_array_equal(small, box((40, 40), 20 - HALF, 20 - HALF, panels.MARK, panels.MARK, 1))
    assert panels.MARK * 900 / page.WIDTH > 4


def test_contested_panel_has_two_colours_on_gray():
    state = box((60, 60), 10, 10, 20, 1, 1) + box((60, 60), 40, 40, 1, 1, 2)
    panel = panels.contested_panel(np.full((30, 30, 3), (200, 100, 50), np.uint8), state)
    small = panels.shrink_contested(state, (30, 30))
    assert (panel[small == 1] == EQUAL).all() and (panel[small == 2] == CONFLICTING).all()
    rest = panel[small == 0]
    assert np.ptp(rest) == 0 and rest.max() < 100


# --- the other panels


def test_pick_takes_the_middle_and_makes_no_new_values():
    array = np.arange(9, dtype=np.uint8).reshape(3, 3)
    np.testing.assert_array_equal(panels.pick(array, (1, 1)), [[4]])
    np.testing.assert_array_equal(panels.pick(array, (3, 3)), array)
    np.testing.assert_array_equal(panels.pick(array, (6, 6)), array.repeat(2, 0).repeat(2, 1))


def test_a_number_stands_on_its_person():
    persons = box((20, 20), 2, 2, 5, 5, 1) + box((20, 20), 10, 10, 9, 9, 3)
    persons[11:18, 11:18] = 0  # a ring: its centre lies outside it
    places = panels.person_centres(persons)
    assert places.keys() == {1, 3} and places[1] == (4, 4) and persons[places[3]] == 3


@pytest.mark.parametrize("size", [(400, 600), (600, 400), (4000, 100), (100, 4000), (1, 1), (700, 700), (1, 60000)])
def test_panels_fit(size):
    height, width = panels.panel_size(*size)
    assert 1 <= height <= panels.PANEL_HEIGHT and 1 <= width <= panels.COLUMN
    if 0.5 < size[0] / size[1] < 2:
        assert abs(height / width - size[0] / size[1]) < 0.01
