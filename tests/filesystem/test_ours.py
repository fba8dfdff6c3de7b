"""Foreign files in an output folder are never deleted or written through, and always named."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoints import CONFIG, LOADER, ended, save
from numpy_engine import NumpyEngine
from predictors import SMALL, around

import mhpdata
from mhpdata.errors import OutputError
from mhpdata.filesystem.atomic import part_of, write_atomically
from mhpdata.labels import MHP_V1
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.engines.engine import Step
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.output import write_file
from mhpmodels.prediction.convert import convert
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_photos
from mhpmodels.training.bundle import Moment, save_bundle
from mhpmodels.training.runlog import RunLog

OPTIONS = {"size": 64, "workers": 1}
NAMED = r"(was not written by mhp|is a link to .*thesis).*Move \S+ elsewhere"


@pytest.fixture
def thesis(tmp_path):
    """Make a folder of foreign files, which must not change."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    (folder / "train-00001.rec").write_text("a record of them")
    before = content(folder)
    yield folder
    assert content(folder) == before


def content(folder):
    return {
        path.relative_to(folder): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def pack_refuses(source, out, match=NAMED, **options):
    """Assert that packing, with and without overwrite, fails and changes nothing."""
    before = content(out)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=match):
            mhpdata.pack(source, out, overwrite=overwrite, **{**OPTIONS, **options})
        assert content(out) == before


def copied(small, tmp_path):
    return shutil.copytree(small, tmp_path / "rec")


def unfinished(small, tmp_path):
    """Make a pack that was killed before it wrote its manifest."""
    out = copied(small, tmp_path)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").unlink()
    (out / "build.json").unlink()
    (out / ".packing").mkdir()
    options = {"layout": manifest["layout"], "version": manifest["version"], **manifest["options"]}
    (out / ".packing/options.json").write_text(json.dumps(options))
    return out


def test_packing_is_a_link(source, tmp_path, thesis):
    out = tmp_path / "rec"
    out.mkdir()
    (out / ".packing").symlink_to(thesis)
    pack_refuses(source, out)


def test_packing_holds_something_else(source, tmp_path, thesis):
    out = tmp_path / "rec"
    shutil.copytree(thesis, out / ".packing")
    pack_refuses(source, out, match=r"\.packing/chapter\.tex: was not written by mhp")
    (out / ".packing/chapter.tex").unlink()
    pack_refuses(source, out, match=r"\.packing/train-00001\.rec: was not written by mhp")
    (out / ".packing/train-00001.rec").unlink()
    mhpdata.pack(source, out, **OPTIONS)
    assert not (out / ".packing").exists()


@pytest.mark.parametrize("name", ["train-00000.json", "train-00001.rec", "options.json", ".options.json.part", "a.txt"])
def test_a_link_or_a_foreign_file_in_packing(source, small, tmp_path, thesis, name):
    out = unfinished(small, tmp_path)
    path = out / ".packing" / name
    path.unlink(missing_ok=True)
    path.symlink_to(thesis / "chapter.tex")
    pack_refuses(source, out)
    if name in ("options.json", ".options.json.part", "a.txt"):
        path.unlink()
        path.write_text("mine")
        pack_refuses(source, out)


def test_a_hard_link_in_packing_is_not_written_through(source, small, tmp_path, thesis):
    out = unfinished(small, tmp_path)
    for name in ("train-00000.rec", "train-00000.idx", "train-00000.part"):
        os.link(thesis / "chapter.tex", out / ".packing" / name)
    mhpdata.pack(source, out, **OPTIONS)


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("name", [".manifest.json.part", ".build.json.part", "build.json", "test-00000.rec"])
def test_a_link_beside_the_shards_of_an_unfinished_pack(source, small, tmp_path, thesis, name, make):
    out = unfinished(small, tmp_path)
    (out / name).unlink(missing_ok=True)
    make(out / name, thesis / "chapter.tex")
    pack_refuses(source, out)
    pack_refuses(source, out, match=r"options|not written|is a link", size=32)


@pytest.mark.parametrize("name", ["manifest.json", "build.json", "val-00007.rec", "val-00007.idx", "val-00007.h5"])
def test_overwrite_replaces_no_file_of_somebody_else(source, small, tmp_path, name):
    """A manifest of a web page, weights under a shard's name and records of another program are foreign files."""
    out = copied(small, tmp_path)
    foreign = {"manifest.json": b'{"name": "a web page"}', ".h5": b"\x89HDF\r\n\x1a\n weights", ".idx": b"0 1\n"}
    foreign[".rec"] = b"\x0a\x23\xd7\xce\x04\0\0\0abcd"
    (out / name).write_bytes(foreign.get(name) or foreign.get(Path(name).suffix) or b"{}")
    before = content(out)
    with pytest.raises(OutputError, match=rf"{name}: was not written by mhp"):
        mhpdata.pack(source, out, overwrite=True, **OPTIONS)
    assert content(out) == before


