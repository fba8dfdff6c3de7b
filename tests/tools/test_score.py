"""mhp score: its table, its files, and the figure of the worst images."""

from __future__ import annotations

import csv
import json
import sys

import cv2
import numpy as np
import pytest
from predictions import command, spoil, submit, truth, write_packed
from stored import NEEDS_OBSTORE, served

import mhpdata
from mhpdata.labels import MHP_V1
from mhpdata.storage.manifest import read_manifest
from mhpmodels.figures.colours import picture_palette
from mhpmodels.scoring.comparison import compare_scores
from mhpmodels.scoring.report import table
from mhpmodels.scoring.score import score


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("score"))


def test_the_command(packed, tmp_path):
    folder = submit(tmp_path / "pred", "official", spoil(truth(packed)))
    flags = ("--data", packed, "--pred", folder, "--split", "test")
    found = score(packed, folder, "test")
    text = command(*flags).stdout
    assert found.content == read_manifest(packed).content_id and len(found.content) == 64
    assert text == f"{table(found)}\ncontent of {packed}: {found.content}\n"
    assert f"pixAcc: {found.confusion.pix_acc:.4f}, mIoU: {found.confusion.miou:.4f}" in text
    assert f"AP^p_vol: {found.persons.ap_vol:.4f}, 8 persons, 8 predicted" in text
    assert "1 of these images has a byte-identical copy" in text
    content = json.loads(command(*flags, "--json", "--at", "source", "--workers", 1).stdout)
    assert content.pop("mhp") == mhpdata.__version__
    assert content == json.loads(json.dumps(found.as_dict())) and content["content"] == found.content
    assert content["AP^p"]["0.5"] == found.persons.ap[4] and content["PCP"]["0.5"] == found.persons.pcp[4]
    assert f"AP^r_vol: {found.parts.vol:.4f}, over the" in text and f"AP^h_vol: {found.humans.vol:.4f}" in text
    assert f"classes present: {found.confusion.miou_present:.4f}" in text
    assert content["AP^r"]["0.5"] == found.parts.mean[4] and content["AP^h"]["0.75"] == found.humans.ap[0, 5]
    assert content["AP^r_vol"] == found.parts.vol and content["AP^h_vol"] == found.humans.vol
    assert content["AP_coco_persons"]["AP50"] == found.humans.coco_ap(0)
    rows = tmp_path / "rows.csv"
    printed = command(*flags, "--csv", rows)
    assert printed.stdout == text and f"Written: {rows}\n" in printed.stderr
    printed = command(*flags, "--csv", rows, "--overwrite", "--json")
    matrix = ["  [" + ", ".join(map(str, row)) + "]" for row in found.confusion.matrix.tolist()]
    assert ' "confusion": [\n' + ",\n".join(matrix) + "\n ]," in printed.stdout
    with rows.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["0010", "0011", "0012"]
    assert float(rows[1]["mean_iou"]) == found.rows[1].mean_iou and rows[1]["persons"] == "2"
    assert "already exists" in command(*flags, "--csv", tmp_path / "rows.csv", status=3).stderr
    command(*flags, "--csv", tmp_path / "rows.csv", "--overwrite")
    assert "PredictionError" in command("--data", packed, "--pred", tmp_path, "--split", "val", status=1).stderr
    labels = submit(tmp_path / "labels", "labels", truth(packed))
    command("--data", packed, "--pred", labels, "--split", "test", "--csv", tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text().splitlines()[1].endswith("1.0,1.0,,,,")


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--csv", "nowhere/rows.csv"], 3, "nowhere: missing; expected the folder for rows.csv"),
        (["--worst", "nowhere/worst.png"], 3, "nowhere: missing"),
        (["--worst", "worst.jpg"], 2, "--worst: 'worst.jpg'; expected a name that ends with .png"),
        (["--worst", "worst.png"], 3, "MissingError: matplotlib"),
        (["--csv", "."], 3, ".: is a folder"),
        (["--count", "65"], 2, "--count: 65; expected a whole number from 1 to 64"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_scored(packed, tmp_path, monkeypatch, flags, status, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mhpmodels.scoring.score.score", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert message in command("--data", packed, "--pred", tmp_path, *flags, status=status).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["official", pytest.param("masks", marks=pytest.mark.slow)])
def test_the_picture_of_the_worst(packed, tmp_path, form):
    pytest.importorskip("matplotlib")
    images = truth(packed)
    images["0011"] = spoil(images)["0011"]
    folder = submit(tmp_path / "pred", form, images)
    assert score(packed, folder, "test").worst(2)[0] == "0011"
    flags = ("--data", packed, "--pred", folder, "--split", "test", "--worst", tmp_path / "worst.png", "--count", 2)
    assert f"Written: {tmp_path / 'worst.png'}\n" in command(*flags).stderr
    picture = cv2.imread(str(tmp_path / "worst.png"))
    assert picture.shape[1] == 1840
    colours = {tuple(c) for c in np.unique(picture[:, :, ::-1].reshape(-1, 3), axis=0).tolist()}
    assert {tuple(picture_palette(MHP_V1)[c].tolist()) for c in (2, 11, 4)} <= colours and (255, 0, 128) in colours
    assert "already exists" in command(*flags, status=3).stderr


def test_the_picture_shows_labels_that_do_not_exist_as_not_counted(packed, tmp_path):
    pytest.importorskip("matplotlib")
    images = truth(packed)
    images["0011"][0][5:15] = 200
    folder = submit(tmp_path / "pred", "labels", images)
    flags = ("--data", packed, "--pred", folder, "--split", "test", "--unknown-labels", "official")
    command(*flags, "--worst", tmp_path / "worst.png", "--count", 1)
    assert cv2.imread(str(tmp_path / "worst.png")).shape[1] == 1840


@NEEDS_OBSTORE
def test_a_second_score_of_a_packed_folder_at_an_address_makes_no_request_for_records(packed, tmp_path):
    folder = submit(tmp_path / "pred", "official", spoil(truth(packed)))
    flags = ("--pred", folder, "--split", "test", "--json", "--cache", tmp_path / "cache", "--cache-gb", 1)
    local = json.loads(command("--data", packed, *flags[:5]).stdout)
    with served(packed) as (server, address):
        for _ in range(2):
            assert json.loads(command("--data", address, *flags).stdout) == local
            assert server.count("GET", ".rec") == 1


def test_against_another_prediction(packed, tmp_path):
    right, wrong = truth(packed), spoil(truth(packed))
    a, b = submit(tmp_path / "a", "official", right), submit(tmp_path / "b", "official", wrong)
    flags = ("--data", packed, "--pred", a, "--split", "test")
    text = command(*flags).stdout
    scores = score(packed, a, "test"), score(packed, b, "test")
    compared = compare_scores(*scores, names=(str(a), str(b)))
    header, content_line = text.splitlines()[0], text.splitlines()[-1]
    assert header == "3 images of test, predictions as official, at source size"
    assert content_line == f"content of {packed}: {scores[0].content}"
    assert command(*flags, "--against", b).stdout == f"{text}\n{compared.text()}\n"
    page = command(*flags, "--against", b, "--markdown").stdout
    assert page.startswith(
        f"{header}\n\n{compared.markdown()}\n\n1 of these images has a byte-identical copy in a split"
    )
    assert page.endswith(f"--unseen drops them.\n\n{content_line}\n"), "what is pasted says what was compared"
    content = json.loads(command(*flags, "--against", b, "--json", "--bootstrap", 100, "--seed", 3).stdout)
    expected = compare_scores(*scores, names=(str(a), str(b)), samples=100, seed=3).as_dict()
    assert content == json.loads(json.dumps({"mhp": mhpdata.__version__} | scores[0].as_dict() | expected))
    alone = compare_scores(scores[0], names=(str(a), ""), samples=100)
    assert command(*flags, "--bootstrap", 100).stdout == f"{text}\n{alone.text()}\n"
    assert "| mIoU |" in command(*flags, "--markdown").stdout
    assert "Pass one of them" in command(*flags, "--markdown", "--json", status=2).stderr
    for few in -1, 1, 99:
        wrong = f"--bootstrap: {few}; expected 0 for no intervals, or a whole number from 100 to 1000000"
        assert wrong in command(*flags, "--bootstrap", few, status=2).stderr
    (b / "global_seg" / "0011.png").unlink()
    assert "1 of 3 images has no PNG" in command(*flags, "--against", b, status=1).stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "test", "--val-protocol", "gluoncv"], "--val-protocol: gluoncv for split 'test'; expected val"),
        (["--split", "train", "--unseen"], "--unseen: given for split 'train'; expected val or test"),
    ],
)
def test_options_without_effect_on_the_split_are_rejected(packed, tmp_path, flags, message):
    assert message in command("--data", packed, "--pred", tmp_path, *flags, status=2).stderr
