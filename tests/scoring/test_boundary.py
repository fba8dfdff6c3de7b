"""The boundary F-score: the slow twin's, edge cases of the definition, the command."""

from __future__ import annotations

import json

import naive_boundary as naive
import numpy as np
import pytest
from predictions import command, spoil, submit, truth, write_packed

from mhpdata.errors import OptionError
from mhpmodels.scoring.boundary import TOLERANCE, boundary_f
from mhpmodels.scoring.comparison import compare_scores
from mhpmodels.scoring.score import score, score_boundaries


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("boundary"))


def blocks(rng, size, classes):
    labels = np.zeros(size, np.uint8)
    for _ in range(6):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        labels[y : y + rng.integers(1, 20), x : x + rng.integers(1, 60)] = rng.integers(0, classes)
    return labels


def known(values):
    return [None if value != value else pytest.approx(value, abs=1e-12) for value in values.tolist()]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (12, 300), (30, 250), (200, 211)])
def test_random_maps_are_the_slow_twin_s(size):
    rng = np.random.default_rng(size[0])
    for ignored in 0, 0.1:
        labels = blocks(rng, size, 5)
        predicted = np.roll(labels, rng.integers(0, 4, 2), (0, 1))
        predicted[: size[0] // 3] = blocks(rng, size, 5)[: size[0] // 3]
        labels[rng.random(size) < ignored] = 255
        assert naive.f_scores(predicted, labels, 6) == known(boundary_f(predicted, labels, 6))


def columns(*labels, height=150):
    return np.repeat(np.array([labels], np.uint8), height, axis=0)


def test_the_tolerance_is_a_fraction_of_the_diagonal_and_not_reached():
    height, width = 300, 400
    assert TOLERANCE * 500 == 3.75
    right = np.zeros((height, width), np.uint8)
    right[:, :200] = 1
    for moved, expected in (0, 1), (3, 1), (4, 0):
        predicted = np.roll(right, moved, axis=1)
        predicted[:, :moved] = 1
        assert boundary_f(predicted, right, 3)[:2].tolist() == [expected] * 2
    exact = np.zeros((240, 320), np.uint8)  # a tolerance of 3 pixels exactly
    exact[:, :100] = 1
    predicted = np.zeros_like(exact)
    predicted[:, :103] = 1
    assert boundary_f(predicted, exact, 2).tolist() == [0, 0]


def test_one_map_alone_has_a_boundary_or_neither():
    plain, half = columns(*[0] * 20), columns(*[0] * 10, *[1] * 10)
    assert np.isnan(boundary_f(plain, plain, 2)).all()
    assert boundary_f(half, plain, 3)[:2].tolist() == boundary_f(plain, half, 3)[:2].tolist() == [0, 0]
    assert np.isnan(boundary_f(half, plain, 3)[2])
    assert boundary_f(half, half, 2).tolist() == [1, 1]


def test_the_border_of_what_is_not_compared_is_no_boundary():
    labels = columns(*[1] * 10, *[255] * 5, *[0] * 5)
    predicted = columns(*[1] * 12, *[0] * 8)
    assert np.isnan(boundary_f(predicted, labels, 2)).all()


def test_the_command(packed, tmp_path):
    wrong, right = spoil(truth(packed)), truth(packed)
    a, b = submit(tmp_path / "a", "labels", right), submit(tmp_path / "b", "labels", wrong)
    for at in "source", "packed":
        images = spoil(truth(packed, at=at))
        folder = submit(tmp_path / at, "labels", images)
        found = score_boundaries(packed, folder, score(packed, folder, "test", at=at), threads=2)
        merged = {name: labels for name, (labels, *_) in truth(packed, at=at).items()}
        expected = [naive.f_scores(images[name][0], merged[name], 19) for name in merged]
        assert [known(row) for row in found.boundary.of_image] == expected
        of_image = [np.mean([f for f in row if f is not None]) for row in expected]
        assert found.boundary.mean == pytest.approx(np.mean(of_image))
    flags = ("--data", packed, "--split", "test", "--boundary", "--pred")
    content = json.loads(command(*flags, b, "--json").stdout)
    one = score_boundaries(packed, b, score(packed, b, "test"))
    assert content["boundary_F"] == one.boundary.mean < 1
    assert content["boundary_F_of_class"]["hair"] == one.boundary.of_class[2]
    assert "boundary F, within 0.75% of the diagonal: 1.0000" in command(*flags, a).stdout
    assert "boundary F" not in command(*flags[:4], "--pred", a).stdout
    compared = compare_scores(score_boundaries(packed, a, score(packed, a, "test")), one, samples=100)
    line = next(line for line in compared.lines if line.figure == "boundary_F")
    assert line.change[0] > 0 and line.other == one.boundary.mean
    page = command(*flags, a, "--against", b, "--markdown").stdout
    assert "| boundary F | A | B |" in page and "boundary_F" not in page, "the names of the table, not JSON's keys"
    masks = submit(tmp_path / "masks", "masks", right)
    assert "has no label maps" in command(*flags, masks, status=2).stderr
    with pytest.raises(OptionError, match="no label maps"):
        score_boundaries(packed, masks, score(packed, masks, "test"))
