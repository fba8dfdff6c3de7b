"""The guard by itself; tests/training/test_nonfinite.py tests it in a run."""

import math

import numpy as np
import pytest

from mhpdata.errors import NonFiniteError
from mhpmodels.engines.engine import Step
from mhpmodels.mean import Mean
from mhpmodels.training.bundle import Moment
from mhpmodels.training.guard import Guard, sample_list

GOOD, BAD = Step(1.0, 1.0, applied=True), Step(math.nan, 1.0, applied=False)


class Weights:
    """The members of an engine that a bundle needs."""

    def __init__(self):
        from mhpmodels.config import TrainConfig

        self.config = TrainConfig()

    def save(self, path):
        path.write_bytes(b"weights")

    save_state = save


def moment(iteration=1):
    images, labels = np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 4, 4), np.uint8)
    return Moment(7, iteration, 1e-3, 5, images, labels, np.array([41, -1]), ("0042", ""))


def test_a_mean_is_of_finite_numbers_only():
    mean = Mean()
    assert math.isnan(mean.value), "of no numbers"
    for value in (1.0, math.nan, math.inf, -math.inf, 4.0):
        mean.add(value)
    assert (mean.value, mean.count) == (2.5, 2)


def test_skips_in_a_row_are_counted_and_end_the_run(tmp_path):
    lines = []
    guard = Guard(tmp_path / "bundles", 3, lines.append)
    for step in (BAD, BAD, GOOD, BAD, BAD):
        assert guard.judge(step, moment(), Weights()) is step.applied
    assert (guard.skipped, guard.in_a_row, len(lines)) == (4, 2, 4)
    with pytest.raises(NonFiniteError, match=r"Epoch 7 iteration 0009: 3 steps in a row .* 0042 \(41\), one damaged"):
        guard.judge(BAD, moment(9), Weights())
    assert "loss nan" in lines[0] and "0042 (41)" in lines[0]


def test_a_guard_goes_on_where_another_stopped(tmp_path):
    guard = Guard(tmp_path, 3, lambda text: None, skipped=10, in_a_row=2)
    with pytest.raises(NonFiniteError):
        guard.judge(BAD, moment(), Weights())
    assert guard.skipped == 11


def test_bundles_are_few_and_whole(tmp_path):
    lines = []
    guard = Guard(tmp_path / "bundles", 99, lines.append)
    for i in range(1, 9):
        guard.judge(BAD, moment(i), Weights())
    kept = sorted(path.name for path in (tmp_path / "bundles").iterdir())
    assert kept == [f"epoch_0007_iteration_{i:04d}" for i in range(1, 6)]
    files = {path.name for path in (tmp_path / "bundles" / kept[0]).iterdir()}
    assert files == {"bundle.json", "batch.npz", "weights.params", "state"}
    assert "--replay" in lines[4] and "--replay" not in lines[5]


def test_samples_are_named():
    assert sample_list(("0007", "", "0100"), np.array([6, -1, 99])) == "0007 (6), one damaged, 0100 (99)"
