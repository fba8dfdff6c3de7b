"""The figure of a run."""

import math
from dataclasses import replace
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import mhptools.show
from mhpdata.errors import CheckpointError, OutputError
from mhpmodels.showing import curves
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EpochRow, StepRow

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")


def steps(count=40, length=10, bad=()):
    return [
        StepRow(
            i, i // length, i % length + 1, math.nan if i in bad else 3 / (i + 1), 1.0, 0.1, int(i not in bad), 2, 1, 0
        )
        for i in range(count)
    ]


def epochs(count=4):
    return [EpochRow(i, 10 * (i + 1), 1 / (i + 1), 0.5 + 0.1 * i, 0.1 * (i + 1), 0, 1.0) for i in range(count)]


def colored(picture, color):
    """Return the number of pixels of a colour."""
    return int((picture == np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)).all(2).sum())


def test_a_picture_shows_loss_scores_rate_and_skips():
    clean = curves.draw_curves(steps(), epochs(), "a run")
    assert clean.shape == (*curves.SIZE, 3) and clean.dtype == np.uint8
    for color in (curves.MEAN, curves.MIOU, curves.PIX_ACC, curves.RATE):
        assert colored(clean, color) > 100
    assert colored(clean, curves.SKIPPED) == 0
    few, many = (colored(curves.draw_curves(steps(bad=bad), epochs()), curves.SKIPPED) for bad in ((5,), (5, 15, 25)))
    assert 0 < few < many


def points(axes, label):
    """Return the points of a curve, (n, 2)."""
    return next(line.get_xydata() for line in axes.lines if line.get_label() == label)


def test_steps_and_validations_lie_where_they_end():
    loss, miou, pix_acc, rate = curves.curves_figure(steps(), epochs()).axes
    np.testing.assert_allclose(points(loss, "each step")[:, 0], np.arange(1, 41) / 10)
    np.testing.assert_allclose(points(loss, "mean of an epoch"), [(i + 0.5, 1 / (i + 1)) for i in range(4)])
    np.testing.assert_allclose(miou.lines[0].get_xydata(), [(i + 1, 10 * (i + 1)) for i in range(4)])
    np.testing.assert_allclose(pix_acc.lines[0].get_xydata(), [(i + 1, 50 + 10 * i) for i in range(4)])
    assert rate.get_xlabel() == "epochs done" and rate.get_xlim()[0] == 0 < 4 < rate.get_xlim()[1]
    assert [text.get_text() for text in miou.texts] == ["best 40.00 %, after 4 epochs (epoch 3 of the log)"]


def test_every_point_of_a_short_run_is_on_the_axes():
    found = curves.curves_figure(steps(48, 3), epochs(16)).axes
    for axes in found:
        for line in axes.lines:
            x, y = line.get_xydata().T
            assert (x >= axes.get_xlim()[0]).all() and (x <= axes.get_xlim()[1]).all(), line.get_label()
            assert (y >= axes.get_ylim()[0]).all() and (y <= axes.get_ylim()[1]).all(), line.get_label()


def test_a_few_large_losses_are_marked_and_do_not_flatten_the_others():
    rows = [replace(row, loss=1000.0 if row.step == 7 else 1 + row.step % 2) for row in steps(400)]
    loss = curves.curves_figure(rows, []).axes[0]
    assert loss.get_ylim()[1] < 3
    assert points(loss, "beyond the axis: 1")[:, 0].tolist() == [0.8]


def test_a_low_miou_fills_its_axis():
    rows = [replace(row, miou=0.02 + 0.005 * row.epoch) for row in epochs(14)]
    miou = curves.curves_figure(steps(), rows).axes[1]
    low, high = miou.get_ylim()
    assert low == 0 and 8.5 < high < 12


@pytest.mark.parametrize(("count", "window"), [(1, 3), (48, 7), (100, 13), (10_000, 51)])
def test_the_median_is_of_a_part_of_the_run_and_its_label_says_of_how_many(count, window):
    assert curves.window_of(count) == window
    drawn = points(curves.curves_figure(steps(count), []).axes[0], f"median of {window} steps")
    losses = np.array([row.loss for row in steps(count)])
    np.testing.assert_array_equal(drawn[:, 1], curves.smooth(losses, window))


@pytest.mark.parametrize("bad", [(), (0,)])
def test_the_first_step_can_be_drawn(bad):
    picture = curves.draw_curves(steps(1, bad=bad), [])
    assert colored(picture, curves.MIOU) == 0


def test_the_same_tables_give_the_same_picture_whatever_the_users_style(monkeypatch):
    import matplotlib

    first = curves.draw_curves(steps(), epochs())
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)
    np.testing.assert_array_equal(curves.draw_curves(steps(), epochs()), first)
    assert matplotlib.rcParams["font.size"] == 30.0


@pytest.mark.parametrize("window", [1, 3, 7])
def test_smooth_is_the_median_of_the_neighbours_that_are_numbers(window):
    values = np.random.default_rng(0).random(20)
    values[[3, 9, 10, 11]] = math.nan
    found = curves.smooth(values, window)
    for i, value in enumerate(found):
        around = values[max(0, i - window // 2) : i + window // 2 + 1]
        around = around[~np.isnan(around)]
        assert value == np.median(around) if len(around) else math.isnan(value)


def test_command(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with RunLog(run, ("background",), quiet=True) as log:
        for row in steps():
            log.step(row)
        for row in epochs():
            log.epoch(row)
    out = tmp_path / "curves.png"
    result = CliRunner().invoke(mhptools.show.main, ["--run", str(run), "--out", str(out)])
    assert result.exit_code == 0 and "4 epochs, 40 steps" in result.output, result.output
    assert cv2.imread(str(out)).shape == (*curves.SIZE, 3)
    assert CliRunner().invoke(mhptools.show.main, ["--run", str(run), "--out", str(out)]).exit_code == 3
    for arguments in (["--out", "a.png"], ["rec", "--run", str(run), "--out", "a.png"]):
        assert CliRunner().invoke(mhptools.show.main, arguments).exit_code == 2


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError):
        curves.save_curves(tmp_path, tmp_path / "a.png")
    with RunLog(tmp_path, ("background",), quiet=True):
        pass
    with pytest.raises(CheckpointError, match="no step yet"):
        curves.save_curves(tmp_path, tmp_path / "a.png")
    with pytest.raises(OutputError):
        curves.save_curves(tmp_path, tmp_path / "none" / "a.png")
