"""verify_source: a clean download passes; each defect is one finding, and all are listed; remarks."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from verified import HEIGHT, SPLITS, WIDTH, empty_image, image, kinds, line, write_mask, write_packed

from mhpdata.checking import source as survey
from mhpdata.checking.packed import verify_source
from mhpdata.errors import FolderError, ImageError, MaskError, OptionError


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Read-only."""
    return write_packed(tmp_path_factory.mktemp("clean"), ())


@pytest.fixture
def source(clean, tmp_path):
    return shutil.copytree(clean / "source", tmp_path / "MHP")


def test_clean_source(clean):
    report = verify_source(clean / "source")
    assert report.clean, report.text()
    assert {split: row["images"] for split, row in report.counts.items()} == {s: len(n) for s, n in SPLITS.items()}
    assert {split: row["usable"] for split, row in report.counts.items()} == {s: len(n) for s, n in SPLITS.items()}
    assert sum(row["persons"] for row in report.counts.values()) == 20
    assert "no two images are byte-identical" in report.remarks
    assert any("not the full release" in remark and "14969" in remark for remark in report.remarks)


def mask(source, name="0002_02_01"):
    return source / "annotations" / f"{name}.png"


def missing_image(source):
    image(source).unlink()


def missing_mask(source):
    mask(source).unlink()


def no_mask(source):
    mask(source).unlink()
    mask(source, "0002_02_02").unlink()


def extra_mask(source):
    shutil.copy(mask(source), mask(source, "0002_02_03"))


def two_counts(source):
    shutil.copy(mask(source), mask(source, "0002_03_03"))


def mask_size(source):
    write_mask(source, "0002_02_01", np.ones((HEIGHT - 3, WIDTH), np.uint8))


def rgb_mask(source):
    write_mask(source, "0002_02_01", np.tile(np.uint8([1, 2, 3]), (HEIGHT, WIDTH, 1)))


def mask_label(label):
    return lambda source: write_mask(source, "0002_02_01", np.full((HEIGHT, WIDTH), label, np.uint8))


def empty_mask(source):
    mask(source).write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def not_an_image(source):
    image(source).write_bytes(b"<html>403 Forbidden</html>")


def huge_image(source):
    data = bytearray(image(source).read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (60000).to_bytes(2, "big") * 2
    image(source).write_bytes(data)


def crlf(source):
    path = source / "train_list.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def link_out(source):
    image(source).unlink()
    image(source).symlink_to("/etc/hostname")


DEFECTS = {
    "missing_image": (missing_image, FolderError, "images/0002.jpg: missing"),
    "missing_mask": (
        missing_mask,
        FolderError,
        "0002_02_01.png is missing; expected 2 masks for image 0002, found only person 2.",
    ),
    "no_mask": (no_mask, FolderError, "image 0002 has no masks"),
    "extra_mask": (extra_mask, FolderError, "has a mask for person 3 (0002_02_03.png); expected persons 1 and 2."),
    "two_counts": (two_counts, FolderError, "declare 2 and 3 persons"),
    "mask_size": (mask_size, MaskError, "is 93 x 128; expected 96 x 128 (height x width), the size of its image"),
    "rgb_mask": (rgb_mask, MaskError, "0002_02_01.png: is a colour image"),
    "label_19": (mask_label(19), MaskError, "0002_02_01.png: holds label 19"),
    "label_254": (mask_label(254), MaskError, "0002_02_01.png: holds label 254"),
    "empty_image": (empty_image, ImageError, "images/0002.jpg: empty file"),
    "empty_mask": (empty_mask, MaskError, "0002_02_01.png: empty file"),
    "truncated_image": (
        lambda source: truncate(image(source)),
        ImageError,
        "images/0002.jpg: truncated JPEG: Premature end",
    ),
    "truncated_mask": (lambda source: truncate(mask(source)), MaskError, "0002_02_01.png: truncated PNG"),
    "not_an_image": (not_an_image, ImageError, "images/0002.jpg: is a web page, not an image"),
    "huge_image": (huge_image, ImageError, "declares 60000 x 60000 = 3,600,000,000 pixels"),
    "traversal": (
        line(b"../../etc/passwd\n"),
        FolderError,
        "test_list.txt line 3: '../../etc/passwd' leads out of the dataset",
    ),
    "duplicate_line": (line(b"0007.jpg\n"), FolderError, "test_list.txt line 3: lists 0007.jpg, as line 1 does"),
    "crlf": (crlf, FolderError, "train_list.txt: Windows line endings (CRLF)"),
    "link_out": (link_out, FolderError, "images/0002.jpg: is a link to /etc/hostname, outside --src"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_one_finding(source, defect):
    spoil, kind, says = DEFECTS[defect]
    spoil(source)
    report = verify_source(source)
    assert kinds(report) == [kind], report.text()
    assert says in str(report.findings[0])
    assert report.findings[0].place.startswith(str(source))
    in_entry = defect not in ("traversal", "duplicate_line", "crlf")
    assert report.counts["train"]["images"] == 5
    assert report.counts["train"]["usable"] == 5 - in_entry


def test_all_defects_are_listed(source):
    mask(source).unlink()  # 0002
    truncate(image(source, "0001"))
    write_mask(source, "0001_03_03", np.ones((9, 9), np.uint8))
    write_mask(source, "0001_03_02", np.full((HEIGHT, WIDTH), 77, np.uint8))
    image(source, "0003").unlink()
    truncate(mask(source, "0006_02_02"))
    image(source, "0008").write_bytes(b"")
    line(b"0007.jpg\nx\n")(source)
    crlf(source)
    report = verify_source(source)
    assert len(report.findings) == 10, report.text()
    assert [report.counts[split]["usable"] for split in SPLITS] == [2, 0, 1]


def test_masks_are_checked_where_the_photo_says_no_size(source):
    empty_image(source)
    mask_label(20)(source)
    assert kinds(verify_source(source)) == [ImageError, MaskError]


def test_identical_photos_and_strays_are_remarks(source):
    for name in ("0002", "0006", "0007"):
        shutil.copy(image(source, "0001"), image(source, name))
    shutil.copy(image(source, "0003"), image(source, "0300"))
    (source / "annotations" / "Thumbs.db").write_bytes(b"")
    report = verify_source(source)
    assert report.clean
    for says in (
        "byte-identical images: 4 in 1 group",
        "byte-identical images within a split: 1 group",
        "byte-identical images in train and val: 1 group",
        "byte-identical images in val and test: 1 group",
        "byte-identical: train/0001, train/0002, val/0006, test/0007",
        "images/0300.jpg: in no list",
        "annotations/Thumbs.db: not a mask's name (<id>_<NN>_<ii>.png)",
    ):
        assert says in report.remarks


def test_full_release_is_recognised(source, monkeypatch):
    counts = {split: len(names) for split, names in SPLITS.items()}
    monkeypatch.setitem(survey.RELEASES, "mhp-v1", survey.Release(counts, 20, ("images/0006.jpg",)))
    truncate(image(source, "0006"))
    report = verify_source(source)
    remark = "complete, with the counts of the full release: 5 train, 1 val, 2 test images, 20 masks"
    assert remark in report.remarks
    assert any(text.startswith("images/0006.jpg: damaged in the release itself") for text in report.remarks)
    assert report.counts["train"]["release"] == 5


def test_not_a_download_is_raised(tmp_path):
    with pytest.raises(FolderError, match=str(tmp_path)):
        verify_source(tmp_path)
    with pytest.raises(OptionError):
        verify_source(tmp_path, layout="coco")