@pytest.mark.parametrize("text", ['{"name": "my web page"}', "not even JSON"])
def test_a_manifest_of_somebody_else_is_in_the_way(source, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text(text)
    pack_refuses(source, tmp_path / "out")


def test_a_dataset_whose_manifest_is_a_link_is_not_read(source, small, tmp_path):
    out = copied(small, tmp_path)
    (out / "manifest.json").rename(tmp_path / "thesis.json")
    (out / "manifest.json").symlink_to("../thesis.json")
    pack_refuses(source, out)


def test_a_damaged_dataset_is_replaced(source, small, tmp_path):
    """The remedy for a damaged shard is to pack again with --overwrite."""
    out = copied(small, tmp_path)
    (out / "train-00000.rec").write_bytes(b"")
    (out / "val-00000.idx").write_bytes(bytes(9))
    mhpdata.pack(source, out, overwrite=True, **OPTIONS)
    assert content(out).keys() == content(small).keys() and len(mhpdata.open(out, "train")) == 5


def test_packing_that_is_a_link_beside_a_finished_dataset(source, small, tmp_path, thesis):
    out = copied(small, tmp_path)
    (out / ".packing").symlink_to(thesis)
    mhpdata.pack(source, out, **OPTIONS)  # which is finished
    assert (out / ".packing").is_symlink()


def test_the_output_folder_itself_may_be_a_link(source, tmp_path):
    (tmp_path / "bigdisk").mkdir()
    (tmp_path / "rec").symlink_to(tmp_path / "bigdisk")
    mhpdata.pack(source, tmp_path / "rec", **OPTIONS)
    assert (tmp_path / "bigdisk/manifest.json").exists()


def test_a_part_that_is_a_link_is_not_written_through(tmp_path, thesis, monkeypatch):
    (tmp_path / ".x.json.part").symlink_to(thesis / "chapter.tex")
    with pytest.raises(OutputError, match=NAMED):
        write_atomically(tmp_path / "x.json", "{}")
    part = part_of(tmp_path / "x.png", shared=True)
    part.symlink_to(thesis / "chapter.tex")
    monkeypatch.setattr("mhpdata.filesystem.atomic.part_of", lambda path, shared: part)
    with pytest.raises(OutputError, match=NAMED):
        write_file(tmp_path / "x.png", b"", overwrite=False)


# --- runs


def stays(call, *paths):
    """Assert that the call fails with an error that names the file, and that these paths keep their bytes."""
    before = [path.readlink() if path.is_symlink() else path.read_bytes() for path in paths]
    with pytest.raises(OutputError, match=NAMED):
        call()
    assert [path.readlink() if path.is_symlink() else path.read_bytes() for path in paths] == before


@pytest.mark.parametrize("suffix", ["params", "state", "json"])
def test_a_foreign_file_under_a_checkpoint_s_name(tmp_path, suffix):
    engine, path = NumpyEngine(CONFIG), tmp_path / f"epoch_0001.{suffix}"
    path.write_text("notes on the epoch")
    checkpoint_writer.prune(tmp_path)
    stays(lambda: save(tmp_path, engine, 1), path)
    save(tmp_path, engine, 2)
    checkpoint_writer.prune(tmp_path)
    assert path.read_text() == "notes on the epoch"


def test_links_under_the_names_of_checkpoints(tmp_path, thesis):
    engine, chapter = NumpyEngine(CONFIG), thesis / "chapter.tex"
    for name in (".epoch_0001.params.part", "epoch_0002.state", "epoch_0003.json"):
        (tmp_path / name).symlink_to(chapter)
    checkpoint_writer.prune(tmp_path)
    for epoch in (1, 2, 3):
        stays(lambda epoch=epoch: save(tmp_path, engine, epoch))
    kept = save(tmp_path, engine, 4)
    archive = tmp_path / "archive.params"
    kept.rename(archive)
    kept.symlink_to(archive)
    save(tmp_path, engine, 5)
    checkpoint_writer.prune(tmp_path)
    assert kept.is_symlink() and archive.exists()


@pytest.mark.parametrize("name", [".{}.part", ".part-{}"])
def test_a_half_written_part_goes_and_a_foreign_one_stays(tmp_path, name):
    """This covers leftovers of this mhp and of 0.1."""
    save(tmp_path, NumpyEngine(CONFIG), 1)
    half, foreign = (tmp_path / name.format(f"epoch_000{k}.params") for k in (2, 3))
    half.write_bytes((0x112).to_bytes(8, "little") + bytes(8))
    foreign.write_text("mine")
    checkpoint_writer.prune(tmp_path)
    assert not half.exists() and foreign.exists()


@pytest.mark.parametrize("name", ["train.log", "steps.csv", "epochs.csv", "tensorboard"])
def test_a_log_that_is_a_link(tmp_path, thesis, name):
    run = tmp_path / "run"
    run.mkdir()
    (run / name).symlink_to(thesis / "chapter.tex")
    stays(lambda: RunLog(run, ("background",), quiet=True), run / name)


def moment():
    images = np.zeros((1, 3, 8, 8), np.float32)
    return Moment(1, 2, 0.1, 0, images, np.zeros((1, 8, 8), np.uint8), np.zeros(1, np.int64), ("0001",))


def test_a_bundle_replaces_a_bundle_only(tmp_path, thesis):
    engine, bundles, step = NumpyEngine(CONFIG), tmp_path / "bundles", Step(np.nan, 1.0, applied=False)
    path = bundles / moment().stem
    for _ in range(2):
        save_bundle(path, moment(), step, engine)
    whole = content(path)
    (path / "notes.txt").write_text("what I found")
    stays(lambda: save_bundle(path, moment(), step, engine), path / "notes.txt")
    assert content(path).items() >= whole.items()
    shutil.rmtree(path)
    shutil.copytree(thesis, path)
    stays(lambda: save_bundle(path, moment(), step, engine), path / "chapter.tex")
    shutil.rmtree(path)
    for link in (path, bundles / f".{path.name}.part"):
        link.symlink_to(thesis)
        stays(lambda: save_bundle(path, moment(), step, engine), link)
        link.unlink()
    bundles.rmdir()
    bundles.symlink_to(thesis)
    stays(lambda: save_bundle(path, moment(), step, engine), bundles)


def test_a_run_is_saved_beside_what_is_somebody_else_s(tmp_path, thesis):
    shutil.copytree(thesis, tmp_path / "run")
    checkpoint_writer.save(tmp_path / "run", NumpyEngine(CONFIG), ended(1), LOADER)
    checkpoint_writer.prune(tmp_path / "run")
    assert content(tmp_path / "run").items() >= content(thesis).items()


# --- predictions, exports, synthetic datasets


@pytest.mark.parametrize("options", [{"overwrite": True}, {"keep": True}])
def test_a_prediction_in_the_place_of_a_photo_or_a_link(source, tmp_path, thesis, options):
    photo = tmp_path / "0001.png"
    photo.write_bytes((source / "images/0001.jpg").read_bytes())
    options = Options(size=32, threads=1, **options)
    stays(lambda: predict_photos(around(), [photo], tmp_path, MHP_V1, options), photo)
    import cv2

    cv2.imwrite(str(photo), cv2.imread(str(photo)))
    stays(lambda: predict_photos(around(), [photo], tmp_path, MHP_V1, options), photo)
    out = tmp_path / "out"
    out.mkdir()
    (out / "0001.png").symlink_to(thesis / "chapter.tex")
    stays(lambda: predict_photos(around(), [photo], out, MHP_V1, options), out / "0001.png")


def test_pictures_that_lead_elsewhere(source, tmp_path, thesis):
    out = tmp_path / "out"
    out.mkdir()
    (out / "pictures").symlink_to(thesis)
    options = Options(size=32, threads=1, overlay=True)
    stays(lambda: predict_photos(around(), [source / "images/0001.jpg"], out, MHP_V1, options), out / "pictures")
    predict_photos(around(), [source / "images/0001.jpg"], out, MHP_V1, SMALL)


def test_an_export_over_something_else(tmp_path, thesis):
    for name in ("x.pt", "x.params"):
        (tmp_path / name).symlink_to(thesis / "chapter.tex")
        stays(lambda name=name: convert("nowhere.params", tmp_path / name, overwrite=True), tmp_path / name)
        (tmp_path / name).unlink()
        (tmp_path / name).write_text("mine")
        stays(lambda name=name: convert("nowhere.params", tmp_path / name, overwrite=True), tmp_path / name)
    (tmp_path / ".y.pt.part").symlink_to(thesis / "chapter.tex")
    stays(lambda: convert("nowhere.params", tmp_path / "y.pt"), tmp_path / ".y.pt.part")


@pytest.mark.parametrize("name", [".new.part", "new.partial"])
def test_a_partial_dataset_with_something_else_in_it(tmp_path, thesis, name):
    """This covers leftovers of this mhp and of 0.1."""
    out, partial = tmp_path / "new", tmp_path / name
    (partial / "images").mkdir(parents=True)
    (partial / ".mhp-synth").touch()
    (partial / "images/0001.jpg").write_bytes(b"half")
    (partial / "images/holiday.jpg").write_bytes(b"mine")
    stays(
        lambda: synthesize(out, 4, workers=1, scale=0.05), partial / "images/holiday.jpg", partial / "images/0001.jpg"
    )
    (partial / "images/holiday.jpg").unlink()
    (partial / "annotations").symlink_to(thesis)
    stays(lambda: synthesize(out, 4, workers=1, scale=0.05), partial / "images/0001.jpg")
    (partial / "annotations").unlink()
    assert synthesize(out, 4, workers=1, scale=0.05).folder == out and not partial.exists()
