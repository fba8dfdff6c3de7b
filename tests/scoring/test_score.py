"""Predictions in every form, at both sizes, compared with the slow twins; errors in predictions."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import naive_instances
import naive_metrics
import naive_score
import numpy as np
import pytest
from predictions import command, spoil, submit, truth, write, write_packed
from releases import write_cihp, write_v2

import mhpdata
from mhpdata.errors import OptionError, PredictionError, RecordError
from mhpdata.labels import MHP_V1
from mhpmodels.files.png import encode_indexed
from mhpmodels.persons.overlap import overlap
from mhpmodels.scoring.instances import HUMAN_THRESHOLDS
from mhpmodels.scoring.report import table
from mhpmodels.scoring.score import score
from mhpmodels.scoring.submission import Submission

SAMPLE = Path(os.environ.get("MHP_SAMPLES", "/nonexistent")) / "mhp_v1_1528"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_packed(tmp_path_factory.mktemp("score"))


@pytest.mark.parametrize("at", ["source", "packed"])
@pytest.mark.parametrize("form", ["labels", "official", "masks"])
def test_perfect_predictions_score_one(packed, tmp_path, form, at):
    found = score(packed, submit(tmp_path, form, truth(packed, at=at)), "test", at=at)
    assert found.form == form and [row.name for row in found.rows] == ["0010", "0011", "0012"]
    assert (found.rows[0].height, found.rows[0].width) == ((40, 60) if at == "source" else (32, 48))
    if form == "masks":
        assert found.confusion is None
        assert (found.persons.ap == 1).all() and (found.persons.pcp == 1).all()
    else:
        assert found.confusion.pix_acc == 1 and (found.confusion.iou[~found.confusion.absent] == 1).all()
    if form == "labels":
        assert found.persons is None
    if form == "official":  # where persons overlap, a pixel belongs to one person only, so the masks differ slightly
        assert (found.persons.ap[:7] == 1).all()


@pytest.mark.parametrize("at", ["source", "packed"])
@pytest.mark.parametrize("form", ["labels", "official", "masks"])
def test_spoilt_predictions_score_as_the_slow_twins_say(packed, tmp_path, form, at):
    right = truth(packed, at=at)
    wrong = spoil(right)
    found = score(packed, submit(tmp_path, form, wrong), "test", at=at, threads=2)
    if found.confusion is not None:
        matrix = sum(np.array(naive_metrics.confusion(wrong[n][0], right[n][0], 19)) for n in right)
        assert found.confusion.matrix.tolist() == matrix.tolist()
        for row in found.rows:
            one = naive_metrics.confusion(wrong[row.name][0], right[row.name][0], 19)
            present = [c for c in range(19) if sum(one[c]) + sum(line[c] for line in one)]
            ious = naive_metrics.iou(one)
            assert row.pix_acc == float(naive_metrics.pix_acc(one))
            assert row.mean_iou == pytest.approx(float(sum(ious[c] for c in present) / len(present)))
    if found.persons is not None:
        images = []
        for name in right:
            labels, owners, masks = wrong[name]
            persons = masks
            if form == "official":
                persons = [np.where(owners == k + 1, labels, 0) for k in range(len(masks))]
            images.append((right[name][2], list(zip((0.9, 0.8, 0.7), persons, strict=False))))
        for t, threshold in enumerate(naive_score.THRESHOLDS):
            ap, pcp = naive_score.ap_and_pcp(images, 19, threshold)
            assert found.persons.ap[t] == pytest.approx(ap, abs=1e-12)
            assert found.persons.pcp[t] == pytest.approx(pcp, abs=1e-12)
        assert 0 < found.persons.ap_vol < 1
        for t, threshold in enumerate(naive_score.THRESHOLDS):
            of_class = [naive_instances.average_precision(images, 19, threshold, c) or 0 for c in range(1, 19)]
            assert found.parts.mean[t] == pytest.approx(np.mean(of_class), abs=1e-12)
        for t, threshold in enumerate(HUMAN_THRESHOLDS):
            expected = naive_instances.average_precision(images, 19, threshold)
            assert found.humans.ap[0, t] == pytest.approx(expected, abs=1e-12)
        for row, (masks, persons) in zip(found.rows, images, strict=True):
            means = [
                [np.nanmean(naive_score.class_ious(predicted, mask, 19)) for mask in masks] for _, predicted in persons
            ]
            assert (row.persons, row.predictions) == (len(masks), len(persons))
            assert row.overlap == pytest.approx(np.max(means, axis=0).mean())
            claimed = {int(np.argmax(line)) for line in means if max(line) > 0.5}
            assert row.found == len(claimed)


def test_masks_with_labels_beside_them(packed, tmp_path):
    images = spoil(truth(packed))
    submit(tmp_path, "masks", images)
    for name, (labels, _, _) in images.items():
        write(tmp_path / "global_seg" / f"{name}.png", labels)
    found = score(packed, tmp_path, "test")
    assert found.form == "masks" and found.confusion is not None and found.persons is not None


def test_indexed_pngs_and_persons_of_16_bits(packed, tmp_path):
    images = spoil(truth(packed))
    plain = score(packed, submit(tmp_path / "plain", "official", images), "test")
    submit(tmp_path / "other", "official", images)
    for name, (labels, owners, _) in images.items():
        path = tmp_path / "other" / "global_seg" / f"{name}.png"
        path.write_bytes(encode_indexed(labels, MHP_V1.palette))
        write(tmp_path / "other" / "global_tag" / f"{name}.png", owners.astype(np.uint16) * 1000)
    results = (tmp_path / "other" / "results.txt").read_text()
    (tmp_path / "other" / "results.txt").write_text(
        "".join(
            " ".join([name, *(w if i % 2 else f"{w}000" for i, w in enumerate(rest))]) + "\n"
            for name, *rest in map(str.split, results.splitlines())
        )
    )
    assert score(packed, tmp_path / "other", "test").as_dict() == plain.as_dict()


def test_of_the_official_form_persons_without_pixels_are_none_and_twice_listed_ones_are_two(packed, tmp_path):
    images = truth(packed)
    submit(tmp_path, "official", images)
    lines = (tmp_path / "results.txt").read_text().splitlines()
    lines[0] += " 77 1.0 1 0.3"
    (tmp_path / "results.txt").write_text("\n".join([*lines, "", "9999 1 0.5"]) + "\n")
    found = score(packed, tmp_path, "test")
    persons = [len(masks) for _, _, masks in images.values()]
    assert [row.predictions for row in found.rows] == [persons[0] + 1, *persons[1:]]
    (tmp_path / "results.txt").write_text("\n".join(images) + "\n")
    nobody = score(packed, tmp_path, "test")
    assert nobody.persons.predictions == 0 and (nobody.persons.ap == 0).all()
    assert [row.overlap for row in nobody.rows] == [0, 0, 0]


def test_a_mask_without_a_label_is_a_prediction(packed, tmp_path):
    images = {n: (labels, owners, [np.zeros_like(labels)]) for n, (labels, owners, _) in truth(packed).items()}
    found = score(packed, submit(tmp_path, "masks", images), "test")
    assert found.persons.predictions == 3 and found.persons.ap[8] == 0
    assert all(0 < row.overlap < 0.2 for row in found.rows)


def test_which_images_count(packed, tmp_path):
    images = truth(packed)
    submit(tmp_path, "labels", images)
    assert score(packed, tmp_path, "test").seen == 1
    unseen = score(packed, tmp_path, "test", unseen=True)
    assert [row.name for row in unseen.rows] == ["0010", "0011"] and unseen.seen == 0
    submit(tmp_path / "val", "labels", truth(packed, "val"))
    assert [row.name for row in score(packed, tmp_path / "val", protocol="gluoncv").rows] == ["0009"]
    submit(tmp_path / "train", "labels", truth(packed, "train"))
    free = score(packed, tmp_path / "train", "train", leak_free=True)
    assert [row.name for row in free.rows] == ["0002", "0003", "0004", "0005", "0006", "0007"]


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (
            [],
            r"no PNG at all; .*Write \S*/0010\.png and the others, with the label of each pixel, or check the",
        ),
        (["10", "11"], r"the folder has 2 PNGs of other names, such as 10\.png; .*Rename .*: 10\.png to 0010\.png\."),
        (["0008", "0009"], r"such as 0008\.png; .*Pass --split val, to which these predictions belong"),
        (["good/0010"], r"no PNG at all; .*Pass the folder that contains the predictions: --pred \S*/good\."),
        (["good/global_seg/0010", "good/results.txt"], r"the folder that contains the predictions: --pred \S*/good\."),
        (["a", "good/0011"], r"such as a\.png; .*Write \S*/0010\.png and the others, with the label of each pixel, or"),
        (
            ["0010"],
            r"2 of 3 images have no PNG, including 0011, 0012; expected .*; if mhp predict wrote this folder, ",
        ),
    ],
)
def test_a_folder_without_the_predictions_says_what_it_has_instead(packed, tmp_path, there, message):
    for name in there:
        write(tmp_path / (name if "." in name else f"{name}.png"), np.zeros((40, 60), np.uint8))
    with pytest.raises(PredictionError, match=message) as caught:
        score(packed, tmp_path, "test")
    assert ("mhp predict" in str(caught.value)) == (there == ["0010"]), "it may be another program's"


def test_predictions_that_are_missing_are_named_before_anything_is_scored(packed, tmp_path):
    images = truth(packed)
    with pytest.raises(PredictionError, match="3 of 3 images have no PNG, including 0010, 0011, 0012"):
        score(packed, tmp_path, "test")
    with pytest.raises(PredictionError, match=r"nope: missing; expected a folder of predictions. Check the spelling,"):
        score(packed, tmp_path / "nope", "test")
    for form in "labels", "official":
        folder = submit(tmp_path / form, form, images)
        for path in folder.rglob("0011.png"):
            path.unlink()
            with pytest.raises(PredictionError, match="1 of 3 images has no PNG, 0011"):
                score(packed, folder, "test")
    folder = submit(tmp_path / "masks", "masks", images)
    (folder / "results.txt").write_text("0010 1 0.5\n")
    with pytest.raises(PredictionError, match=r"results\.txt: 2 of 3 images have no line, including 0011, 0012"):
        score(packed, folder, "test")
    (folder / "results.txt").write_text("0008\n0009 1 0.5\n")
    with pytest.raises(PredictionError, match=r"3 of 3 images have no line.* Pass --split val, to which these"):
        score(packed, folder, "test")
    (folder / "results.txt").write_text("0010\n0011 5 0.5\n0012\n")
    with pytest.raises(PredictionError, match=r"0011_5\.png: missing; expected"):
        score(packed, folder, "test")
    (folder / "global_tag").mkdir()
    with pytest.raises(PredictionError, match="both global_tag and masks"):
        score(packed, folder, "test")


@pytest.mark.parametrize(
    "line",
    ["0010 1", "0010 one 0.5", "0010 1 nan", "0010 1 inf", "0010 0 0.5", "0010 65536 0.5", "0010 " + "1 0.5 " * 256],
    ids=lambda line: line[:16],
)
def test_lines_that_are_wrong(packed, tmp_path, line):
    folder = submit(tmp_path, "official", truth(packed))
    text = (folder / "results.txt").read_text()
    (folder / "results.txt").write_text(text + "\n" + line + "\n")
    with pytest.raises(PredictionError, match=r"results\.txt line 5"):
        score(packed, folder, "test")


def test_a_line_that_comes_again(packed, tmp_path):
    folder = submit(tmp_path, "official", truth(packed))
    (folder / "results.txt").write_text((folder / "results.txt").read_text() + "0010\n")
    with pytest.raises(PredictionError, match="line 4: image 0010 again"):
        score(packed, folder, "test")
    (folder / "results.txt").unlink()
    with pytest.raises(PredictionError, match=r"results\.txt: missing; expected"):
        score(packed, folder, "test")


@pytest.mark.parametrize("form", ["labels", "official", "masks"])
def test_labels_that_do_not_exist_are_an_error_and_never_another_label(packed, tmp_path, form):
    for label in 19, 255:
        images = truth(packed)
        labels, owners, masks = images["0011"]
        labels[0, 0], owners[0, 0], masks[0][0, 0] = label, 1, label
        with pytest.raises(PredictionError, match=rf"0011.*label {label}; expected labels 0 to 18"):
            score(packed, submit(tmp_path / str(label), form, images), "test")


@pytest.mark.parametrize("form", ["labels", "official", "masks"])
def test_labels_that_do_not_exist_count_as_in_the_official_code_where_that_is_asked_for(packed, tmp_path, form):
    images = truth(packed)
    labels, owners, masks = images["0011"]
    labels[-1, -1] = masks[0][-1, -1] = 21  # on background: the official code counts it as label 2 at a pixel of hat
    owners[-1, -1] = 1
    folder = submit(tmp_path, form, images)
    found = score(packed, folder, "test", unknown="official")
    if found.confusion is not None:
        assert found.confusion.missed.tolist() == [1] + [0] * 18
        assert found.confusion.pix_acc == 1 - 1 / (3 * 40 * 60)
    if found.persons is not None:
        predicted = np.where(owners == 1, labels, 0).astype(np.uint8) if form == "official" else masks[0]
        ious = naive_score.official_class_ious(predicted, truth(packed)["0011"][2][0], 19)
        assert ious[1] == 0, "a class that neither map has"
        covered = [np.nanmean(ious), *found_of(packed, submit(tmp_path / "right", form, truth(packed)))[1:]]
        assert found.rows[1].overlap == pytest.approx(np.mean(covered))
    assert "Out-of-range predicted labels were counted" in table(found) and found.as_dict()["unknown"] == "official"
    flags = ("--data", packed, "--pred", folder, "--split", "test")
    assert "label 21" in command(*flags, status=1).stderr
    assert command(*flags, "--unknown-labels", "official").stdout.startswith(f"{table(found)}\ncontent of ")


def found_of(packed, folder):
    """Return the highest mean IoU of a prediction with each true person of 0011."""
    sample = next(sample for sample in mhpdata.open(packed, "test") if sample.name == "0011")
    submission = Submission(folder, ["0011"], 19)
    layers = submission.persons("0011", (40, 60))[1]
    return overlap(layers, sample.masks, 19).mean.max(axis=0).tolist()


def test_a_prediction_that_is_not_counted_is_explained(packed, tmp_path):
    images = truth(packed)
    images["0011"][0][5:15] = 255
    with pytest.raises(
        PredictionError, match=r'label 255; expected labels 0 to 18\. .*255 means "not counted" in true'
    ):
        score(packed, submit(tmp_path, "labels", images), "test")


def test_predictions_of_another_size(packed, tmp_path):
    folder = submit(tmp_path, "labels", truth(packed, at="packed"))
    with pytest.raises(
        PredictionError, match=r"is 32 x 48; expected 40 x 60 \(height x width\), the size of its labels"
    ):
        score(packed, folder, "test")


def test_a_prediction_turned_by_90_degrees(packed, tmp_path):
    images = {name: (labels.T, owners, masks) for name, (labels, owners, masks) in truth(packed).items()}
    with pytest.raises(
        PredictionError, match=r"is 60 x 40; expected 40 x 60 \(height x width\), .*by EXIF: .*mhp predict --exif raw"
    ):
        score(packed, submit(tmp_path, "labels", images), "test")


@pytest.mark.parametrize("write", [write_v2, write_cihp])
def test_the_other_layouts(write, tmp_path):
    write(tmp_path / "download", {"train": [3], "val": [7, 10], "test": [8]})
    mhpdata.pack(tmp_path / "download", tmp_path / "rec", size=0, workers=1)
    images = truth(tmp_path / "rec", "val")
    found = score(tmp_path / "rec", submit(tmp_path / "pred", "official", images), "val")
    assert (found.persons.ap == 1).all() and found.confusion.pix_acc == 1
    assert len(found.classes) == (59 if write is write_v2 else 20) and found.persons.persons == len(images) * (
        1 if write is write_v2 else 3
    )
    name, (labels, _, _) = next(iter(images.items()))
    labels[0, 0] = len(found.classes)
    with pytest.raises(PredictionError, match=f"{name}.*label {len(found.classes)}"):
        score(tmp_path / "rec", submit(tmp_path / "bad", "labels", images), "val")
    with pytest.raises(OptionError, match="no labels"):
        score(
            tmp_path / "rec", submit(tmp_path / "test", "labels", {"8": images[name], "0000008": images[name]}), "test"
        )


def test_wrong_arguments(packed, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="source or packed"):
        score(packed, tmp_path, "test", at="both")
    folder = submit(tmp_path, "labels", truth(packed, "val"))
    shutil.copytree(packed, tmp_path / "rec")
    from dataclasses import replace

    from mhpdata.storage.split import Split

    record = Split.record
    monkeypatch.setattr(
        Split, "record", lambda self, i: replace(record(self, i), runs=None, row_offsets=None, masks=[])
    )
    with pytest.raises(OptionError, match="no labels"):
        score(packed, folder, "val")
    monkeypatch.setattr(Split, "record", lambda self, i: replace(record(self, i), masks=[b"no mask"]))
    with pytest.raises(RecordError, match="mask of person 1"):
        score(packed, folder, "val")


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the licence keeps the true sample out; see MHP_SAMPLES")
def test_the_merged_truth_of_the_true_sample_against_its_masks(tmp_path):
    root = tmp_path / "LV-MHP-v1"
    for folder, pattern in (("images", "*.jpg"), ("annotations", "*.png")):
        (root / folder).mkdir(parents=True)
        for path in SAMPLE.glob(pattern):
            shutil.copyfile(path, root / folder / path.name)
    (root / "train_list.txt").write_text("1528.jpg\n")
    (root / "test_list.txt").write_text("")
    mhpdata.pack(root, tmp_path / "rec", size=0, splits=["train"])
    (sample,) = mhpdata.open(tmp_path / "rec", "train")
    images = {"1528": (sample.labels, sample.persons, sample.masks)}
    folder = submit(tmp_path / "pred", "official", images, scores=(0.9, 0.8, 0.7, 0.6))
    found = score(tmp_path / "rec", folder, "train")
    assert (found.persons.ap == 1).all() and (found.persons.pcp == 1).all() and found.confusion.miou < 1
    assert found.confusion.pix_acc == 1
    submission = Submission(folder, ["1528"], 19)
    _, layers = submission.persons("1528", (710, 1000))
    mean = overlap(layers, sample.masks, 19).mean
    assert np.round(np.diagonal(mean), 5).tolist() == [1.0, 0.99993, 0.99754, 0.99951]
