"""A run's tables: number of digits, damage."""

import math

import pytest
from run_tables import epoch, step, write

from mhpdata.errors import CheckpointError
from mhpmodels.training.tables import EPOCHS, STEPS, EpochRow, read_epochs, read_steps


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


def test_an_epoch_without_validation_has_no_scores(tmp_path):
    row = EpochRow(0, 4, 0.5, math.nan, math.nan, 0, 0.0)
    write(tmp_path, [], [row])
    assert repr(read_epochs(tmp_path)) == repr([row])


def test_a_row_that_a_kill_cut_short_is_no_row(tmp_path):
    write(tmp_path, map(step, range(3)), [])
    path = tmp_path / STEPS
    path.write_text(path.read_text()[:-9])
    assert len(read_steps(tmp_path)) == 2
    write(tmp_path, [step(2)], [], begin=2)
    assert [row.step for row in read_steps(tmp_path)] == [0, 1, 2]


def test_a_missing_table_asks_for_the_folder_of_a_run(tmp_path):
    with pytest.raises(CheckpointError, match=r"steps\.csv: missing; .* Pass the folder of a run, such as runs/"):
        read_steps(tmp_path)


def test_another_table_is_refused(tmp_path):
    (tmp_path / STEPS).write_text("a,b\n1,2\n")
    with pytest.raises(CheckpointError, match="not a table of mhp train"):
        read_steps(tmp_path)
    with pytest.raises(CheckpointError, match="not a table of mhp train"):
        write(tmp_path, [], [])
    with pytest.raises(CheckpointError, match="missing; expected a table of mhp train"):
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
            with pytest.raises(
                CheckpointError, match=f"{name}, line {len(rows)}: the text {text[:40]!r}; expected a number"
            ):
                attempt(tmp_path)
        (tmp_path / name).write_text(whole)


def test_a_field_that_csv_does_not_take_is_refused(tmp_path):
    write(tmp_path, [step(0)], [])
    with (tmp_path / STEPS).open("a") as file:
        file.write("1" * 200_000 + "\n")
    with pytest.raises(CheckpointError, match="is damaged"):
        read_steps(tmp_path)
