"""A run's log: written at once, after a resume, on a full disk."""

import resource
from contextlib import contextmanager
from functools import partial

import pytest
from run_tables import CLASSES, epoch, step, write

from mhpdata.errors import OutputError
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import read_epochs, read_steps


def test_rows_are_there_when_the_step_is_done(tmp_path):
    with RunLog(tmp_path, CLASSES, quiet=True) as log:
        for i in range(3):
            log.step(step(i))
            assert len(read_steps(tmp_path)) == i + 1


def test_a_line_takes_names_in_no_encoding_and_escapes(tmp_path):
    with RunLog(tmp_path, CLASSES, quiet=True) as log:
        log.line("Resumed from a\udcff\x1b[2J/last.pt")
    assert (tmp_path / "train.log").read_text() == "Resumed from a\\udcff\\x1b[2J/last.pt\n"


@pytest.mark.parametrize("begin, steps, epochs", [(0, 0, 0), (3, 3, 0), (4, 4, 1), (9, 9, 2), (12, 12, 3)])
def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path, begin, steps, epochs):
    write(tmp_path, map(step, range(12)), map(epoch, range(3)))
    write(tmp_path, [], [], begin)
    assert [row.step for row in read_steps(tmp_path)] == list(range(steps))
    assert [row.epoch for row in read_epochs(tmp_path)] == list(range(epochs))


def test_a_log_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "train.log").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path, [], [])


@contextmanager
def files_of_at_most(size):
    """Simulate a full disk for this process: files cannot grow (Python ignores the signal)."""
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
    with files_of_at_most(100), full(), log, full():  # outside: closing writes the remaining buffer
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


def test_lines_are_in_the_log_and_for_logging(tmp_path, caplog, capsys):
    caplog.set_level("INFO", "mhpmodels")
    for quiet in (False, True):
        with RunLog(tmp_path, CLASSES, quiet=quiet) as log:
            log.line("Epoch 0 iteration 0001/0004: training loss 1.000")
    assert (tmp_path / "train.log").read_text().count("training loss 1.000") == 2
    assert caplog.messages == ["Epoch 0 iteration 0001/0004: training loss 1.000"]
    assert capsys.readouterr() == ("", ""), "the library prints nothing itself"


def test_a_record_for_programs_is_in_the_log_file_only(tmp_path, caplog):
    caplog.set_level("INFO")
    with RunLog(tmp_path, CLASSES) as log:
        log.record('Config: {"lr": 0.1}')
        log.line("Training icnet")
    assert (tmp_path / "train.log").read_text() == 'Config: {"lr": 0.1}\nTraining icnet\n'
    assert caplog.messages == ["Training icnet"]
