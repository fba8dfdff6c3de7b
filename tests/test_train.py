"""The loop, with an engine of NumPy: curves, logs, checkpoints, resume after every kind of end, the guard at work."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folder import write_folder
from numpy_engine import NumpyEngine

import mhpdata
from mhpdata.errors import CheckpointError, EngineError, NonFiniteError, OptionError, OutputError
from mhpmodels import checkpoint
from mhpmodels.bundle import replay
from mhpmodels.config import TrainConfig
from mhpmodels.runlog import read_epochs, read_steps
from mhpmodels.train import train

STEPS = 4  # of an epoch: 9 training samples in batches of 2
NAN = math.nan


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """A packed folder of 9 train, 3 val, 4 test samples."""
    root = tmp_path_factory.mktemp("train")
    source = write_folder(root / "LV-MHP-v1", images=16, size=(48, 64))
    mhpdata.pack(source, root / "rec", size=0)
    return root / "rec"


@pytest.fixture
def config(rec):
    return TrainConfig(
        data=str(rec), base_size=48, crop_size=32, batch_size=2, lr=1.0, epochs=3, workers=1, blur_prob=0.0, max_skips=3
    )


def run(config, out, resume=None, **hooks):
    options = {name: hooks.pop(name) for name in ("weights", "start_epoch", "tensorboard") if name in hooks}
    return train(config, out, resume=resume, open_engine=lambda c: NumpyEngine(c, **hooks), **options)


def curve(out):
    """All that a run computed: without seconds, which differ."""
    steps = [replace(row, seconds=0, waited=0) for row in read_steps(out)]
    epochs = [replace(row, seconds=0) for row in read_epochs(out)]
    return repr((steps, epochs))


@pytest.fixture(scope="module")
def whole(rec, tmp_path_factory):
    """An uninterrupted run: its outcome and its curve."""
    config = TrainConfig(
        data=str(rec), base_size=48, crop_size=32, batch_size=2, lr=1.0, epochs=3, workers=1, blur_prob=0.0, max_skips=3
    )
    outcome = run(config, tmp_path_factory.mktemp("whole") / "run")
    return outcome, curve(outcome.folder)


def weights(path):
    return np.load(path)


def check_equal(outcome, whole):
    """The run has computed what the uninterrupted one has."""
    assert curve(outcome.folder) == whole[1]
    assert outcome.signal is None
    np.testing.assert_array_equal(weights(outcome.last), weights(whole[0].last))
    np.testing.assert_array_equal(
        weights(outcome.last.with_suffix(".state")), weights(whole[0].last.with_suffix(".state"))
    )
    assert outcome.best.name == whole[0].best.name


# --- what a run leaves


def test_a_run_learns_and_leaves_logs_of_the_old_form(whole, capsys):
    outcome, _ = whole
    log = (outcome.folder / "train.log").read_text()
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
    assert checkpoint.read(outcome.last).config.lr == 1.0


def test_every_so_many_epochs_a_checkpoint_is_kept(config, tmp_path):
    outcome = run(replace(config, epochs=5, save_every=2, validate=False), tmp_path / "run")
    assert [c.weights.name for c in checkpoint.listing(outcome.folder)] == [
        "epoch_0001.params",
        "epoch_0003.params",
        "epoch_0004.params",
    ]
    assert outcome.best is None
    assert all(math.isnan(row.miou) and row.iou == () for row in read_epochs(outcome.folder))


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(config, whole, tmp_path):
    again = run(replace(config, workers=2), tmp_path / "again")
    check_equal(again, whole)
    other = run(replace(config, seed=1), tmp_path / "other")
    assert curve(other.folder) != whole[1]


def test_tensorboard_shows_the_same_numbers(config, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed here; the extra viz has it")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome = run(replace(config, epochs=1), tmp_path / "run", tensorboard=True)
    events = EventAccumulator(str(outcome.folder / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("loss")] == pytest.approx([r.loss for r in read_steps(outcome.folder)])
    assert [e.value for e in events.Scalars("mIoU")] == pytest.approx([r.miou for r in read_epochs(outcome.folder)])


# --- going on


def send(number, at):
    return lambda count, _: os.kill(os.getpid(), number) if count == at else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 5, STEPS - 1])
def test_a_signal_saves_and_the_run_goes_on_exactly(config, whole, tmp_path, number, at, capsys):
    stopped = run(config, tmp_path / "run", before_step=send(number, at))
    assert stopped.signal == number
    assert stopped.last.name == f"epoch_{at // STEPS:04d}_iteration_{at % STEPS + 1:04d}.params"
    assert f"mhp-train --resume {stopped.last}" in capsys.readouterr().out
    check_equal(run(config, tmp_path / "run", resume=stopped.last), whole)
    assert not stopped.last.exists(), "a checkpoint from within an epoch goes when a later one is there"


def test_a_signal_in_a_validation_saves_the_epoch(config, whole, tmp_path):
    config = replace(config, test_batch_size=1)
    stopped = run(config, tmp_path / "run", before_predict=send(signal.SIGINT, 0))
    assert stopped.last.name == "epoch_0000_iteration_0004.params"
    check_equal(run(config, tmp_path / "run", resume=tmp_path / "run"), whole)


def test_a_signal_while_an_epoch_is_saved_needs_no_other_checkpoint(config, whole, tmp_path, capsys):
    stopped = run(config, tmp_path / "run", before_save=send(signal.SIGINT, 1))
    assert [c.weights for c in checkpoint.listing(stopped.folder)] == [stopped.last]
    assert stopped.last.name.startswith("epoch_0000_mIoU")
    assert f"mhp-train --resume {stopped.last}" in capsys.readouterr().out
    check_equal(run(config, tmp_path / "run", resume=stopped.last), whole)


def test_a_signal_before_the_first_step_has_nothing_to_save(config, tmp_path, capsys):
    def opener(config):
        os.kill(os.getpid(), signal.SIGTERM)
        return NumpyEngine(config)

    stopped = train(config, tmp_path / "run", open_engine=opener)
    assert (stopped.signal, stopped.last) == (signal.SIGTERM, None)
    assert "no step was done" in capsys.readouterr().out
    run(config, tmp_path / "run")


def test_a_run_killed_before_its_first_checkpoint_is_not_overwritten(config, tmp_path):
    def fail(count, _):
        if count == 2:
            raise EngineError("engine", "is gone")

    with pytest.raises(EngineError):
        run(config, tmp_path / "run", before_step=fail)
    with pytest.raises(OutputError, match="without a checkpoint"):
        run(config, tmp_path / "run")


def test_a_second_signal_ends_at_once(config, tmp_path):
    def twice(count, _):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "run", before_step=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


CHILD = """
import sys
from pathlib import Path
from numpy_engine import NumpyEngine, kill_at
from mhpmodels.config import TrainConfig
from mhpmodels.train import train
config, out, resume, hook, call = sys.argv[1:]
hooks = {hook: kill_at(int(call))}
train(TrainConfig.from_json(config), out, resume=resume or None, open_engine=lambda c: NumpyEngine(c, **hooks))
"""


@pytest.mark.parametrize(
    "hook, calls",
    [
        ("before_step", [STEPS + 2, 1, STEPS]),  # within an epoch, three times over
        ("before_save", [2, 1, 2]),  # between the files of a checkpoint
        ("before_predict", [1, 0]),  # in a validation
    ],
)
def test_a_killed_run_goes_on_exactly(config, whole, tmp_path, hook, calls):
    out = tmp_path / "run"
    for call in calls:
        begun = str(out) if out.exists() and checkpoint.listing(out) else ""
        if not begun and out.exists():
            out.rename(tmp_path / f"lost_{call}")  # killed before its first checkpoint
        arguments = [config.to_json(), str(out), begun, hook, str(call)]
        child = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr
    begun = out if out.exists() and checkpoint.listing(out) else None
    if begun is None:
        out = tmp_path / "anew"
    check_equal(run(config, out, resume=begun), whole)
    assert not list(out.glob(".part-*"))


def test_a_run_goes_on_in_another_folder_from_any_checkpoint(config, whole, tmp_path):
    first = run(replace(config, save_every=1), tmp_path / "first")
    early = sorted(first.folder.glob("epoch_0000_*.params"))[0]
    with pytest.raises(OutputError, match="a later checkpoint"):
        run(config, first.folder, resume=early)
    branch = run(config, tmp_path / "branch", resume=early)
    np.testing.assert_array_equal(weights(branch.last), weights(whole[0].last))
    assert [row.step for row in read_steps(branch.folder)] == list(range(STEPS, 3 * STEPS))


def test_a_finished_run_that_is_resumed_stays_as_it_is(config, whole, tmp_path):
    run(config, tmp_path / "run")
    check_equal(run(config, tmp_path / "run", resume=tmp_path / "run"), whole)


def test_a_resumed_run_keeps_its_recipe_but_may_change_where_it_runs(config, tmp_path):
    stopped = run(config, tmp_path / "run", before_step=send(signal.SIGINT, 1))
    with pytest.raises(OptionError, match=r"lr: 0\.1; expected 1\.0, as the run began"):
        run(replace(config, lr=0.1), tmp_path / "run", resume=stopped.last)
    run(replace(config, workers=2, log_interval=3), tmp_path / "run", resume=stopped.last)


def test_a_damaged_checkpoint_is_refused(config, tmp_path):
    stopped = run(config, tmp_path / "run", before_step=send(signal.SIGINT, 1))
    for suffix in (".state", ".params"):
        path = stopped.last.with_suffix(suffix)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(CheckpointError, match="other bytes"):
            run(config, tmp_path / "run", resume=stopped.last)
        path.write_bytes(data)
    run(config, tmp_path / "run", resume=stopped.last)


def test_a_folder_with_a_run_is_not_overwritten(config, whole):
    with pytest.raises(OutputError, match="--resume"):
        run(config, whole[0].folder)
    assert curve(whole[0].folder) == whole[1]


def test_a_new_run_may_begin_with_old_weights_and_later(config, whole, tmp_path):
    outcome = run(config, tmp_path / "run", weights=whole[0].last, start_epoch=2)
    rows = read_steps(outcome.folder)
    assert [row.step for row in rows] == list(range(2 * STEPS, 3 * STEPS))
    assert rows[0].loss < read_steps(whole[0].folder)[0].loss
    with pytest.raises(OptionError, match="resume"):
        run(config, tmp_path / "run", weights=whole[0].last, resume=whole[0].last)


# --- what is not finite


def test_a_step_that_is_not_finite_is_skipped_named_and_kept(config, tmp_path, capsys):
    outcome = run(config, tmp_path / "run", before_step=lambda count, _: NAN if count in (2, 5, 6) else None)
    rows = read_steps(outcome.folder)
    assert [row.step for row in rows if not row.applied] == [2, 5, 6]
    assert math.isnan(rows[5].loss)
    assert all(math.isfinite(row.loss) for row in read_epochs(outcome.folder)), "no mean has swallowed a NaN"
    log = (outcome.folder / "train.log").read_text()
    assert "nan" not in "".join(line for line in log.splitlines() if "training loss" in line)
    assert re.search(r"Epoch 0 iteration 0003: loss nan, .* samples \d{4} \(\d\), \d{4} \(\d\); replay with", log)
    assert "3 steps skipped" in log
    bundles = sorted((outcome.folder / "bundles").iterdir())
    assert [path.name for path in bundles] == [f"epoch_{e:04d}_iteration_{i:04d}" for e, i in ((0, 3), (1, 2), (1, 3))]


def test_a_skipped_step_leaves_everything_as_it_was(config, tmp_path):
    kept = {}

    def look(count, _):
        kept[count] = engine.weights.copy(), engine.velocity.copy()
        return NAN if count == 1 else None

    engine = NumpyEngine(config, before_step=look)
    train(config, tmp_path / "run", open_engine=lambda c: engine)
    for before, after in zip(kept[1], kept[2], strict=True):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(kept[2][0], kept[3][0])
    assert engine.closed


def test_too_many_in_a_row_end_the_run_and_save_it(config, tmp_path):
    def broken(count, _):
        return NAN if count >= 5 else None

    with pytest.raises(NonFiniteError, match=r"3 steps in a row .* last samples: \d{4} \(\d\)") as caught:
        run(config, tmp_path / "run", before_step=broken)
    assert "mhp-train --replay" in str(caught.value)
    last = checkpoint.read(tmp_path / "run")
    assert (last.position.step, last.position.in_a_row) == (8, 3)
    assert np.isfinite(weights(last.weights)).all()
    run(config, tmp_path / "new", weights=last.weights)


def test_skips_that_are_not_in_a_row_do_not_end_it_and_few_bundles_are_kept(config, tmp_path):
    outcome = run(config, tmp_path / "run", before_step=lambda count, _: NAN if count % 3 else None)
    assert read_epochs(outcome.folder)[-1].skipped == 8
    assert len(list((outcome.folder / "bundles").iterdir())) == 5


def test_skips_in_a_row_are_counted_over_a_resume(config, tmp_path):
    def broken(count, _):
        if count == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return NAN

    stopped = run(config, tmp_path / "run", before_step=broken)
    with pytest.raises(NonFiniteError, match="3 steps in a row"):
        run(config, tmp_path / "run", resume=stopped.last, before_step=lambda *_: NAN)
    assert len(read_steps(tmp_path / "run")) == 2, "the third step ended the run before its row"


def test_a_bundle_can_be_replayed(config, tmp_path):
    seen = []

    def spoil(count, images):
        seen.append(images.copy())
        return math.inf if count == 3 else None

    outcome = run(replace(config, epochs=1), tmp_path / "run", before_step=spoil)
    (path,) = (outcome.folder / "bundles").iterdir()
    replayed = []

    def look(count, images):
        replayed.append(images.copy())

    again = replay(path, lambda c: NumpyEngine(c, before_step=look))
    np.testing.assert_array_equal(replayed[0], seen[3])
    assert (again.before.loss, again.before.applied) == (math.inf, False)
    assert again.after.applied and again.after.gradient == again.before.gradient, "the same batch, weights and seed"
    assert len(again.samples) == 2
    assert all(re.match(r"\d{4} \(\d\), pixels .* labelled, classes 0.*, loss \d", text) for text in again.samples)


@pytest.mark.parametrize("damage", ["missing", "json", "batch"])
def test_a_damaged_bundle_is_refused(config, tmp_path, damage):
    outcome = run(replace(config, epochs=1), tmp_path / "run", before_step=lambda n, _: NAN if n == 0 else None)
    (path,) = (outcome.folder / "bundles").iterdir()
    if damage == "missing":
        path = path / "none"
    elif damage == "json":
        content = json.loads((path / "bundle.json").read_text())
        (path / "bundle.json").write_text(json.dumps({**content, "names": content["names"][:1]}))
    else:
        data = (path / "batch.npz").read_bytes()
        (path / "batch.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="not a whole bundle"):
        replay(path, NumpyEngine)


# --- data and ranks


def test_a_config_that_does_not_fit_the_data_is_refused(config, tmp_path):
    for change, named in (
        ({"classes": 20}, "classes"),
        ({"batch_size": 16}, "batch_size"),
        ({"warmup_epochs": 3}, "warmup_epochs"),
        ({"train_split": "dev"}, "split"),
    ):
        with pytest.raises(OptionError, match=named):
            run(replace(config, **change), tmp_path / "run")
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
    with pytest.raises(OptionError, match="batch_size"):
        run(config, tmp_path / "other", world_size=3)


def test_rank_0_decides_when_to_stop_and_the_others_end_with_it(config, tmp_path):
    def lose(count, _):
        if count == 1:
            os.kill(os.getpid(), signal.SIGINT)
        if count == 3:
            raise EngineError("rank 1", "lost another of the ranks")

    assert run(config, tmp_path / "a", rank=1, world_size=2, before_step=lose).signal == signal.SIGINT
    assert len(read_steps(tmp_path / "a" / "rank_1")) == 3, "it goes on until rank 0 is gone"
    with pytest.raises(EngineError):
        run(config, tmp_path / "b", rank=0, world_size=2, before_step=lambda n, _: n == 0 or lose(3, _))
