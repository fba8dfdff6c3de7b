"""The provenance in the checkpoints of a run, resumed or begun with weights."""

import json
import os
import signal
from dataclasses import replace

import pytest
from training import run, small_config, write_rec

from mhpdata import __version__
from mhpdata.storage.manifest import read_manifest
from mhpmodels.files import checkpoint
from mhpmodels.files.origins import measured
from mhpmodels.files.provenance import Origin, TrainingData
from mhpmodels.training.train import Restart

COMMAND = "mhp train --data rec/"


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("origin"))


def stop(count, _):
    """Interrupt the run after its second step."""
    if count == 1:
        os.kill(os.getpid(), signal.SIGINT)


def beside(path):
    """Return the JSON of a checkpoint."""
    return path.with_suffix(".json").read_text()


def test_an_interrupted_run_has_that_of_an_uninterrupted_one_and_other_data_are_added(rec, tmp_path):
    config, restart = small_config(rec).changed(epochs=2), Restart(command=COMMAND)
    manifest = read_manifest(rec)
    data = TrainingData(
        str(rec), "train", "mhp-v1", manifest.content_id, "non-commercial research only (https://lv-mhp.github.io)",
        manifest.citation,
    )  # fmt: skip
    first = Origin(__version__, COMMAND, 0, None, None, (data,))
    whole = run(config, tmp_path / "whole", restart=restart)
    assert checkpoint.read(whole.last).provenance == (first,)
    stopped = run(config, tmp_path / "run", restart=restart, before_step=stop)
    assert checkpoint.read(stopped.last).provenance == (first,)
    resume = {"resume": stopped.last, "restart": Restart(command="mhp train --resume run")}
    again = run(config, tmp_path / "run", **resume)
    assert beside(again.last) == beside(whole.last)

    manifest_file = rec / "manifest.json"
    text = manifest_file.read_text()
    other = {**json.loads(text), "licence": "mine"}
    try:
        manifest_file.write_text(json.dumps(other))
        begun = run(config, tmp_path / "new", weights=whole.last, restart=Restart(command=COMMAND))
        stopped = run(config, tmp_path / "other", restart=restart, before_step=stop)
        manifest_file.write_text(text)
        resume = {"resume": stopped.last, "restart": Restart(command="mhp train --resume other")}
        again = run(config, tmp_path / "other", **resume)
    finally:
        manifest_file.write_text(text)
    mine = replace(first, data=(replace(data, licence="mine"),))
    assert checkpoint.read(begun.last).provenance == (first, replace(mine, weights=measured(whole.last)))
    later = Origin(__version__, "mhp train --resume other", 2, None, None, (data,))
    assert checkpoint.read(again.last).provenance == (mine, later)
