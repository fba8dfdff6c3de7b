"""mhp predict --persons writes the official form of submissions, which mhp score reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from folder import write_folder
from networks import ByColour
from predictors import SMALL, around

import mhpdata
from mhpdata.errors import OptionError, OutputError, PredictionError
from mhpmodels.persons.person_list import read_results
from mhpmodels.prediction.options import Options
from mhpmodels.prediction.predict import predict_split
from mhpmodels.scoring.score import score

PERSONS = replace(SMALL, persons=True)


class Halves:
    """A network whose labels follow the colours and whose persons are the left and the right half of the image."""

    def __init__(self):
        self.labels = ByColour()

    def __call__(self, images):
        logits = self.labels(images)
        height, width = logits.shape[2:]
        maps = np.zeros((len(logits), 3, height, width), np.float32)
        for left, value in ((width // 4, 0.9), (3 * width // 4, 0.8)):
            maps[:, 0, height // 2, left] = value
        maps[:, 1] = height // 2 - np.arange(height)[:, None]
        maps[:, 2] = np.where(np.arange(width) < width // 2, width // 4, 3 * width // 4) - np.arange(width)
        return np.concatenate([logits, maps], 1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("persons")
    source = write_folder(root / "LV-MHP-v1", images=8, size=(40, 60))
    mhpdata.pack(source, root / "rec", size=32, image="raw", workers=1)
    return root / "rec"


def halves():
    return around(predict=Halves(), person_maps=3)


def test_the_files_are_what_mhp_score_reads(packed, tmp_path):
    out = tmp_path / "pred"
    done = predict_split(halves(), packed, "train", out, None, replace(PERSONS, overlay=True))
    assert len(done.labels) == 5 and done.labels[0] == out / "global_seg/0001.png"
    assert done.persons == 10
    found = score(packed, out, "train")
    assert found.form == "official" and found.persons is not None and found.confusion is not None
    assert found.persons.predictions == 10
    listed = read_results(out / "results.txt")
    assert list(listed) == ["0001", "0002", "0003", "0004", "0005"]
    assert [person for person, _ in listed["0001"]] == [1, 2]
    assert all(0 < value < 0.9 for _, value in listed["0001"])
    assert (out / "pictures/0001.jpg").stat().st_size > 0
    assert predict_split(around(), packed, "train", tmp_path / "plain", None, SMALL).persons is None
    for name in listed:
        labels = (tmp_path / f"plain/{name}.png").read_bytes()
        assert (out / f"global_seg/{name}.png").read_bytes() == labels


def test_nothing_else_is_replaced(packed, tmp_path):
    predict_split(halves(), packed, "train", tmp_path, ["0001"], PERSONS)
    before = (tmp_path / "results.txt").read_bytes()
    with pytest.raises(OutputError, match=r"already exists\. Pass --overwrite to replace all files, or choose another"):
        predict_split(halves(), packed, "train", tmp_path, ["0002"], PERSONS)
    predict_split(halves(), packed, "train", tmp_path, ["0001"], replace(PERSONS, overwrite=True))
    assert (tmp_path / "results.txt").read_bytes() == before
    (tmp_path / "results.txt").write_text("my notes\n")
    with pytest.raises(OutputError, match=r"results\.txt"):
        predict_split(halves(), packed, "train", tmp_path, ["0001"], replace(PERSONS, overwrite=True))
    with pytest.raises(OptionError, match=r"keep: not supported with --persons.* Pass --overwrite instead"):
        Options(keep=True, persons=True)


@pytest.mark.parametrize("persons", [True, False])
def test_a_folder_never_holds_both_forms(packed, tmp_path, persons):
    forms = {True: (halves(), PERSONS), False: (around(), SMALL)}
    (old, before), (new, options) = forms[not persons], forms[persons]
    predict_split(old, packed, "train", tmp_path, ["0001", "0002"], before)
    (tmp_path / "notes.png").write_bytes(b"mine")
    held = sorted(tmp_path.rglob("*"))
    remedies = ((["0001", "0002"], False, "--overwrite to delete"), (["0001"], True, "only those of the same images"))
    for names, overwrite, remedy in remedies:
        with pytest.raises(OutputError, match=f"holds .*(0001|0002|results).*another --out.*{remedy}"):
            predict_split(new, packed, "train", tmp_path, names, replace(options, overwrite=overwrite))
        assert sorted(tmp_path.rglob("*")) == held
    predict_split(new, packed, "train", tmp_path, ["0001", "0002"], replace(options, overwrite=True))
    predict_split(new, packed, "train", tmp_path / "new", ["0001", "0002"], options)
    found = {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if "new" not in path.relative_to(tmp_path).parts
    }
    expected = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*")}
    assert found == {*expected, "notes.png"}


def test_score_refuses_both_forms(packed, tmp_path):
    predict_split(halves(), packed, "train", tmp_path, None, PERSONS)
    (tmp_path / "0003.png").write_bytes((tmp_path / "global_seg/0003.png").read_bytes())
    with pytest.raises(PredictionError, match=r"both global_tag and 0003\.png.*Move"):
        score(packed, tmp_path, "train")
