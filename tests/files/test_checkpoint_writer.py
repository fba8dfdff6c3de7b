"""Writing checkpoints: complete or not at all; removal of earlier ones."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from checkpoints import CONFIG, LOADER, save
from numpy_engine import NumpyEngine
from places import SUPPORT

from mhpdata.errors import OutputError
from mhpmodels.files import checkpoint, checkpoint_writer
from mhpmodels.files.checkpoint import Position


@pytest.fixture
def engine():
    return NumpyEngine(CONFIG)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_has_the_name_of_old_and_all_that_a_run_needs(tmp_path, engine):
    path = save(tmp_path, engine, 105, 0.39744)
    assert names(tmp_path) == [f"epoch_0105_mIoU_0.3974.{suffix}" for suffix in ("json", "params", "state")]
    found = checkpoint.read(path)
    assert (found.config, found.loader, found.miou) == (CONFIG, LOADER, 0.39744)
    other = NumpyEngine(CONFIG.changed(seed=1))
    checkpoint.restore(found, other)
    np.testing.assert_array_equal(other.weights, engine.weights)


def test_only_checkpoints_are_removed_and_what_was_never_finished(tmp_path, engine):
    for epoch, miou in enumerate((0.1, 0.4, 0.2, 0.1, 0.3)):
        save(tmp_path, engine, epoch, miou)
    checkpoint_writer.save(tmp_path, engine, Position(2, 5, 25), LOADER)
    mine = ["notes.json", "epoch.params", "old_epoch_0001.params", "train.log"]
    unfinished = [".part-epoch_0009.params", "epoch_0009.state", "epoch_0009_iteration_0002.json"]
    for name in mine + unfinished:
        (tmp_path / name).write_text("")
    checkpoint_writer.prune(tmp_path, every=3)
    kept = ("epoch_0001_mIoU_0.4000", "epoch_0002_mIoU_0.2000", "epoch_0004_mIoU_0.3000")
    assert names(tmp_path) == sorted([f"{stem}.{s}" for stem in kept for s in ("json", "params", "state")] + mine)


def test_one_that_is_there_and_whole_is_not_written_again(tmp_path, engine):
    path = save(tmp_path, engine, 0, 0.1)
    before = path.stat().st_mtime_ns
    assert save(tmp_path, engine, 0, 0.1).stat().st_mtime_ns == before
    path.write_bytes(b"")
    save(tmp_path, engine, 0, 0.1)
    checkpoint.verify(checkpoint.read(path))


@pytest.mark.parametrize("call", [0, 1])
def test_one_that_was_killed_in_the_making_is_not_there(tmp_path, call):
    code = f"""
from pathlib import Path
from checkpoints import CONFIG, LOADER, ended, save
from numpy_engine import NumpyEngine, kill_at
from checkpoints import CONFIG, save
save(Path({str(tmp_path)!r}), NumpyEngine(CONFIG), 0, 0.5)
save(Path({str(tmp_path)!r}), NumpyEngine(CONFIG, before_save=kill_at({call})), 1, 0.6)
"""
    child = subprocess.run([sys.executable, "-c", code], cwd=SUPPORT, capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert [c.position.epoch for c in checkpoint.listing(tmp_path)] == [1]


def test_a_full_disk_leaves_the_one_before(tmp_path, engine):
    def full(count, path):
        raise OSError(28, "No space left on device")

    save(tmp_path, engine, 0, 0.5)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left"):
        save(tmp_path, NumpyEngine(CONFIG, before_save=full), 1, 0.6)
    assert [c.position.epoch for c in checkpoint.listing(tmp_path)] == [1]


def test_where_nothing_can_be_synced_a_checkpoint_is_read_and_none_is_saved(tmp_path, engine, monkeypatch):
    def refuse(descriptor):
        raise OSError(22, "Invalid argument")  # as on squashfs

    path = save(tmp_path, engine, 0, 0.5)
    monkeypatch.setattr("os.fsync", refuse)
    checkpoint.restore(checkpoint.read(path), engine)
    with pytest.raises(OutputError, match="Invalid argument"):
        save(tmp_path, engine, 1, 0.5)
    assert [c.position.epoch for c in checkpoint.listing(tmp_path)] == [1]


def test_a_checkpoint_in_a_folder_that_takes_no_files(tmp_path, engine):
    with pytest.raises(OutputError):
        save(tmp_path / "none", engine, 0)
    assert not list(tmp_path.iterdir())
