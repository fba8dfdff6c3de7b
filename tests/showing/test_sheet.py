"""The contact sheet: panels pixel by pixel, legend, choice of samples, and the file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from boxes import write_packed
from click.testing import CliRunner
from naive import contested as naive_contested

import mhpdata
import mhptools.show
from mhpdata.errors import ManifestError, MissingError, OptionError, OutputError
from mhpdata.labels import MHP_V1
from mhpmodels.figures import page, panels
from mhpmodels.figures.colours import picture_palette
from mhpmodels.showing import sheet as show
from mhpmodels.showing.selection import Selection

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs the extra viz")


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("show"))


class Few:
    """Simulate a split of given samples."""

    def __init__(self, split, samples):
        self.folder, self.name, self.manifest, self.classes = split.folder, split.name, split.manifest, split.classes
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def a_blank_sheet(split, indices):
    """Replace contact_sheet in tests of the file."""
    return np.zeros((2, 3, 3), np.uint8)


def test_the_split_is_val_unless_named(rec, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "contact_sheet", a_blank_sheet)

    def saved(**options):
        sheet = show.save_sheet(rec, tmp_path / "s.png", overwrite=True, **options)
        return sheet.split, sheet.indices

    assert saved() == ("val", (0,))
    assert saved(split="test") == ("test", (0,))
    assert saved(selection=Selection(names=["0003"])) == ("train", (2,))
    with pytest.raises(OptionError, match="'dev'; expected train, val or test"):
        saved(split="dev")


# --- the sheet


def find(panel, sheet, column):
    """Return the row of the sheet where a panel starts in its column; fail if it is missing."""
    left = page.MARGIN + column * (panels.COLUMN + panels.GAP)
    height, width = panel.shape[:2]
    strip = sheet[:, left : left + width]
    for y in range(len(sheet) - height + 1):
        if (strip[y] == panel[0]).all() and (strip[y : y + height] == panel).all():
            return y
    raise AssertionError(f"column {column} has no such panel")


def has_color(sheet, color):
    """Return whether a legend swatch has this colour: 10 x 10 pixels, left of and above the first panel."""
    same = (sheet == color).all(axis=2).astype(np.uint8)
    return bool(cv2.erode(same, np.ones((10, 10), np.uint8), borderValue=0).any())


@needs_matplotlib
def test_sheet_shows_the_samples_as_they_are(rec):
    split = mhpdata.open(rec, "train")
    sheet = show.contact_sheet(split, [0, 1])
    assert sheet.dtype == np.uint8 and sheet.shape[1:] == (page.WIDTH, 3)
    tops = []
    for sample in split[:2]:
        size = panels.panel_size(*sample.image.shape[:2])
        photo = panels.photo_panel(sample.image, size)
        top = find(photo, sheet, 0)
        assert find(picture_palette(MHP_V1)[panels.pick(sample.labels, size)], sheet, 1) == top
        assert find(panels.contested_panel(photo, naive_contested(sample.masks)), sheet, 3) == top
        left = page.MARGIN + 2 * (panels.COLUMN + panels.GAP)
        drawn = sheet[top : top + size[0], left : left + size[1]]
        expected = panels.persons_panel(sample.persons, size)
        other = (drawn != expected).any(axis=2)  # the numbers 1 and 2
        assert 0.0005 < other.mean() < 0.02
        for person, (y, x) in panels.person_centres(sample.persons).items():
            y, x = y * size[0] // sample.persons.shape[0], x * size[1] // sample.persons.shape[1]
            assert other[y - 15 : y + 15, x - 15 : x + 15].any(), person
        tops.append(top)
    assert tops[0] < tops[1]
    head = sheet[: tops[0]]
    present = {0, 4, 11}
    for label, color in enumerate(picture_palette(MHP_V1)[:19]):
        assert has_color(head, color) == (label in present), label


@needs_matplotlib
def test_a_split_without_labels_says_so(rec):
    split = mhpdata.open(rec, "test")
    record = dataclasses.replace(split.record(0), runs=None, row_offsets=None, masks=[], contested=0, conflicting=0)
    bare = mhpdata.Sample({**split[0], "labels": None, "persons": None}, record=record)
    sheet = show.contact_sheet(Few(split, [bare]), [0])
    size = panels.panel_size(*bare.image.shape[:2])
    top = find(panels.photo_panel(bare.image, size), sheet, 0)
    for column in (1, 2, 3):
        left = page.MARGIN + column * (panels.COLUMN + panels.GAP)
        panel = sheet[top : top + size[0], left : left + size[1]]
        written = (panel != panels.NOBODY).any(axis=2)
        assert 0.001 < written.mean() < 0.05


@needs_matplotlib
def test_a_person_without_pixels_and_one_without_name_in_the_font(rec):
    sample = mhpdata.open(rec, "val")[0]
    changed = {"name": "$x_1$ \u4e2d\n", "persons": np.minimum(sample.persons, 1)}
    odd = mhpdata.Sample({**sample, **changed}, record=sample.record)
    plain = show.contact_sheet(Few(mhpdata.open(rec, "val"), [sample]), [0])
    assert not np.array_equal(show.contact_sheet(Few(mhpdata.open(rec, "val"), [odd]), [0]), plain)


@needs_matplotlib
def test_the_same_samples_give_the_same_bytes(rec, tmp_path):
    for name in ("a.png", "b.png"):
        show.save_sheet(rec, tmp_path / name, split="train", selection=Selection(count=2))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@needs_matplotlib
def test_a_users_matplotlibrc_changes_nothing(rec):
    import matplotlib

    split = mhpdata.open(rec, "val")
    plain = show.contact_sheet(split, [0])
    odd = {"text.usetex": True, "figure.autolayout": True, "figure.dpi": 200, "font.family": ["serif"]}
    with matplotlib.rc_context({**odd, "image.interpolation": "bicubic", "image.origin": "lower", "text.color": "red"}):
        np.testing.assert_array_equal(show.contact_sheet(split, [0]), plain)


@needs_matplotlib
def test_no_pyplot_and_no_global_state(rec, tmp_path):
    code = """
