"""The page of mhp show: valid, escaped, self-contained; it never replaces foreign files."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from boxes import write_packed
from checkpoints import CONFIG, LOADER, ended
from click.testing import CliRunner
from numpy_engine import NumpyEngine
from origins import FIRST, SECOND

import mhpdata
import mhptools.show
from mhpdata.errors import OutputError, PredictionError, UnreadableError
from mhpdata.labels import MHP_V1
from mhpmodels.figures.colours import picture_palette
from mhpmodels.figures.overlay import lay_over
from mhpmodels.files import checkpoint_writer
from mhpmodels.files.png import encode_indexed
from mhpmodels.showing.web_page import Shown, save_page
from mhpmodels.training.runlog import RunLog
from mhpmodels.training.tables import EpochRow, StepRow

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Collects a page's elements and text; fails if an end tag does not close the last start tag."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open += [tag] if tag not in VOID else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, attribute):
        return [attrs[attribute] for name, attrs in self.found if name == tag and attribute in attrs]


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("page & <b>"))


@pytest.fixture
def shown(rec, tmp_path):
    """Return all content of a page: a run of 4 epochs, a prediction of the split test, a command with tags."""
    run, pred = tmp_path / "run", tmp_path / "pred"
    run.mkdir()
    pred.mkdir()
    with RunLog(run, ("background",), quiet=True) as log:
        for i in range(8):
            log.step(StepRow(i, i // 2, i % 2 + 1, 3 / (i + 1), 1.0, 0.1, 1, 2, 1, 0))
        for i in range(4):
            log.epoch(EpochRow(i, 2 * (i + 1), 1.0, 0.5, 0.1 * (i + 1), 0, 1.0, (0.5,)))
    tagged = replace(FIRST, command="mhp train --data '<i>'")
    checkpoint_writer.save(run, NumpyEngine(CONFIG), ended(0), LOADER, None, (tagged, SECOND))
    for sample in mhpdata.open(rec, "test"):
        (pred / f"{sample.name}.png").write_bytes(encode_indexed(0 * sample.labels + 11, MHP_V1.palette))
    (tmp_path / "commands.txt").write_text("mhp-pack --src '<script>alert(1)</script>' && x\n")
    return Shown(str(rec), str(run), str(pred), str(tmp_path / "commands.txt"))


def test_the_page_is_whole_escaped_and_opens_from_disk(rec, shown, tmp_path):
    out = tmp_path / "page"
    assert "a sheet of 1 sample, the curves of 4 epochs, 1 prediction" in save_page(out, shown)
    text = (out / "index.html").read_text()
    page = Reader(text)
    assert not re.search(r"https?:|//|@import|url\(", text.split("<h1>")[0])
    for link in [*page.all("img", "src"), *page.all("a", "href")]:
        assert (out / link).is_file() and not link.startswith(("/", "file:")) and ".." not in link
    assert "script" not in {tag for tag, _ in page.found}
    words = "".join(page.words)
    assert "<script>alert(1)</script>' && x" in words
    assert "Best mIoU: 40.00 %, pixAcc 50.00 %, after 4 epochs." in words
    assert "1. mhp 0.1.0, backbone of store: mhp train --data '<i>'\n" in words and "Li et al., 2017\n2. mhp" in words
    assert "no problems" in words and "Licence of the images: non-commercial research only" in words
    assert [name for tag, attrs in page.found if (name := attrs.get("name")) == "viewport" and tag == "meta"]
    for src, height, width in zip(*(page.all("img", key) for key in ("src", "height", "width")), strict=True):
        assert cv2.imread(str(out / src)).shape[:2] == (int(height), int(width)), src


def test_the_table_says_what_the_manifest_says(rec, tmp_path):
    save_page(tmp_path / "page", Shown(str(rec)))
    rows = re.findall(r'<th scope="row">(\w+)</th>((?:<td>[\d,]+</td>)+)', (tmp_path / "page/index.html").read_text())
    for name, cells in rows:
        count = mhpdata.open(rec, name).manifest.splits[name].statistics
        found = [int(cell.replace(",", "")) for cell in re.findall(r"[\d,]+", cells)]
        assert found == [count.images, count.persons, count.gray, count.contested, count.conflicting]
    assert [name for name, _ in rows] == ["train", "val", "test"]


def test_pictures_have_the_source_size_and_show_labels_beside_the_prediction(rec, shown, tmp_path):
    save_page(tmp_path / "page", shown)
    sample = mhpdata.open(rec, "test")[0]
    palette = picture_palette(MHP_V1)
    for kind, labels in (("labels", sample.labels), ("prediction", np.full_like(sample.labels, 11))):
        picture = cv2.imread(str(tmp_path / f"page/pictures/{sample.name}-{kind}.jpg"))[:, :, ::-1].astype(int)
        assert picture.shape == sample.image.shape and sample.record.source_size == sample.image.shape[:2]
        other = np.abs(picture - lay_over(sample.image, labels, palette))
        assert other.mean() < 12, kind  # JPEG's loss


def test_nothing_of_somebody_elses_is_overwritten(rec, tmp_path):
    out = tmp_path / "page"
    save_page(out, Shown(str(rec)))
    with pytest.raises(OutputError, match="already exists"):
        save_page(out, Shown(str(rec)))
    save_page(out, Shown(str(rec)), overwrite=True)
    (out / "index.html").write_text("<!doctype html><p>mine")
    with pytest.raises(OutputError, match="was not written by mhp"):
        save_page(out, Shown(str(rec)), overwrite=True)
    assert (out / "index.html").read_text().endswith("mine")


def test_predictions_of_another_folder_and_missing_commands_are_errors(rec, tmp_path):
    (tmp_path / "pred").mkdir()
    with pytest.raises(PredictionError, match="no label map of the packed folder"):
        save_page(tmp_path / "a", Shown(str(rec), predictions=str(tmp_path / "pred")))
    with pytest.raises(UnreadableError, match=r"none\.txt"):
        save_page(tmp_path / "b", Shown(str(rec), commands=str(tmp_path / "none.txt")))
    assert not (tmp_path / "b").exists()


def test_command(rec, shown, tmp_path):
    out = tmp_path / "page"
    given = [str(rec), "--page", str(out), "--run", shown.run, "--pred", shown.predictions]
    done = CliRunner().invoke(mhptools.show.main, given)
    assert done.exit_code == 0 and done.output.startswith(f"{out / 'index.html'}: a sheet of 1 sample"), done.output
    for wrong in (
        [str(rec)],
        [str(rec), "--page", str(out), "--out", "a.png"],
        ["--page", str(out), "--run", shown.run],
        [str(rec), "--page", str(out), "--count", "3"],
        [str(rec), "--out", "a.png", "--pred", shown.predictions],
    ):
        assert CliRunner().invoke(mhptools.show.main, wrong).exit_code == 2, wrong
