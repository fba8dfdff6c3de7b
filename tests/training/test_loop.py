"""The loop with the NumPy engine: curves, logs, checkpoints, errors, ranks."""

import csv
import math
import os
import re
import signal

import numpy as np
import pytest
from training import STEPS, check_equal, curve, run, small_config, whole_run, write_rec

from mhpdata.errors import EngineError, OptionError
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import read_epochs, read_steps


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("train"))


@pytest.fixture
def config(rec):
    return small_config(rec)


@pytest.fixture(scope="module")
def whole(rec, tmp_path_factory):
    return whole_run(rec, tmp_path_factory.mktemp("whole") / "run")


# --- files of a run


def test_a_run_learns_and_leaves_logs_of_the_old_form(whole, capsys):
    outcome, _ = whole
    log = (outcome.folder / "train.log").read_text()
    assert re.search(
        r"^Config: \{.*\}\nEngine: \{.*\}\nTraining \w+ on \w+: 19 classes, 3 epochs of 4 steps, batch ", log, re.M
    )
    losses = [float(x) for x in re.findall(r"^Epoch \d+ iteration \d{4}/0004: training loss (\d\.\d{3})$", log, re.M)]
    assert len(losses) == 3 * STEPS
    assert losses[-1] < 0.85 * losses[0]
    scores = re.findall(r"^Epoch (\d+) validation pixAcc: 0\.\d{3}, mIoU: 0\.\d{3}$", log, re.M)
    assert scores == ["0", "1", "2"]
    epochs = read_epochs(outcome.folder)
    assert [row.epoch for row in epochs] == [0, 1, 2]
    assert all(len(row.iou) == 19 and row.miou == pytest.approx(np.mean(row.iou)) for row in epochs)
    with (outcome.folder / "epochs.csv").open() as file:
        assert next(csv.reader(file))[-1] == "IoU torso skin"


def test_the_log_has_the_running_mean_of_the_epoch(whole):
    outcome, _ = whole
    rows = [row for row in read_steps(outcome.folder) if row.epoch == 1]
    assert [row.iteration for row in rows] == [1, 2, 3, 4]
    mean = sum(row.loss for row in rows) / STEPS
    assert read_epochs(outcome.folder)[1].loss == pytest.approx(mean, rel=1e-12)
    assert f"Epoch 1 iteration 0004/0004: training loss {mean:.3f}" in (outcome.folder / "train.log").read_text()


def test_rates_fall_as_the_schedule_says(whole):
    rates = [row.rate for row in read_steps(whole[0].folder)]
    assert rates == [1.0 * (1 - i / 12) ** 0.9 for i in range(12)]


def test_the_last_and_the_best_checkpoint_stay(whole):
    outcome, _ = whole
    there = checkpoint.listing(outcome.folder)
    assert {outcome.last, outcome.best} == {c.weights for c in there}
    assert re.fullmatch(r"epoch_0002_mIoU_0\.\d{4}\.params", outcome.last.name)
    scores = [row.miou for row in read_epochs(outcome.folder)]
    assert outcome.best.name.startswith(f"epoch_{int(np.argmax(scores)):04d}_mIoU_{max(scores):.4f}")
    assert checkpoint.read(outcome.last).config.optim.lr == 1.0


def test_every_so_many_epochs_a_checkpoint_is_kept(config, tmp_path):
    outcome = run(config.changed(epochs=5, save_every=2, validate=False), tmp_path / "run")
    assert [c.weights.name for c in checkpoint.listing(outcome.folder)] == [
        "epoch_0001.params",
        "epoch_0003.params",
        "epoch_0004.params",
    ]
    assert outcome.best is None
    assert all(math.isnan(row.miou) and row.iou == () for row in read_epochs(outcome.folder))


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(config, whole, tmp_path):
    again = run(config.changed(workers=2), tmp_path / "again")
    check_equal(again, whole)
    other = run(config.changed(seed=1), tmp_path / "other")
    assert curve(other.folder) != whole[1]


def test_tensorboard_shows_the_same_numbers(config, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed here; the extra viz has it")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome = run(config.changed(epochs=1), tmp_path / "run", tensorboard=True)
    events = EventAccumulator(str(outcome.folder / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("loss")] == pytest.approx([r.loss for r in read_steps(outcome.folder)])
    assert [e.value for e in events.Scalars("mIoU")] == pytest.approx([r.miou for r in read_epochs(outcome.folder)])


# --- data and ranks


def test_a_config_that_does_not_fit_the_data_is_refused(config, tmp_path):
    for change, named in (
        ({"classes": 20}, "classes"),
        ({"batch_size": 16}, "batch_size"),
        ({"warmup_epochs": 3}, "warmup_epochs"),
        ({"train_split": "dev"}, "split"),
    ):
        with pytest.raises(OptionError, match=named):
            run(config.changed(**change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ranks_share_every_batch_and_the_first_one_writes(config, tmp_path):
    seen = []

    def look(count, images):
        seen.append(images.shape[0])

    for rank in (0, 1):
        run(config, tmp_path / "run", rank=rank, world_size=2, before_step=look)
    assert set(seen) == {1}
    assert len(seen) == 2 * 3 * STEPS
    assert not checkpoint.listing(tmp_path / "run" / "rank_1")
    assert len(read_steps(tmp_path / "run" / "rank_1")) == 3 * STEPS
    for folder in (tmp_path / "run", tmp_path / "run" / "rank_1"):  # each row counts all ranks
        rows = [row for row in read_steps(folder) if row.epoch == 1]
        assert {row.images for row in rows} == {config.optim.batch_size}
        rate = config.optim.batch_size * STEPS / sum(row.seconds for row in rows)
        assert f"Epoch 1 done: {rate:.3g} images/s" in (folder / "train.log").read_text()
    with pytest.raises(OptionError, match="batch_size"):
        run(config, tmp_path / "other", world_size=3)


def test_rank_0_decides_when_to_stop_and_the_others_end_with_it(config, tmp_path):
    def lose(count, _):
        if count == 1:
            os.kill(os.getpid(), signal.SIGINT)
        if count == 3:
            raise EngineError("rank 1", "lost another of the ranks")

    assert run(config, tmp_path / "a", rank=1, world_size=2, before_step=lose).signal == signal.SIGINT
    assert len(read_steps(tmp_path / "a" / "rank_1")) == 3, "it continues until rank 0 has ended"
    with pytest.raises(EngineError):
        run(config, tmp_path / "b", rank=0, world_size=2, before_step=lambda n, _: n == 0 or lose(3, _))
