"""Agreement of annotations of the same image: figures of the slow twins, exclusions, the command."""

from __future__ import annotations

import shutil

import cv2
import naive_metrics
import naive_score
import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder
from releases import write_cihp, write_v2

from mhpdata.errors import FolderError, OptionError
from mhpmodels.scoring.agreement import measure_agreement
from mhptools.verify import main as mhp_verify


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """Make 8 images; 0001 (train, 2 persons) equals 0008 (test, 3 persons) and 0003 (2 persons)."""
    root = write_folder(tmp_path_factory.mktemp("agreement") / "LV-MHP-v1", size=(40, 60))
    shutil.copyfile(root / "images" / "0001.jpg", root / "images" / "0003.jpg")
    path = root / "annotations" / "0003_02_01.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    path.write_bytes(cv2.imencode(".png", np.roll(mask, 2, axis=0))[1].tobytes())
    return root


def annotation(root, name):
    """Return merged labels (first wins) and masks."""
    files = sorted((root / "annotations").glob(f"{name}_*.png"))
    masks = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in files]
    labels = np.zeros_like(masks[0])
    for mask in masks:
        labels = np.where(labels == 0, mask, labels)
    return labels, masks


NAMES = {"train/0001": "0001", "train/0003": "0003", "test/0008": "0008"}


def test_each_annotation_is_scored_against_each_other_one(download):
    found = measure_agreement(download, workers=2)
    assert found.groups == (tuple(NAMES),) and not found.left_out
    pairs = [(a, b) for a in NAMES for b in NAMES if a != b]
    assert [row.name for row in found.rows] == [f"{a} / {b}" for a, b in pairs]
    images, matrix, best = [], 0, []
    for (a, b), row in zip(pairs, found.rows, strict=True):
        (labels, persons), (truth, masks) = annotation(download, NAMES[a]), annotation(download, NAMES[b])
        one = np.array(naive_metrics.confusion(labels, truth, 19))
        matrix = matrix + one
        images.append((masks, [(1.0, mask) for mask in persons]))
        means = [[np.nanmean(naive_score.class_ious(p, mask, 19)) for mask in masks] for p in persons]
        best += np.max(means, axis=0).tolist()
        assert row.pix_acc == float(naive_metrics.pix_acc(one.tolist()))
        assert (row.persons, row.predictions) == (len(masks), len(persons))
    assert found.confusion.matrix.tolist() == matrix.tolist() == matrix.T.tolist(), "nobody's is the truth"
    for t, threshold in enumerate(naive_score.THRESHOLDS):
        ap, pcp = naive_score.ap_and_pcp(images, 19, threshold)
        assert found.persons.ap[t] == pytest.approx(ap, abs=1e-12)
        assert found.persons.pcp[t] == pytest.approx(pcp, abs=1e-12)
    assert found.overlap == pytest.approx(np.mean(best))
    assert 0 < found.confusion.miou < 1 and found.alike == 0


def test_annotations_that_are_alike_agree_wholly(download, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(download, root)
    for path in sorted((root / "annotations").glob("000[38]_*")):
        path.unlink()
    for path in sorted((root / "annotations").glob("0001_*")):
        for name in "0003", "0008":
            shutil.copyfile(path, path.with_name(path.name.replace("0001", name, 1)))
    found = measure_agreement(root)
    assert found.alike == 6 and found.overlap == 1 and found.confusion.pix_acc == 1
    assert (found.persons.ap == 1).all() and (found.persons.pcp == 1).all()
    assert "0 pairs with different numbers of persons, 3 with the same labels at every pixel" in found.text()


def test_what_an_annotation_does_not_count_is_not_compared(download, tmp_path):
    """255 on either side excludes a pixel; a person with nothing else does not count, on either side."""
    root = shutil.copytree(download, tmp_path / "copy")
    mask = cv2.imread(str(root / "annotations" / "0001_02_01.png"), cv2.IMREAD_GRAYSCALE)
    unsure, nothing = np.where(np.arange(60) % 2 == 0, np.uint8(255), mask), np.where(mask > 0, np.uint8(255), mask)
    for name, pixels in (("0001_02_01", unsure), ("0001_02_02", nothing), ("0003_02_01", mask), ("0003_02_02", mask)):
        (root / "annotations" / f"{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    found = measure_agreement(root)
    first, second = (row for row in found.rows if "0008" not in row.name)
    assert (first.persons, first.predictions, second.persons, second.predictions) == (2, 1, 1, 2)
    assert first.pix_acc == second.pix_acc == 1
    assert second.overlap == 1, "pixels that the truth does not count are left out"


def test_an_annotation_that_cannot_be_read_is_left_out_and_named(download, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(download, root)
    (root / "annotations" / "0003_02_02.png").write_bytes(b"no PNG")
    found = measure_agreement(root)
    assert [row.name for row in found.rows] == ["train/0001 / test/0008", "test/0008 / train/0001"]
    assert [error.place for error in found.left_out] == [f"{root}/annotations/0003_02_02.png"]
    assert found.groups == (("train/0001", "test/0008"),) and f"left out: {found.left_out[0]}" in found.text()
    (root / "images" / "0008.jpg").write_bytes((root / "images" / "0008.jpg").read_bytes() + b"\0")
    with pytest.raises(FolderError, match="no duplicated images"):
        measure_agreement(root)


@pytest.mark.parametrize("write", [write_v2, write_cihp])
def test_the_other_layouts(write, tmp_path):
    """Images are identified by ids: id 7 is written twice with equal annotations; test has no labels."""
    root = write(tmp_path / "download", {"train": [3, 7], "val": [7], "test": [7]})
    found = measure_agreement(root)
    assert [name.split("/")[0] for name in found.groups[0]] == ["train", "val"] and len(found.groups) == 1
    assert found.alike == 2 and found.overlap == 1 and (found.persons.ap == 1).all()
    assert len(found.classes) == (59 if write is write_v2 else 20)


def test_what_is_no_download(tmp_path):
    with pytest.raises(FolderError, match=str(tmp_path)):
        measure_agreement(tmp_path)
    with pytest.raises(OptionError, match="workers"):
        measure_agreement(write_folder(tmp_path / "LV-MHP-v1", size=(40, 60)), workers=0)


def command(*arguments, status=0):
    done = CliRunner().invoke(mhp_verify, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done


def test_the_command(download, tmp_path):
    text = command("--src", download, "--agreement").stdout
    assert text.rstrip("\n") == measure_agreement(download).text(50)
    assert "3 byte-identical images in 1 group; 3 pairs of annotations, in both directions" in text
    assert "2 pairs with different numbers of persons, 0 with the same labels" in text
    assert "requires --src" in command(tmp_path, "--agreement", status=2).stderr
