"""Intervals and differences: their numbers, text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from predictions import spoil, submit, truth, write_packed

from mhpdata.errors import OptionError, PredictionError
from mhpmodels.scoring.comparison import compare_scores
from mhpmodels.scoring.resample import draw, replicate
from mhpmodels.scoring.score import score


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Return the scores of a spoilt, a right and a label-only prediction of the images of train."""
    root = tmp_path_factory.mktemp("comparison")
    packed = write_packed(root)
    right = truth(packed, "train")
    forms = {"spoilt": ("official", spoil(right)), "right": ("official", right), "labels": ("labels", right)}
    forms["masks"] = ("masks", right)
    return {name: score(packed, submit(root / name, form, images), "train") for name, (form, images) in forms.items()}


def test_intervals_are_percentiles_of_the_samples(scores):
    spoilt = scores["spoilt"]
    found = compare_scores(spoilt, samples=300, seed=7)
    sampled = replicate(spoilt.per_image, spoilt.classes, draw(len(spoilt.rows), 300, 7))
    content = spoilt.as_dict()
    assert {(line.figure, line.of) for line in found.lines} == set(sampled)
    for line in found.lines:
        value = content[line.figure][line.of] if line.of else content[line.figure]
        assert line.value == value or (value is None and np.isnan(line.value))
        known = sampled[line.figure, line.of][~np.isnan(sampled[line.figure, line.of])]
        ends = np.percentile(known, [2.5, 97.5]).tolist() if known.size else [np.nan, np.nan]
        assert list(line.interval) == pytest.approx(ends, nan_ok=True)
        assert line.other is None and line.change is None
    by_key = {(line.figure, line.of): line for line in found.lines}
    assert by_key["mIoU", ""].interval[0] < by_key["mIoU", ""].value < by_key["mIoU", ""].interval[1]
    nested = found.as_dict()["intervals"]
    assert (nested["samples"], nested["seed"]) == (300, 7) and "against" not in found.as_dict()
    assert nested["figures"]["mIoU"] == list(by_key["mIoU", ""].interval)
    assert nested["figures"]["IoU"]["hair"] == list(by_key["IoU", "hair"].interval)
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_difference_is_paired(scores):
    same = compare_scores(scores["spoilt"], scores["spoilt"], samples=100)
    for line in same.lines:
        assert np.isnan(line.difference) or line.difference == 0
        assert np.isnan(line.change[0]) or line.change == (0, 0)
    found = compare_scores(scores["right"], scores["spoilt"], names=("a", "b"), samples=200)
    lines = {(line.figure, line.of): line for line in found.lines}
    for key in ("pixAcc", ""), ("mIoU", ""), ("AP^p_vol", ""), ("AP^r_vol", ""), ("AP^h_vol", ""), ("IoU", "hair"):
        line = lines[key]
        assert line.change[0] > 0 and line.change[0] <= line.difference <= line.change[1], key
    figures = found.as_dict()["against"]
    assert figures["pred"] == "b" and set(figures["figures"]["mIoU"]) == {"value", "other", "difference", "interval"}
    assert (
        compare_scores(scores["right"], scores["spoilt"], names=("a", "b"), samples=200, threads=1).text()
        == found.text()
    )
    json.dumps(found.as_dict(), allow_nan=False)


def test_only_common_figures_are_compared(scores):
    found = compare_scores(scores["spoilt"], scores["labels"], samples=0)
    assert {line.figure for line in found.lines} == {"pixAcc", "mIoU", "mIoU_present", "IoU"}
    assert found.as_dict()["against"]["figures"]["mIoU"]["interval"] is None and "intervals" not in found.as_dict()
    with pytest.raises(PredictionError, match="labels: no figure in common; expected predictions of the kind of masks"):
        compare_scores(scores["masks"], scores["labels"], names=("masks", "labels"))


def test_text_and_markdown(scores):
    found = compare_scores(scores["right"], scores["spoilt"], names=("a", "b"), samples=100)
    mine = next(line for line in found.lines if line.figure == "mIoU")
    cells = [f"{mine.value:.4f}", f"{mine.other:.4f}", f"{mine.difference:+.4f}"]
    ends = f"{mine.change[0]:+.4f} to {mine.change[1]:+.4f}"
    text = found.text().splitlines()
    assert text[0] == "7 images; A: a, B: b; 95 % intervals from 100 bootstrap samples of the images, seed 0"
    row = next(line for line in text if line.startswith("mIoU "))
    assert row.split() == ["mIoU", *cells, *ends.split()] and len({len(line) for line in text[2:]}) == 1
    tables = found.markdown().split("\n\n")
    assert [t.split("\n")[0] for t in tables[1:]] == [
        f"| {name} | A | B | A - B | 95 % interval |" for name in ("figure", "IoU", "AP^r_vol")
    ]
    assert f"| mIoU | {' | '.join(cells)} | {ends} |" in tables[1]
    assert {line.count("|") for table in tables[1:] for line in table.splitlines()} == {6}
    alone = compare_scores(scores["right"], samples=0).markdown()
    assert "| figure | value |\n| --- | ---: |\n| pixAcc | 1.0000 |" in alone
    odd = replace(scores["labels"], classes=("a|b\\", *scores["labels"].classes[1:]))
    assert "| a\\|b\\\\ | " in compare_scores(odd, samples=0).markdown()


def test_wrong_arguments(scores):
    with pytest.raises(OptionError, match="bootstrap"):
        compare_scores(scores["right"], samples=-1)
    with pytest.raises(OptionError, match=r"bootstrap: 99; expected 0 for no intervals, or a whole number from 100"):
        compare_scores(scores["right"], samples=99)
    with pytest.raises(OptionError, match="seed"):
        compare_scores(scores["right"], seed=-1)
