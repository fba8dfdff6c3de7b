"""FIFOs and devices, which block or never end, are rejected wherever mhp opens files of others."""

from __future__ import annotations

import os
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
from allocation import at_most
from numpy_engine import NumpyEngine

import mhpdata
from mhpdata.errors import (
    CheckpointError,
    ManifestError,
    MhpError,
    OptionError,
    PredictionError,
    ShardError,
    UnreadableError,
)
from mhpdata.filesystem.regular import open_regular, read_regular
from mhpdata.remap import read_remap
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.shards import formats
from mhpdata.storage.shards.formats import SUFFIXES
from mhpmodels.config import TrainConfig
from mhpmodels.files import checkpoint, checkpoint_writer
from mhpmodels.files.checkpoint import Position
from mhpmodels.files.params import read_params
from mhpmodels.prediction.trained import open_trained
from mhpmodels.scoring.submission import Submission
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EPOCHS, STEPS, read_epochs, read_steps


def fifo(path):
    os.mkfifo(path)


def link_to_a_fifo(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def endless_device(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


STRANGE = [fifo, link_to_a_fifo, endless_device, folder, unix_socket]


def in_place_of(path, make):
    path.unlink(missing_ok=True)
    make(path)


@pytest.mark.parametrize("make", STRANGE)
def test_what_is_no_file_is_an_os_error_and_no_descriptor_stays_open(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "odd")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError) as caught:
            open_regular(tmp_path / "odd")
        assert caught.value.strerror
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_is_read_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(path, 7) == read_regular(tmp_path / "link", 100) == b"content"
    with at_most(100_000):
        assert read_regular(path, 1 << 40) == b"content"
    assert read_regular("/proc/self/status", 1 << 20).startswith(b"Name:"), "its size is 0, and then it grows"
    with pytest.raises(OSError, match="larger than 6 bytes"):
        read_regular("/proc/self/status", 6)
    with pytest.raises(OSError, match="larger than 6 bytes"):
        read_regular(path, 6)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing", 6)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than 1000 bytes"):
        read_regular(path, 1000)


@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize("format", SUFFIXES)
def test_a_packed_folder(format, make, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rec = tmp_path / "rec"
    mhpdata.pack(source, rec, size=0, format=format, workers=1)
    for suffix in SUFFIXES[format]:
        path = rec / f"test-00000{suffix}"
        path.rename(path.with_suffix(".kept"))
        make(path)
        with pytest.raises(ShardError, match=suffix) as caught:
            mhpdata.open(rec, "test")
        assert caught.value.remedy
        path.rmdir() if path.is_dir() else path.unlink()
        path.with_suffix(".kept").rename(path)
        (rec / "pipe").unlink(missing_ok=True)
    in_place_of(rec / "manifest.json", make)
    with pytest.raises(ManifestError, match=r"manifest\.json: cannot be read"):
        read_manifest(rec)


@pytest.mark.parametrize("make", STRANGE)
def test_predictions(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "0001.png")
    with pytest.raises(PredictionError, match="1 of 1 images has no PNG"):
        Submission(tmp_path, ["0001"], 19)
    (tmp_path / "masks").mkdir()
    (tmp_path / "results.txt").write_text("0001 1 0.5\n")
    (tmp_path / "0001.png").rename(tmp_path / "masks" / "0001_1.png")
    submission = Submission(tmp_path, ["0001"], 19)
    with pytest.raises(PredictionError, match=r"0001_1\.png: (missing|cannot be read)"):
        submission.persons("0001", (4, 4))
    (tmp_path / "results.txt").unlink()
    make(tmp_path / "results.txt") if make is not link_to_a_fifo else (tmp_path / "results.txt").symlink_to("pipe")
    with pytest.raises(PredictionError, match=r"results\.txt: cannot be read"):
        Submission(tmp_path, ["0001"], 19)


@pytest.mark.parametrize("make", STRANGE)
def test_weights_and_tables_of_labels(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for reader, name, kind in (
        (read_params, "x.params", CheckpointError),
        (lambda path: open_trained(path, {"engine": "torch", "backbone": "resnet18"}), "x.pt", CheckpointError),
        (lambda path: open_trained(path, {}), "x.onnx", CheckpointError),
        (read_remap, "own.json", OptionError),
    ):
        if name == "x.pt" and (find_spec("torch") is None or make is folder):  # a folder is that of a run
            continue
        if name == "x.onnx" and find_spec("onnxruntime") is None:
            continue
        make(tmp_path / name)
        with pytest.raises(kind, match=rf"{name}: cannot be read \((not a regular file|No such device.*)\)") as caught:
            reader(tmp_path / name)
        assert caught.value.remedy
        (tmp_path / "pipe").unlink(missing_ok=True)


@pytest.mark.parametrize("make", STRANGE)
def test_a_run_s_folder(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = checkpoint_writer.save(tmp_path, NumpyEngine(TrainConfig.of(classes=5)), Position(1, 0, 10), {})
    found = checkpoint.read(weights)
    with RunLog(tmp_path, ("background",), quiet=True):
        pass
    for path, reader in (
        (weights, lambda: checkpoint.verify(found)),
        (weights.with_suffix(".json"), lambda: checkpoint.read(weights)),
        (tmp_path / STEPS, lambda: read_steps(tmp_path)),
        (tmp_path / EPOCHS, lambda: read_epochs(tmp_path)),
        (tmp_path / EPOCHS, lambda: RunLog(tmp_path, ("background",))),
    ):
        kept = path.with_suffix(".kept")
        path.rename(kept)
        make(path)
        with pytest.raises(MhpError, match=rf"{path.name}: (cannot be read|is damaged|is a link to)") as caught:
            reader()
        assert caught.value.remedy
        path.rmdir() if path.is_dir() else path.unlink()
        kept.rename(path)
        (tmp_path / "pipe").unlink(missing_ok=True)


def test_a_photo_to_predict(tmp_path):
    from mhpmodels.prediction.inputs import read_file

    os.mkfifo(tmp_path / "photo.jpg")
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_file(tmp_path / "photo.jpg", 64)


def test_an_index_that_is_too_long_is_not_read(source, tmp_path):
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1)
    shutil.copytree(tmp_path / "rec", tmp_path / "long")
    with (tmp_path / "long" / "test-00000.idx").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ShardError, match="larger than"):
        formats.reader("recordio", tmp_path / "long" / "test-00000", 2)
    with pytest.raises(ShardError, match=r"has 1099511627776 bytes; expected \d+, as the manifest says"):
        mhpdata.open(tmp_path / "long", "test")
