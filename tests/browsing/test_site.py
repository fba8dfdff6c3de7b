"""The site of mhp browse: its files, escaping, determinism, resuming; it never replaces or removes foreign files."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from boxes import write_folder, write_packed
from click.testing import CliRunner

import mhpdata
import mhptools.browse
from mhpdata.errors import OptionError, OutputError, PredictionError, RecordError
from mhpdata.labels import CIHP, MHP_V1
from mhpdata.masks.merge import merge
from mhpdata.storage.codec import decode_stored
from mhpdata.synth.writing.folder import synthesize
from mhpmodels.browsing import site as site_module
from mhpmodels.browsing.columns import samples_script, script
from mhpmodels.browsing.sample_work import SampleWork
from mhpmodels.browsing.site import choose_full, save_site
from mhpmodels.browsing.site_folder import SCRIPT_START
from mhpmodels.browsing.site_options import SiteOptions, parse_full, titles
from mhpmodels.browsing.stats import measure
from mhpmodels.files.png import encode_indexed
from mhpmodels.scoring.score import score

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'\u2028\u202e"


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pred(rec, tmp_path_factory):
    """Return predictions of the split test whose every pixel is a face."""
    out = tmp_path_factory.mktemp("pred")
    for sample in mhpdata.open(rec, "test"):
        (out / f"{sample.name}.png").write_bytes(encode_indexed(0 * sample.labels + 11, MHP_V1.palette))
    return out


@pytest.fixture(scope="module")
def other(rec, tmp_path_factory):
    """Return the same download, packed by another rule."""
    out = tmp_path_factory.mktemp("other") / "rec"
    mhpdata.pack(rec.parent / "LV-MHP-v1", out, size=64, overlap="last", workers=1)
    return out


def content(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def values(site: Path, name: str):
    """Return what a script assigns."""
    text = (site / f"data/{name}.js").read_text()
    return json.loads(re.fullmatch(rf"/\* mhp browse \*/\nmhp\.{name} = (.*);\n", text)[1])


def layers(site: Path, key: str):
    split, index = key.split("/")
    text = (site / f"full/{split}/000/{int(index):06}/layers.js").read_text()
    return json.loads(re.fullmatch(rf'/\* mhp browse \*/\nmhp\.layers\("{key}", (.*)\);\n', text)[1])


def test_the_site_has_every_sample_and_what_is_known_of_it(rec, tmp_path):
    done = save_site(rec, tmp_path / "site", SiteOptions(full="all"))
    assert (done.samples, done.full, done.index) == (5, 5, tmp_path / "site/index.html")
    about, columns = values(tmp_path / "site", "site"), values(tmp_path / "site", "samples")
    assert about["splits"] == ["train", "val", "test"] and about["name"] == "rec"
    assert [one["name"] for one in about["classes"]] == list(MHP_V1.names)
    records = [sample.record for split in about["splits"] for sample in mhpdata.open(rec, split)]
    assert columns["name"] == [record.name for record in records]
    assert columns["height"] == [record.source_size[0] for record in records]
    assert columns["persons"] == [len(record.masks) for record in records]
    assert columns["contested"] == [record.contested for record in records]
    assert [flags & 1 for flags in columns["flags"]] == [record.gray for record in records]
    assert columns["split"] == [0, 0, 0, 1, 2] and columns["index"] == [0, 1, 2, 0, 0]
    for at, (split, index) in enumerate(zip(columns["split"], columns["index"], strict=True)):
        labels = mhpdata.open(rec, about["splits"][split])[index].labels
        assert columns["classes0"][at] == sum(1 << label for label in np.unique(labels).tolist())
        thumb = cv2.imread(str(tmp_path / f"site/thumbs/{split}/000/{index:06}.jpg"))
        assert thumb.shape == (2 * columns["height"][at], columns["width"][at], 3)


def test_the_page_loads_its_own_files_only(rec, tmp_path):
    save_site(rec, tmp_path / "site", SiteOptions(full=1))
    text = (tmp_path / "site/index.html").read_text()
    links = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert len(links) == 8 and all((tmp_path / "site" / link).is_file() for link in links), links
    assert "Licence of the images: non-commercial research only" in text
    assert (tmp_path / "site/LICENCE.txt").read_text().startswith("Licence of the images: non-commercial")
    assert "arXiv:1705.07206" in (tmp_path / "site/LICENCE.txt").read_text()
    for path, data in content(tmp_path / "site").items():
        data = data.replace(b"(https://lv-mhp.github.io)", b"")  # of the licence
        if path.endswith((".html", ".css", ".js")) and not path.startswith("data/"):
            assert not re.search(rb"https?:|//\w|@import|url\(|innerHTML|eval\(|fetch\(", data), path


def test_layers_are_transparent_and_have_the_colours_of_the_labels(rec, tmp_path):
    save_site(rec, tmp_path / "site", SiteOptions(full="all"))
    sample = mhpdata.open(rec, "train")[0]
    folder = tmp_path / "site/full/0/000/000000"
    image = cv2.imread(str(folder / "image.jpg"))[:, :, ::-1]
    assert np.array_equal(image, decode_stored(sample.record.image, sample.record.codec, sample.record.size))
    color = {one["name"]: one["color"] for one in values(tmp_path / "site", "site")["classes"]}
    labels = cv2.imread(str(folder / "labels.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(labels[:, :, 3] == 0, sample.labels == 0)
    assert (labels[:, :, 2::-1][sample.labels == 4] == color["upper clothes"]).all()
    overlaps = cv2.imread(str(folder / "overlaps.png"), cv2.IMREAD_UNCHANGED)
    assert 0 < (overlaps[:, :, 3] > 0).sum() < sample.labels.size / 4
    told = layers(tmp_path / "site", "0/0")
    assert told["size"] == list(sample.labels.shape) and told["present"]["labels"] == [0, 4, 11]
    assert told["layers"] == ["image.jpg", "labels.png", "persons.png", "overlaps.png"]
    assert [number for number, _, _ in told["persons"]] == [1, 2]


def test_predictions_have_the_scores_of_mhp_score(rec, pred, tmp_path):
    save_site(rec, tmp_path / "site", SiteOptions(full=1, predictions=(str(pred),)))
    columns, row = values(tmp_path / "site", "samples"), score(rec, pred, "test").rows[0]
    assert columns["iou1"] == [-1] * 4 + [round(1e4 * row.mean_iou)]
    assert columns["acc1"] == [-1] * 4 + [round(1e4 * row.pix_acc)]
    assert [flags & 4 for flags in columns["flags"]] == [0, 0, 0, 0, 4], "the worst predicted"
    wrong = cv2.imread(str(tmp_path / "site/full/2/000/000000/wrong_1.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(wrong[:, :, 3] > 0, mhpdata.open(rec, "test")[0].labels != 11)
    assert values(tmp_path / "site", "site")["models"] == [pred.name]


def test_other_rules_and_other_packs_are_compared_at_source_size(rec, other, tmp_path):
    options = SiteOptions(full="all", overlap="last", against=str(other))
    save_site(rec, tmp_path / "site", options)
    columns = values(tmp_path / "site", "samples")
    expected = [
        int((sample.labels != merge(sample.masks, "last").labels).sum())
        for split in ("train", "val", "test")
        for sample in mhpdata.open(rec, split)
    ]
    assert columns["rules"] == columns["changed"] == expected and max(expected) > 0
    told = layers(tmp_path / "site", "0/0")
    assert {"labels_rule.png", "rules.png", "image_other.jpg", "labels_other.png", "changed.png"} <= {*told["layers"]}
    drawn = cv2.imread(str(tmp_path / "site/full/0/000/000000/persons_rule.png"), cv2.IMREAD_UNCHANGED)
    persons = merge(mhpdata.open(rec, "train")[0].masks, "last").persons
    assert np.array_equal(drawn[:, :, 3] == 0, persons == 0)
    theirs = cv2.imread(str(tmp_path / "site/full/0/000/000000/labels_other.png"), cv2.IMREAD_UNCHANGED)
    assert theirs.shape[:2] == mhpdata.open(other, "train")[0].labels.shape


def test_names_are_data_never_markup():
    from mhpmodels.browsing.columns import Shown

    one = Shown(0, 0, HOSTILE, 1, 1, 0, 0, 0, 0, False, True, 1 << 31 | 1, -1, -1, ())
    data = samples_script([one, replace(one, name="\ud83d\ude00")], [0], [[0, 1]], 59, 0)
    assert data.isascii() and not set(b"<>&\n") & set(data[len(SCRIPT_START) : -1])
    found = json.loads(data.decode().split(" = ")[1].rstrip(";\n"))
    assert found["name"][0] == HOSTILE and found["copies"] == [1, 1]
    assert found["classes0"] == [1, 1] and found["classes1"] == [2, 2], "31 is bit 1 of the second word"
    assert script("a(", "</script>", ");").decode().endswith('a("\\u003c/script\\u003e");\n')


def test_a_hostile_folder_name_is_escaped(rec, tmp_path):
    folder = tmp_path / "a<b>&\"'"
    shutil.copytree(rec, folder)
    save_site(folder, tmp_path / "site", SiteOptions(full=0))
    text = (tmp_path / "site/index.html").read_text()
    assert "<b>" not in text and "a&lt;b&gt;&amp;&quot;&#x27;: 5 samples" in text


def test_the_same_command_gives_the_same_bytes_with_any_threads(rec, other, pred, tmp_path):
    options = SiteOptions(full=3, predictions=(str(pred),), overlap="ignore", against=str(other))
    save_site(rec, tmp_path / "a", options, workers=1)
    save_site(rec, tmp_path / "b", options, workers=4)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert not any(str(rec.parent) in data.decode("latin1") for data in content(tmp_path / "a").values())


def test_an_interrupted_site_resumes_and_is_the_same(rec, tmp_path, monkeypatch):
    options = SiteOptions(full="all")
    save_site(rec, tmp_path / "whole", options, workers=1)
    draw = SampleWork.draw

    def fail(self, index):
        if self.number == 1:
            raise KeyboardInterrupt
        return draw(self, index)

    monkeypatch.setattr(SampleWork, "draw", fail)
    with pytest.raises(KeyboardInterrupt):
        save_site(rec, tmp_path / "cut", options, workers=1)
    assert not (tmp_path / "cut/index.html").exists()
    kept = {path: (tmp_path / "cut" / path).stat().st_ino for path in content(tmp_path / "cut")}
    assert any(path.startswith("full/0/") for path in kept)
    monkeypatch.undo()
    save_site(rec, tmp_path / "cut", options, workers=2)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert {path: (tmp_path / "cut" / path).stat().st_ino for path in kept} == kept, "complete files are kept"


def test_a_thumbnail_that_exists_is_not_made_again(rec, tmp_path, monkeypatch):
    save_site(rec, tmp_path / "site", SiteOptions(full=0))
    before = content(tmp_path / "site")
    monkeypatch.setattr("mhpmodels.browsing.sample_work.thumbnail", None)
    save_site(rec, tmp_path / "site", SiteOptions(full=0))
    assert content(tmp_path / "site") == before


def test_what_a_kill_left_unfinished_is_removed_and_nothing_else(rec, tmp_path):
    out, options = tmp_path / "site", SiteOptions(full=1)
    save_site(rec, out, options)
    before = content(out)
    owner, jpeg = "14984e55" * 4, b"\xff\xd8\xff half"
    left = {
        f"thumbs/1/000/.000013.jpg.{owner}.part": jpeg,
        f"thumbs/7/000/.000001.jpg.{owner}.part": b"",
        f"full/0/000/000000/.labels.png.{owner}.part": b"\x89PN",
        f"data/.site.js.{owner}.part": SCRIPT_START.encode(),
        f".index.html.{owner}.part": b"<!doctype html>",
        f".browse.css.{owner}.part": b"",
    }
    kept = {
        f"thumbs/0/000/.holiday.jpg.{owner}.part": jpeg,
        f"thumbs/0/000/.000001.jpg.{owner[1:]}.g.part": jpeg,
        f"full/0/000/000000/.image.jpg.{owner}.part": b"no JPEG",
        f"notes/.000001.jpg.{owner}.part": jpeg,
        f".browse.js.{owner}.part": b"mine",
        f"thumbs/0/000/.000003.jpg.{owner}.part": jpeg,
    }
    for path, data in {**left, **kept}.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(data)
    os.utime(out / f"thumbs/0/000/.000003.jpg.{owner}.part", (time.time() + 60,) * 2)  # another command writes it now
    save_site(rec, out, options)
    assert content(out) == {**before, **kept} and not (out / "thumbs/7").exists()


def test_another_site_is_replaced_only_on_request_and_its_old_files_go(rec, other, tmp_path):
    out = tmp_path / "site"
    save_site(rec, out, SiteOptions(full="all"))
    (out / "notes.txt").write_text("mine")
    (out / "thumbs/0/000/mine.jpg").write_bytes(b"\xff\xd8\xff mine")
    (out / "full/0/000/000001/000009.jpg").write_bytes(b"no JPEG")
    with pytest.raises(OutputError, match="holds a site of other data or options"):
        save_site(other, out, SiteOptions(full=1, splits=("test",)))
    save_site(other, out, SiteOptions(full=1, splits=("test",)), overwrite=True)
    save_site(other, tmp_path / "fresh", SiteOptions(full=1, splits=("test",)))
    left = content(out)
    mine = {"notes.txt", "thumbs/0/000/mine.jpg", "full/0/000/000001/000009.jpg"}
    assert {path: data for path, data in left.items() if path not in mine} == content(tmp_path / "fresh")
    assert mine <= set(left) and not (out / "full/2").exists()


def test_a_replacement_that_is_interrupted_keeps_nothing_of_the_earlier_site(rec, other, tmp_path, monkeypatch):
    out, options = tmp_path / "site", SiteOptions(full="all")
    save_site(rec, out, options)
    monkeypatch.setattr(SampleWork, "show", None)
    with pytest.raises(TypeError):
        save_site(other, out, options, overwrite=True, workers=1)
    monkeypatch.undo()
    assert not [path for path in content(out) if path.startswith(("thumbs/", "full/", "index"))]
    save_site(other, out, options)
    save_site(other, tmp_path / "fresh", options)
    assert content(out) == content(tmp_path / "fresh")


def test_foreign_folders_files_and_links_are_left_alone(rec, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(OutputError, match="is not empty, and holds no site"):
        save_site(rec, tmp_path / "full")
    (tmp_path / "json").mkdir()
    (tmp_path / "json/browse.json").write_text("{}")
    with pytest.raises(OutputError, match="is not empty, and holds no site"):
        save_site(rec, tmp_path / "json", overwrite=True)
    out, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    save_site(rec, out, SiteOptions(full=0))
    (out / "browse.css").write_text("mine")
    with pytest.raises(OutputError, match=r"browse\.css: was not written by mhp"):
        save_site(rec, out, SiteOptions(full=0), overwrite=True)
    (out / "browse.css").unlink()
    shutil.move(out / "thumbs", elsewhere)
    (out / "thumbs").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link to"):
        save_site(rec, out, SiteOptions(full=0), overwrite=True)
    assert len(content(elsewhere)) == 5


def test_a_damaged_record_and_foreign_predictions_are_errors(rec, pred, tmp_path):
    broken = shutil.copytree(rec, tmp_path / "rec")
    path = next(broken.glob("test-*.rec"))
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    with pytest.raises(RecordError, match="test-00000"):
        save_site(broken, tmp_path / "site")
    assert not (tmp_path / "site/index.html").exists()
    with pytest.raises(PredictionError, match="no label map of the packed folder"):
        save_site(rec, tmp_path / "b", SiteOptions(predictions=(str(pred),), splits=("train",)))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("kind", ["raw", "yuv420"])
def test_images_of_every_codec_are_shown(kind, tmp_path):
    mhpdata.pack(write_folder(tmp_path / "MHP"), tmp_path / "rec", size=32, image=kind, workers=1)
    save_site(tmp_path / "rec", tmp_path / "site", SiteOptions(full="all"))
    sample = mhpdata.open(tmp_path / "rec", "train")[0]
    image = cv2.imread(str(tmp_path / "site/full/0/000/000000/image.jpg"))[:, :, ::-1].astype(int)
    assert np.abs(image - sample.image).mean() < 3
    thumb = cv2.imread(str(tmp_path / "site/thumbs/0/000/000000.jpg"))[: sample.image.shape[0], :, ::-1].astype(int)
    assert np.abs(thumb - sample.image).mean() < 8


def test_a_split_without_labels_has_images_and_predictions(tmp_path):
    synthesize(tmp_path / "CIHP", images=8, scale=0.1, layout="cihp", workers=1)
    mhpdata.pack(tmp_path / "CIHP", tmp_path / "rec", size=32, workers=1)
    split = mhpdata.open(tmp_path / "rec", "test")
    assert not split.manifest.splits["test"].labelled
    (tmp_path / "pred").mkdir()
    for sample in split:
        labels = np.full(sample.record.source_size, 3, np.uint8)
        (tmp_path / f"pred/{sample.name}.png").write_bytes(encode_indexed(labels, CIHP.palette))
    options = SiteOptions(splits=("test",), full=1, predictions=(str(tmp_path / "pred"),), overlap="last")
    save_site(tmp_path / "rec", tmp_path / "site", options)
    columns = values(tmp_path / "site", "samples")
    assert set(columns["iou1"]) == set(columns["rules"]) == {-1} and {flags & 2 for flags in columns["flags"]} == {0}
    (at,) = [index for index, flags in zip(columns["index"], columns["flags"], strict=True) if flags & 4]
    assert layers(tmp_path / "site", f"0/{at}")["layers"] == ["image.jpg", "pred_1.png"]
    found = measure(tmp_path / "rec", ["test"]).splits["test"]
    assert (found.images, found.labelled, found.persons) == (len(split), 0, 0)


def test_full_samples_are_spread_or_the_worst():
    from mhpmodels.browsing.columns import Shown
    from mhpmodels.browsing.predicted import Score

    one = Shown(0, 0, "a", 1, 1, 0, 0, 0, 0, False, True, 1, -1, -1, ())
    assert choose_full([one] * 10, 3, False) == [1, 5, 8]
    assert choose_full([one] * 3, 3, False) == [0, 1, 2]
    scored = [replace(one, scores=(score,)) for score in (None, Score(0.5, 1.0), Score(0.2, 1.0), Score(None, None))]
    assert choose_full(scored, 2, True) == [1, 2] and choose_full(scored, 3, True) == [0, 1, 2]


def test_options_are_checked():
    assert parse_full("all") == "all" and parse_full("7") == 7
    for text in ("some", "1.5", ""):
        with pytest.raises(OptionError, match="a number of samples, or all"):
            parse_full(text)
    for wrong in ({"full": -1}, {"predictions": ("a", "b", "c")}, {"overlap": "best"}):
        with pytest.raises(OptionError):
            SiteOptions(**wrong)
    assert titles(["/x/a/pred", "/x/b/pred"]) == ["a/pred", "b/pred"] and titles(["p"]) == ["p"]
    assert titles(["/x/pred", "/x/pred"]) == ["pred 1", "pred 2"]


def test_command(rec, pred, tmp_path):
    out = tmp_path / "site"
    given = [str(rec), "--out", str(out), "--full", "2", "--pred", str(pred), "--overlap", "last"]
    done = CliRunner().invoke(mhptools.browse.main, given)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out / 'index.html'}: 5 samples, 2 samples at full size\n"
    for wrong in (["--out", str(out)], [str(rec)], [*given[:3], "--full", "x"], [*given[:3], "--split", "x"]):
        assert CliRunner().invoke(mhptools.browse.main, wrong).exit_code == 2, wrong
    assert CliRunner().invoke(mhptools.browse.main, given[:3]).exit_code == 3
    assert CliRunner().invoke(mhptools.browse.main, [*given[:3], "--overwrite"]).exit_code == 0
    assert site_module.summary(site_module.Site(out, 1, 0)) == f"{out}: 1 sample, 0 samples at full size"
