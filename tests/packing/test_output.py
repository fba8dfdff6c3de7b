"""Existing output folders: a finished pack, an unfinished one, foreign files, a full disk."""

import os
import resource
import shutil
import subprocess
import sys

import pytest
from folder import tree

import mhpdata
from mhpdata.errors import ImageError, OutputError
from mhpdata.options import FORMATS
from mhpdata.packing import run
from mhpdata.source import scan as layouts
from mhpdata.synth.writing.folder import synthesize


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "MHP_v1"
    synthesize(folder, images=15, seed=3, scale=0.35)
    return folder


def test_the_same_command_again_does_nothing_and_another_is_refused(source, tmp_path):
    packed = tmp_path / "rec"
    mhpdata.pack(source, packed, size=256)
    before = {path: path.stat().st_mtime_ns for path in packed.iterdir()}
    mhpdata.pack(source, packed, size=256)
    assert {path: path.stat().st_mtime_ns for path in packed.iterdir()} == before
    with pytest.raises(
        OutputError,
        match=r"rec: packed with other options \(--size 256, now 128\)\. Pass the same options, another --out",
    ):
        mhpdata.pack(source, packed, size=128)


def test_what_becomes_of_a_split_that_was_not_chosen_does_not_matter(source, tmp_path):
    folder, out = shutil.copytree(source, tmp_path / "source"), tmp_path / "rec"
    image = folder / layouts.scan(folder).entries["test"][0].image.path
    image.rename(tmp_path / "away.jpg")
    manifest = mhpdata.pack(folder, out, size=64, splits=["val"])
    (tmp_path / "away.jpg").rename(image)
    assert mhpdata.pack(folder, out, size=64, splits=["val"]) == manifest


def test_a_dataset_that_lost_a_shard_is_not_taken_for_done(source, tmp_path):
    mhpdata.pack(source, tmp_path / "rec", size=64)
    (tmp_path / "rec/val-00000.rec").unlink()
    with pytest.raises(OutputError, match="--overwrite"):
        mhpdata.pack(source, tmp_path / "rec", size=64)


def test_overwrite_replaces_a_dataset_and_nothing_else(source, tmp_path):
    out = tmp_path / "rec"
    mhpdata.pack(source, out, size=256, shard_mb=1, format="hdf5")
    mhpdata.pack(source, out, size=64, overwrite=True)
    assert set(tree(out)) == {"manifest.json"} | {
        f"{s}-00000.{x}" for s in ("train", "val", "test") for x in ("rec", "idx")
    }
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        mhpdata.pack(source, out, size=32, overwrite=True)
    assert (out / "mine.txt").exists() and (out / "manifest.json").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_overwrite_keeps_the_old_dataset_until_the_new_one_is_complete(source, tmp_path, monkeypatch, format):
    folder, out = shutil.copytree(source, tmp_path / "source"), tmp_path / "rec"
    mhpdata.pack(folder, out, size=64, shard_mb=1)
    before, wanted = tree(out), {"size": 256, "shard_mb": 1, "format": format, "overwrite": True}
    mhpdata.pack(folder, tmp_path / "new", **{**wanted, "overwrite": False})
    name = layouts.scan(folder).entries["test"][-1].image.path
    image = (folder / name).read_bytes()
    (folder / name).write_bytes(image[:99])
    with pytest.raises(ImageError):
        mhpdata.pack(folder, out, **wanted)
    assert (out / ".packing/train-00000.json").exists(), "the new shards wait"
    for _ in range(2):  # the old dataset is whole
        assert {name: data for name, data in tree(out).items() if not name.startswith(".packing")} == before
        assert mhpdata.verify_packed(out).findings == []
        with pytest.raises(OutputError, match="packed with other options"):
            mhpdata.pack(folder, out, **{**wanted, "overwrite": False}, on_error="skip")
    (folder / name).write_bytes(image)
    converted, convert = [], run.convert
    monkeypatch.setattr(run, "convert", lambda *given: converted.append(given) or convert(*given))
    mhpdata.pack(folder, out, **wanted)
    assert tree(out) == tree(tmp_path / "new") and 0 < len(converted) < 15, "the shards that waited are kept"


def test_the_old_command_ends_an_overwrite_that_failed(source, tmp_path):
    folder, out = shutil.copytree(source, tmp_path / "source"), tmp_path / "rec"
    mhpdata.pack(folder, out, size=64)
    before, name = tree(out), layouts.scan(folder).entries["test"][-1].image.path
    image = (folder / name).read_bytes()
    (folder / name).write_bytes(b"")
    with pytest.raises(ImageError):
        mhpdata.pack(folder, out, size=32, overwrite=True)
    (folder / name).write_bytes(image)
    assert not mhpdata.pack(folder, out, size=64).written
    assert tree(out) == before and not (out / ".packing").exists()


def test_a_folder_of_something_else_is_not_touched(source, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"thesis\.tex"):
            mhpdata.pack(source, tmp_path, size=64, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unfinished_pack_goes_on_only_with_its_own_options(source, tmp_path):
    folder, out = tmp_path / "broken", tmp_path / "rec"
    shutil.copytree(source, folder)
    (folder / "images/0015.jpg").write_bytes(b"")
    with pytest.raises(ImageError):
        mhpdata.pack(folder, out, size=64)
    with pytest.raises(OutputError, match=r"other options \(--size 64, now 32\)\. Pass --size 64 to resume it"):
        mhpdata.pack(folder, out, size=32, on_error="skip")
    mhpdata.pack(folder, out, size=32, on_error="skip", overwrite=True)
    assert mhpdata.open(out, "train")[0].image.shape[0] == 32 or mhpdata.open(out, "train")[0].image.shape[1] == 32


def test_two_packs_into_one_folder_at_once(source, tmp_path):
    from mhpdata.packing.output.local import Output

    with Output(tmp_path, ()), pytest.raises(OutputError, match="another mhp pack"):
        mhpdata.pack(source, tmp_path, size=64)


def test_output_that_cannot_be_written(source, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "rec"):
        with pytest.raises(OutputError, match=r"is a file, or inside a file; expected a folder.*another --out"):
            mhpdata.pack(source, out, size=64)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_output_that_may_not_be_written(source, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"cannot be written.*Permission denied.*give permission"):
            mhpdata.pack(source, tmp_path / "rec", size=64)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_output_is_one_error_and_the_same_command_goes_on(source, tmp_path, format):
    command = [sys.executable, "-m", "mhptools.pack", "--src", source, "--out", tmp_path / "rec", "--size", "256"]
    command += ["--format", format, "--shard-mb", "1"]

    def limit():
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (400_000, 400_000)
        )  # simulates a disk that is full at 400 kB per file

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("OutputError: ") and "run the same command again" in done.stderr
    assert not (tmp_path / "rec" / "manifest.json").exists()
    subprocess.run(command, capture_output=True, check=True)
    mhpdata.pack(source, tmp_path / "whole", size=256, format=format, shard_mb=1)
    assert tree(tmp_path / "rec") == tree(tmp_path / "whole")
