"""Tables of a run: digits, resume, damage."""

import math

import pytest

from mhpdata.errors import CheckpointError, OutputError
from mhpmodels.runlog import EPOCHS, STEPS, EpochRow, RunLog, StepRow, read_epochs, read_steps

CLASSES = ("background", "hat, or cap")


def step(i, loss=0.1 + 0.2):
    return StepRow(i, i // 4, i % 4 + 1, loss, math.inf, 1e-3, int(math.isfinite(loss)), 16, 1.5, 0.01)


def epoch(i):
    return EpochRow(i, 4 * (i + 1), 0.5, 0.8, 1 / 3, 2, 7.25, (0.25, 1 / 7))


def write(folder, steps, epochs, begin=0):
    with RunLog(folder, CLASSES, begin, quiet=True) as log:
        for row in steps:
            log.step(row)
        for row in epochs:
            log.epoch(row)


def test_rows_keep_all_digits(tmp_path):
    rows = [step(0), step(1, math.nan), step(2, 1e-300)]
    write(tmp_path, rows, [epoch(0)])
    assert repr(read_steps(tmp_path)) == repr(rows)
    assert read_epochs(tmp_path) == [epoch(0)]
    assert (
        (tmp_path / EPOCHS)
        .read_text()
        .startswith('epoch,step,loss,pix_acc,miou,skipped,seconds,IoU background,"IoU hat')
    )


def test_rows_are_there_when_the_step_is_done(tmp_path):
    with RunLog(tmp_path, CLASSES, quiet=True) as log:
        for i in range(3):
            log.step(step(i))
            assert len(read_steps(tmp_path)) == i + 1


def test_an_epoch_without_validation_has_no_scores(tmp_path):
    row = EpochRow(0, 4, 0.5, math.nan, math.nan, 0, 0.0)
    write(tmp_path, [], [row])
    assert repr(read_epochs(tmp_path)) == repr([row])


@pytest.mark.parametrize("begin, steps, epochs", [(0, 0, 0), (3, 3, 0), (4, 4, 1), (9, 9, 2), (12, 12, 3)])
def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path, begin, steps, epochs):
    write(tmp_path, map(step, range(12)), map(epoch, range(3)))
    write(tmp_path, [], [], begin)
    assert [row.step for row in read_steps(tmp_path)] == list(range(steps))
    assert [row.epoch for row in read_epochs(tmp_path)] == list(range(epochs))


def test_a_row_that_a_kill_cut_short_is_no_row(tmp_path):
    write(tmp_path, map(step, range(3)), [])
    path = tmp_path / STEPS
    path.write_text(path.read_text()[:-9])
    assert len(read_steps(tmp_path)) == 2
    write(tmp_path, [step(2)], [], begin=2)
    assert [row.step for row in read_steps(tmp_path)] == [0, 1, 2]


def test_another_table_is_refused(tmp_path):
    (tmp_path / STEPS).write_text("a,b\n1,2\n")
    with pytest.raises(CheckpointError, match="another table"):
        read_steps(tmp_path)
    with pytest.raises(CheckpointError, match="another table"):
        write(tmp_path, [], [])
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_epochs(tmp_path)


def test_a_log_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "train.log").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path, [], [])


def test_lines_are_in_the_log_and_on_standard_output(tmp_path, capsys):
    for quiet in (False, True):
        with RunLog(tmp_path, CLASSES, quiet=quiet) as log:
            log.line("Epoch 0 iteration 0001/0004: training loss 1.000")
    assert (tmp_path / "train.log").read_text().count("training loss 1.000") == 2
    assert capsys.readouterr().out.count("training loss 1.000") == 1
