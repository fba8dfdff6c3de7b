"""Predictions in another label set: scored as their converted files, and refused where there is no table."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from folder import write_folder

import mhpdata
from mhpdata.label_sets.built_in import table_of
from mhpdata.label_sets.naming import conversion_between, lookup
from mhptools.score import main


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("converted")
    mhpdata.pack(write_folder(root / "v1", images=8, size=(40, 60)), root / "rec", workers=1)
    return root / "rec"


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments), "--split", "val"])


def test_predictions_in_another_label_set_score_as_their_converted_files(packed, tmp_path):
    one = conversion_between(table_of("lip"), table_of("mhp-v1"))
    table = lookup(one)
    rng = np.random.default_rng(0)
    for folder in ("lip", "v1"):
        (tmp_path / folder).mkdir()
    for sample in mhpdata.open(packed, "val"):
        labels = rng.integers(0, 20, sample.record.source_size, dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"lip/{sample.name}.png"), labels)
        cv2.imwrite(str(tmp_path / f"v1/{sample.name}.png"), table[labels])
    done = run("--data", packed, "--pred", tmp_path / "lip", "--labels", "lip", "--json", "--boundary")
    plain = run("--data", packed, "--pred", tmp_path / "v1", "--json", "--boundary")
    assert done.exit_code == plain.exit_code == 0, done.output
    found, expected = json.loads(done.stdout), json.loads(plain.stdout)
    converted = found.pop("converted")
    assert found == expected and converted["lost"] == one.lost
    text = run("--data", packed, "--pred", tmp_path / "lip", "--labels", "lip").stdout
    assert "Labels of lip, converted to those of mhp-v1." in text
    pictures = [tmp_path / "lip.png", tmp_path / "v1.png"]
    for picture, flags in zip(pictures, (["--labels", "lip"], []), strict=True):
        drawn = run("--data", packed, "--pred", tmp_path / picture.stem, *flags, "--worst", picture, "--count", 2)
        assert drawn.exit_code == 0, drawn.output
    np.testing.assert_array_equal(*(cv2.imread(str(picture)) for picture in pictures))
    refused = run("--data", packed, "--pred", tmp_path / "lip", "--labels", "atr")
    assert refused.exit_code != 0 and "labels 0 to 17" in refused.output


def test_without_a_table_nothing_is_scored(packed, tmp_path):
    done = run("--data", packed, "--pred", tmp_path, "--labels", "pascal-person-part")
    assert done.exit_code != 0 and "no class of pascal-person-part" in done.output
