"""Non-finite steps in a run: skipped, logged, saved for replay; too many in a row end the run."""

import json
import math
import os
import re
import signal

import numpy as np
import pytest
from numpy_engine import NumpyEngine
from training import run, small_config, weights, write_rec

from mhpdata.errors import CheckpointError, NonFiniteError
from mhpmodels.files import checkpoint
from mhpmodels.training.bundle import replay
from mhpmodels.training.tables import read_epochs, read_steps
from mhpmodels.training.train import train

NAN = math.nan


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("train"))


@pytest.fixture
def config(rec):
    return small_config(rec)


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
    assert "mhp train --replay" in str(caught.value)
    last = checkpoint.read(tmp_path / "run")
    assert (last.position.step, last.position.in_a_row) == (8, 3)
    assert np.isfinite(weights(last.weights)).all()
    run(config, tmp_path / "new", weights=last.weights)


def test_skips_that_are_not_in_a_row_do_not_end_it_and_few_bundles_are_kept(config, tmp_path):
    outcome = run(config, tmp_path / "run", before_step=lambda count, _: NAN if count % 3 else None)
    assert read_epochs(outcome.folder)[-1].skipped == 8
    assert len(list((outcome.folder / "bundles").iterdir())) == 5


def test_a_run_that_applied_no_step_is_an_error(config, tmp_path):
    with pytest.raises(NonFiniteError, match=r"run: all 4 steps of the run .* nothing was learned.*--lr"):
        run(config.changed(epochs=1, max_skips=100), tmp_path / "run", before_step=lambda *_: NAN)
    assert len(read_steps(tmp_path / "run")) == 4


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

    outcome = run(config.changed(epochs=1), tmp_path / "run", before_step=spoil)
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


def test_the_bundle_of_several_ranks_or_gpus_is_replayed_by_one_process(config, tmp_path):
    run(config.changed(engine="torch", epochs=1), tmp_path / "run", before_step=lambda n, _: NAN if n == 0 else None)
    (path,) = (tmp_path / "run" / "bundles").iterdir()
    content = json.loads((path / "bundle.json").read_text())
    content["config"]["machine"] |= {"ngpus": 2, "contexts": 2}
    (path / "bundle.json").write_text(json.dumps(content))
    configs = []

    def open_one(config):
        configs.append(config)
        return NumpyEngine(config)

    for on_cpu in (False, True):
        assert "The run's figures cover 2 processes" in replay(path, open_one, on_cpu).text()
    assert [(c.machine.ngpus, c.machine.contexts) for c in configs] == [(1, 1), (0, 1)]


@pytest.mark.parametrize("damage", ["missing", "json", "batch"])
def test_a_damaged_bundle_is_refused(config, tmp_path, damage):
    outcome = run(config.changed(epochs=1), tmp_path / "run", before_step=lambda n, _: NAN if n == 0 else None)
    (path,) = (outcome.folder / "bundles").iterdir()
    if damage == "missing":
        path = path / "none"
    elif damage == "json":
        content = json.loads((path / "bundle.json").read_text())
        (path / "bundle.json").write_text(json.dumps({**content, "names": content["names"][:1]}))
    else:
        data = (path / "batch.npz").read_bytes()
        (path / "batch.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="not a complete bundle"):
        replay(path, NumpyEngine)