import sys, matplotlib
from mhpmodels.showing.sheet import save_sheet
before = matplotlib.rcParams.copy()
save_sheet(sys.argv[1], sys.argv[2])
assert "matplotlib.pyplot" not in sys.modules
assert before == matplotlib.rcParams.copy()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(rec), str(tmp_path / "s.png")], check=True)


def test_without_matplotlib_the_error_says_what_to_install(rec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingError, match="pip install matplotlib"):
        show.save_sheet(rec, tmp_path / "s.png")
    assert not list(tmp_path.iterdir())


# --- the file


@needs_matplotlib
def test_the_file_is_the_sheet_and_is_not_overwritten_unasked(rec, tmp_path, monkeypatch):
    out = tmp_path / "s.png"
    sheet = show.save_sheet(rec, out)
    picture = cv2.imread(str(out))[:, :, ::-1]
    assert picture.shape[:2] == sheet.size
    np.testing.assert_array_equal(picture, show.contact_sheet(mhpdata.open(rec, "val"), [0]))
    before = out.read_bytes()
    with pytest.raises(OutputError, match=r"already exists\. Pass --overwrite"):
        show.save_sheet(rec, out)
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"s\.png: was not written by mhp.* Move \S+/s\.png elsewhere"):
        show.save_sheet(rec, out, overwrite=True)
    assert out.read_bytes() == b"mine"
    out.write_bytes(before[:-9])
    monkeypatch.setattr(show, "contact_sheet", a_blank_sheet)
    show.save_sheet(rec, out, overwrite=True)
    assert out.read_bytes()[:4] == b"\x89PNG" and [p.name for p in tmp_path.iterdir()] == ["s.png"]


def test_a_failed_write_leaves_nothing(rec, tmp_path, monkeypatch):
    monkeypatch.setattr(show, "contact_sheet", a_blank_sheet)

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        show.save_sheet(rec, tmp_path / "s.png")
    assert not list(tmp_path.iterdir())


def test_the_out_that_cannot_be(rec, tmp_path):
    (tmp_path / "d.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    for out, error in (("s.jpg", OptionError), ("s", OptionError), ("d.png", OutputError), ("no/s.png", OutputError)):
        with pytest.raises(error):
            show.save_sheet(rec, tmp_path / out, overwrite=True)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"is a link to .*nowhere"):
            show.save_sheet(rec, tmp_path / "dangling.png", overwrite=overwrite)


# --- the command


@needs_matplotlib
def test_command(rec, tmp_path):
    out = str(tmp_path / "s.png")
    run = CliRunner().invoke(mhptools.show.main, [str(rec), "--out", out, "--split", "train", "--index", "2"])
    assert run.exit_code == 0 and run.output.startswith(f"{out}: sample 2 of train, ")
    assert run.output.endswith(" x 1840 pixels (height x width)\n")
    again = CliRunner().invoke(mhptools.show.main, [str(rec), "--out", out])
    assert again.exit_code == 3 and "--overwrite" in again.output


def test_command_errors(rec, tmp_path):
    run = CliRunner().invoke(mhptools.show.main, [str(rec), "--out", str(tmp_path / "s.gif")])
    assert run.exit_code == 2 and ".png" in run.output
    run = CliRunner().invoke(mhptools.show.main, [str(tmp_path), "--out", str(tmp_path / "s.png")])
    assert run.exit_code == 1 and run.output.startswith(ManifestError.__name__)


def test_help_imports_nothing_heavy():
    code = """
import sys, mhptools.show
assert not {"numpy", "cv2", "numba", "matplotlib"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "mhp show rec/ --out sheet.png" in CliRunner().invoke(mhptools.show.main, ["--help"]).output
