"""A run resumes exactly after signals, kills and errors; resumes that are rejected."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy_engine import NumpyEngine
from places import SUPPORT
from training import STEPS, check_equal, curve, run, small_config, weights, whole_run, write_rec

from mhpdata.errors import CheckpointError, EngineError, OptionError, OutputError
from mhpmodels.files import checkpoint
from mhpmodels.training.tables import read_steps
from mhpmodels.training.train import train


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("train"))


@pytest.fixture
def config(rec):
    return small_config(rec)


@pytest.fixture(scope="module")
def whole(rec, tmp_path_factory):
    return whole_run(rec, tmp_path_factory.mktemp("whole") / "run")


def send(number, at):
    return lambda count, _: os.kill(os.getpid(), number) if count == at else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 5, STEPS - 1])
def test_a_signal_saves_and_the_run_goes_on_exactly(config, whole, tmp_path, number, at, caplog):
    caplog.set_level("INFO", "mhpmodels")
    stopped = run(config, tmp_path / "run", before_step=send(number, at))
    assert stopped.signal == number
    assert stopped.last.name == f"epoch_{at // STEPS:04d}_iteration_{at % STEPS + 1:04d}.params"
    assert f"mhp train --resume {stopped.last}" in caplog.text
    check_equal(run(config, tmp_path / "run", resume=stopped.last), whole)
    assert not stopped.last.exists(), "a checkpoint from within an epoch goes when a later one is there"


def test_a_checkpoint_of_mhp_0_1_at_the_end_of_an_epoch_continues_exactly(config, whole, tmp_path):
    stopped = run(config, tmp_path / "run", before_step=send(signal.SIGINT, STEPS - 1))
    beside = stopped.last.with_suffix(".json")
    content = json.loads(beside.read_text())
    loader = content["loader"]
    assert (loader["epoch"], loader["position"]) == (1, 0)
    loader |= {"epoch": 0, "position": STEPS * config.optim.batch_size}  # position of the loader of 0.1
    beside.write_text(json.dumps(content))
    check_equal(run(config, tmp_path / "run", resume=stopped.last), whole)


def test_a_signal_in_a_validation_saves_the_epoch(config, whole, tmp_path, caplog):
    caplog.set_level("INFO", "mhpmodels")
    config = config.changed(test_batch_size=1)
    stopped = run(config, tmp_path / "run", before_predict=send(signal.SIGINT, 0))
    assert stopped.last.name == "epoch_0000_iteration_0004.params"
    check_equal(run(config, tmp_path / "run", resume=tmp_path / "run"), whole)
    done = [text for text in caplog.messages if " done" in text]
    assert done[0] == "Epoch 0 done, resumed after its last step"
    assert len(done) == 3 and all(" images/s, " in text for text in done[1:])


def test_a_signal_while_an_epoch_is_saved_needs_no_other_checkpoint(config, whole, tmp_path, caplog):
    caplog.set_level("INFO", "mhpmodels")
    stopped = run(config, tmp_path / "run", before_save=send(signal.SIGINT, 1))
    assert [c.weights for c in checkpoint.listing(stopped.folder)] == [stopped.last]
    assert stopped.last.name.startswith("epoch_0000_mIoU")
    assert f"mhp train --resume {stopped.last}" in caplog.text
    check_equal(run(config, tmp_path / "run", resume=stopped.last), whole)


def test_a_signal_before_the_first_step_has_nothing_to_save(config, tmp_path, caplog):
    caplog.set_level("INFO", "mhpmodels")

    def opener(config):
        os.kill(os.getpid(), signal.SIGTERM)
        return NumpyEngine(config)

    stopped = train(config, tmp_path / "run", open_engine=opener)
    assert (stopped.signal, stopped.last) == (signal.SIGTERM, None)
    assert "No step was done" in caplog.text
    run(config, tmp_path / "run")


def test_a_run_killed_before_its_first_checkpoint_is_not_overwritten(config, tmp_path):
    def fail(count, _):
        if count == 2:
            raise EngineError("engine", "is gone")

    with pytest.raises(EngineError):
        run(config, tmp_path / "run", before_step=fail)
    with pytest.raises(OutputError, match=r"without a checkpoint\. Add --auto-resume to start it from the beginning"):
        run(config, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"no complete checkpoint; .*run its first mhp train command again, with"):
        run(config, tmp_path / "run", resume=tmp_path / "run")


def test_a_second_signal_ends_at_once(config, tmp_path):
    def twice(count, _):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)  # ignored in a shell's background
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "run", before_step=twice)
    assert signal.getsignal(signal.SIGINT) is before


CHILD = """
import sys
from pathlib import Path
from numpy_engine import NumpyEngine, kill_at
from mhpmodels.config import TrainConfig
from mhpmodels.training.train import train
config, out, resume, hook, call = sys.argv[1:]
hooks = {hook: kill_at(int(call))}
train(TrainConfig.from_json(config), out, resume=resume or None, open_engine=lambda c: NumpyEngine(c, **hooks))
"""


@pytest.mark.parametrize(
    "hook, calls",
    [
        ("before_step", [STEPS + 2, 1, STEPS]),  # within an epoch, three times
        ("before_save", [2, 1, 2]),  # between the files of a checkpoint
        ("before_predict", [1, 0]),  # during validation
    ],
)
def test_a_killed_run_goes_on_exactly(config, whole, tmp_path, hook, calls):
    out = tmp_path / "run"
    for call in calls:
        begun = str(out) if out.exists() and checkpoint.listing(out) else ""
        if not begun and out.exists():
            out.rename(tmp_path / f"lost_{call}")  # it was killed before its first checkpoint
        arguments = [config.to_json(), str(out), begun, hook, str(call)]
        child = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments],
            cwd=SUPPORT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL, child.stderr
    begun = out if out.exists() and checkpoint.listing(out) else None
    if begun is None:
        out = tmp_path / "anew"
    check_equal(run(config, out, resume=begun), whole)
    assert not list(out.glob(".*.part"))


def test_a_run_goes_on_in_another_folder_from_any_checkpoint(config, whole, tmp_path):
    first = run(config.changed(save_every=1), tmp_path / "first")
    early = sorted(first.folder.glob("epoch_0000_*.params"))[0]
    with pytest.raises(OutputError, match="a later checkpoint"):
        run(config, first.folder, resume=early)
    branch = run(config, tmp_path / "branch", resume=early)
    np.testing.assert_array_equal(weights(branch.last), weights(whole[0].last))
    assert [row.step for row in read_steps(branch.folder)] == list(range(STEPS, 3 * STEPS))


def test_a_finished_run_that_is_resumed_says_so_and_stays_as_it_is(config, whole, tmp_path, caplog):
    done = run(config, tmp_path / "run")
    caplog.set_level("INFO", "mhpmodels")
    check_equal(run(config, tmp_path / "run", resume=tmp_path / "run"), whole)
    said = f"Resumed from {done.last} after the last of its 3 epochs: the run has ended. To train longer, start a new"
    assert said in caplog.text


def test_a_resumed_run_keeps_its_recipe_but_may_change_where_it_runs(config, tmp_path):
    stopped = run(config, tmp_path / "run", before_step=send(signal.SIGINT, 1))
    with pytest.raises(OptionError, match=r"lr: 0\.1; expected 1\.0, the value of the resumed run"):
        run(config.changed(lr=0.1), tmp_path / "run", resume=stopped.last)
    run(config.changed(workers=2, log_interval=3), tmp_path / "run", resume=stopped.last)


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


def test_weights_that_follow_need_no_pretrained_backbone(config, tmp_path):
    """A new run opens the engine with it; a resumed one, one from weights, and a replay do not."""
    opened = []

    def opener(config):
        opened.append(config.network.pretrained_base)
        return NumpyEngine(config)

    config = config.changed(pretrained_base="owner/name", epochs=1)
    first = train(config, tmp_path / "run", open_engine=opener)
    train(config, tmp_path / "run", resume=first.last, open_engine=opener)
    second = train(config, tmp_path / "new", weights=first.last, open_engine=opener)
    assert opened == ["owner/name", None, None]
    assert checkpoint.read(second.last).config.network.pretrained_base == "owner/name", "as given"
    origins = [checkpoint.read(one.last).provenance[-1] for one in (first, second)]
    assert origins[0].backbone is not None and origins[1].backbone is None


def test_a_new_run_may_begin_with_the_best_weights_of_a_runs_folder(config, whole, tmp_path):
    best = checkpoint.best(whole[0].folder)
    runs = [
        run(config.changed(epochs=1), tmp_path / f"{k}", weights=w)
        for k, w in enumerate((best.weights, whole[0].folder))
    ]
    assert curve(tmp_path / "0") == curve(tmp_path / "1")
    assert len({str(checkpoint.read(one.last).provenance) for one in runs}) == 1
