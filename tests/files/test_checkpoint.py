"""Reading checkpoints: the last, the best, damaged ones."""

import json

import pytest
from checkpoints import CONFIG, LOADER, save
from numpy_engine import NumpyEngine

from mhpdata.errors import CheckpointError
from mhpmodels.files import checkpoint, checkpoint_writer
from mhpmodels.files.checkpoint import Position
from mhpmodels.mean import Mean


@pytest.fixture
def engine():
    return NumpyEngine(CONFIG)


def test_a_position_survives_with_all_its_digits(tmp_path, engine):
    position = Position(10, 113, 1993, Mean(0.1 + 0.2, 113), skipped=4, in_a_row=2)
    path = checkpoint_writer.save(tmp_path, engine, position, LOADER)
    assert path.name == "epoch_0010_iteration_0113.params"
    assert checkpoint.read(path).position == position


def test_the_last_one_of_a_folder_is_read(tmp_path, engine):
    with pytest.raises(CheckpointError, match="has no complete checkpoint"):
        checkpoint.read(tmp_path)
    for epoch in (9, 10, 11):
        last = save(tmp_path, engine, epoch, 0.5 - epoch / 100)
    assert checkpoint.read(tmp_path).weights == last
    middle = checkpoint_writer.save(tmp_path, engine, Position(12, 3, 123), LOADER)
    assert checkpoint.read(tmp_path).weights == middle
    assert checkpoint.best(tmp_path).position.epoch == 10


def test_of_equal_scores_the_earliest_is_the_best(tmp_path, engine):
    for epoch, miou in enumerate((0.2, 0.4, 0.4)):
        save(tmp_path, engine, epoch, miou)
    assert checkpoint.best(tmp_path).weights.name == "epoch_0001_mIoU_0.4000.params"
    for path in tmp_path.glob("*mIoU*"):
        path.unlink()
    save(tmp_path, engine, 5)
    assert checkpoint.best(tmp_path) is None


@pytest.mark.parametrize("suffix", [".params", ".state"])
def test_other_bytes_are_found(tmp_path, engine, suffix):
    path = save(tmp_path, engine, 0, 0.5)
    damaged = path.with_suffix(suffix)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match="other bytes"):
        checkpoint.verify(checkpoint.read(path))
    damaged.write_bytes(b"")
    with pytest.raises(CheckpointError, match="0 bytes"):
        checkpoint.verify(checkpoint.read(path))
    damaged.unlink()
    with pytest.raises(CheckpointError):
        checkpoint.verify(checkpoint.read(path))


def test_bare_weights_are_no_checkpoint(tmp_path, engine):
    path = tmp_path / "icnet_resnet50_mhpv1.params"
    engine.save(path)
    with pytest.raises(CheckpointError, match="--weights instead of --resume"):
        checkpoint.read(path)
    with pytest.raises(CheckpointError, match="missing"):
        checkpoint.read(tmp_path / "none.params")


@pytest.mark.parametrize(
    "key, value", [("version", 2), ("config", {"model": "x"}), ("position", {}), ("loader", 3), ("files", {"a": 1})]
)
def test_a_damaged_small_part_is_refused_and_left_out_of_listings(tmp_path, engine, key, value):
    path = save(tmp_path, engine, 0, 0.5)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), key: value}))
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.read(path)
    assert checkpoint.listing(tmp_path) == ()
    checkpoint_writer.prune(tmp_path)
    assert path.exists(), "what cannot be read is not removed"
