"""Tables of a run: digits, resume, damage."""

import math
import resource
from contextlib import contextmanager
from functools import partial

import pytest

from mhpdata.errors import CheckpointError, OutputError
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EPOCHS, STEPS, EpochRow, StepRow, read_epochs, read_steps

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


def test_a_line_takes_names_in_no_encoding_and_escapes(tmp_path):
    with RunLog(tmp_path, CLASSES, quiet=True) as log:
        log.line("Resumed from a\udcff\x1b[2J/last.pt")
    assert (tmp_path / "train.log").read_text() == "Resumed from a\\udcff\\x1b[2J/last.pt\n"


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


@pytest.mark.parametrize("column", range(len(vars(step(0)))))
@pytest.mark.parametrize("text", ["loss", "", "--5", "1e", "9" * 5000])
def test_text_in_place_of_a_number_is_refused(tmp_path, text, column):
    write(tmp_path, map(step, range(3)), [epoch(0)])
    for name, read in ((STEPS, read_steps), (EPOCHS, read_epochs)):
        whole = (tmp_path / name).read_text()
        rows = [line.split(",") for line in whole.splitlines()]
        rows[-1][min(column, len(rows[-1]) - 1)] = text
        (tmp_path / name).write_text("".join(",".join(row) + "\n" for row in rows))
        for attempt in (read, lambda folder: write(folder, [], [], 9)):
            with pytest.raises(CheckpointError, match=f"{name}, line {len(rows)}: the text {text[:40]!r} in place of"):
                attempt(tmp_path)
        (tmp_path / name).write_text(whole)


def test_a_field_that_csv_does_not_take_is_refused(tmp_path):
    write(tmp_path, [step(0)], [])
    with (tmp_path / STEPS).open("a") as file:
        file.write("1" * 200_000 + "\n")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_steps(tmp_path)


def test_a_log_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "train.log").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path, [], [])


@contextmanager
def files_of_at_most(size):
    """What a full disk does, for this process: a file grows no further (Python ignores the signal)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "add",
    [lambda log: log.step(step(0)), lambda log: log.epoch(epoch(0)), lambda log: log.line("a line of text" * 9)],
    ids=["step", "epoch", "line"],
)
def test_a_full_disk_is_an_output_error_and_closes_the_files(tmp_path, add):
    full = partial(pytest.raises, OutputError, match=r"cannot be written \(File too large\). Allow larger files")
    log = RunLog(tmp_path, CLASSES, quiet=True)
    with files_of_at_most(100), full(), log, full():  # outside: closing finds what lies in memory still
        add(log)
    assert all(file.closed for file in (log._log, log._steps, log._epochs))
    assert read_steps(tmp_path) == read_epochs(tmp_path) == []
    with files_of_at_most(100), pytest.raises(KeyError), RunLog(tmp_path, CLASSES, quiet=True) as log:
        with full():
            add(log)
        raise KeyError("another error, which closing does not hide")


def test_a_full_disk_as_a_run_begins_leaves_nothing_open(tmp_path):
    with files_of_at_most(40), pytest.raises(OutputError, match="File too large"):
        RunLog(tmp_path, CLASSES)


def test_lines_are_in_the_log_and_on_standard_output(tmp_path, capsys):
    for quiet in (False, True):
        with RunLog(tmp_path, CLASSES, quiet=quiet) as log:
            log.line("Epoch 0 iteration 0001/0004: training loss 1.000")
    assert (tmp_path / "train.log").read_text().count("training loss 1.000") == 2
    assert capsys.readouterr().out.count("training loss 1.000") == 1
