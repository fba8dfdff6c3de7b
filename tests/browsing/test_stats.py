"""mhp stats: its counts are those of the manifest and of the samples; table, JSON and charts."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from boxes import write_folder, write_packed
from click.testing import CliRunner

import mhpdata
import mhptools.stats
from mhpdata.errors import OptionError, OutputError
from mhpmodels.browsing.stats import measure, quantiles
from mhpmodels.browsing.stats_chart import save_stats

needs_viz = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("stats"))


def test_counts_are_those_of_the_manifest(rec):
    found = measure(rec)
    assert list(found.splits) == ["train", "val", "test"]
    for name, split in found.splits.items():
        told = mhpdata.open(rec, name).manifest.splits[name].statistics
        assert (split.images, split.persons, split.gray) == (told.images, told.persons, told.gray)
        assert (split.overlapping_images, split.contested) == (told.contested_images, told.contested)
        assert (split.conflicting, split.unlabelled_persons) == (told.conflicting, told.unlabelled_persons)
        assert split.class_pixels[:19].tolist() == told.class_pixels
        assert split.class_images[:19].tolist() == told.class_images


def test_json_has_every_count_and_does_not_depend_on_threads(rec):
    found = measure(rec, workers=1).as_dict()
    assert found == measure(rec, workers=3).as_dict() == json.loads(json.dumps(found))
    train = found["splits"]["train"]
    assert train["persons_per_image"] == {"1": 1, "2": 2}
    assert (train["image_height"]["min"], train["image_height"]["max"]) == (40, 60)
    assert train["overlap"]["images"] == 2 and train["gray_images"] == 1
    assert train["classes"]["hat"] == {"pixels": 20 * 30, "images": 1}
    assert train["person_height"] == dict.fromkeys(("min", "p5"), 20) | dict.fromkeys(
        ("p25", "median", "p75", "p95", "max"), 30
    )
    assert list(measure(rec, ["val"]).splits) == ["val"]


def test_copies_are_counted_within_the_chosen_splits(tmp_path):
    source = write_folder(tmp_path / "MHP")
    for copy in ("0003", "0005"):  # of train, and of test: 0001 has the same size
        (source / f"images/{copy}.jpg").write_bytes((source / "images/0001.jpg").read_bytes())
        for mask in (source / "annotations").glob(f"{copy}_*.png"):
            mask.unlink()
        for mask in (source / "annotations").glob("0001_*.png"):
            (source / f"annotations/{copy}{mask.name[4:]}").write_bytes(mask.read_bytes())
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1)
    shared = {"train and val": 0, "train and test": 1, "val and test": 0}
    assert measure(tmp_path / "rec").duplicates == {"groups": 1, "images": 3, "within_a_split": 1, "between": shared}
    assert measure(tmp_path / "rec", ["test"]).duplicates == {
        "groups": 0, "images": 0, "within_a_split": 0, "between": {},
    }  # fmt: skip
    assert "1 group of byte-identical images, 1 shared by train and test" in measure(tmp_path / "rec").text()


def test_quantiles_are_values_that_occur():
    from array import array

    assert quantiles(array("q")) == {}
    assert list(quantiles(array("q", [7])).values()) == [7] * 7
    assert list(quantiles(array("q", range(1, 101))).values()) == [1, 5, 25, 50, 75, 95, 100]


def test_splits_without_labels_or_images_are_counted(tmp_path):
    source = write_folder(tmp_path / "MHP")
    (source / "test_list.txt").write_text("")
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1, allow_empty=True)
    found = measure(tmp_path / "rec")
    assert found.as_dict()["splits"]["test"]["image_height"] == {} and "-" in found.text()
    if find_spec("matplotlib") is not None:
        save_stats(found, tmp_path / "stats.png")


@needs_viz
def test_chart(rec, tmp_path):
    found = measure(rec)
    save_stats(found, tmp_path / "stats.png")
    drawn = cv2.imread(str(tmp_path / "stats.png"))
    assert drawn.shape == (900, 1600, 3) and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100
    with pytest.raises(OutputError, match="already exists"):
        save_stats(found, tmp_path / "stats.png")
    before = (tmp_path / "stats.png").read_bytes()
    save_stats(found, tmp_path / "stats.png", overwrite=True)
    assert (tmp_path / "stats.png").read_bytes() == before


@needs_viz
def test_the_chart_of_an_empty_pack_warns_of_nothing(tmp_path):
    source = write_folder(tmp_path / "MHP")
    for name in ("train", "test"):
        (source / f"{name}_list.txt").write_text("")
    mhpdata.pack(source, tmp_path / "rec", size=0, workers=1, allow_empty=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_stats(measure(tmp_path / "rec"), tmp_path / "stats.png")
    assert cv2.imread(str(tmp_path / "stats.png")).shape == (900, 1600, 3)


def test_a_missing_split_is_an_error(rec):
    with pytest.raises(OptionError, match="has no split 'trian'"):
        measure(rec, ["trian"])


@needs_viz
def test_command(rec, tmp_path):
    out = tmp_path / "stats.png"
    done = CliRunner().invoke(mhptools.stats.main, [str(rec), "--out", str(out)])
    assert done.exit_code == 0 and "images with" in done.stdout and out.is_file()
    done = CliRunner().invoke(mhptools.stats.main, ["--data", str(rec), "--json", "--split", "val"])
    assert json.loads(done.stdout) == measure(str(rec), ["val"]).as_dict()
    for wrong in ([], [str(rec), "--data", str(rec)], [str(rec), "--split", "x"], [str(rec), "--out", "a.jpg"]):
        assert CliRunner().invoke(mhptools.stats.main, wrong).exit_code == 2, wrong
    assert CliRunner().invoke(mhptools.stats.main, [str(rec), "--out", str(out)]).exit_code == 3
