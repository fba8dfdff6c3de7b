"""Licences: the claims of an mhp synth folder, and the licence line on everything generated."""

from __future__ import annotations

import json

import pytest
from boxes import write_folder

import mhpdata
from mhpdata.storage.manifest import read_manifest
from mhpdata.synth.writing.folder import synthesize
from mhpdata.synth.writing.forms import FORMS
from mhpdata.terms import SYNTHETIC, SYNTHETIC_NAME, TERMS, Terms, licence_line, terms_of


@pytest.mark.parametrize("layout", FORMS)
def test_a_synthetic_folder_of_any_form_claims_no_licence_of_a_release(layout, tmp_path):
    synthesize(tmp_path / "src", 4, 0, 1, scale=0.05, layout=layout)
    named = {"labels": tmp_path / "src/mine.json"} if layout.startswith("folder") else {"layout": layout}
    manifest = mhpdata.pack(tmp_path / "src", tmp_path / "rec", size=0, workers=1, allow_empty=True, **named)
    assert manifest == read_manifest(tmp_path / "rec")
    assert (manifest.licence, manifest.citation) == (SYNTHETIC, None)
    assert "free to use for any purpose" in licence_line(manifest.licence)
    assert "non-commercial" not in licence_line(manifest.licence)


def test_a_release_keeps_its_terms_whatever_stands_in_a_file_of_that_name(tmp_path):
    folder = write_folder(tmp_path / "LV-MHP-v1")
    for text in (None, "", "mine\n", f"{SYNTHETIC}\nbut not this\n"):
        if text is not None:
            (folder / SYNTHETIC_NAME).write_text(text)
        assert terms_of(folder, "mhp-v1") == TERMS["mhp-v1"]
    manifest = mhpdata.pack(folder, tmp_path / "rec", size=0, workers=1)
    assert licence_line(manifest.licence).startswith("Licence of the images: non-commercial research only")


def test_both_releases_of_mhp_are_for_non_commercial_purposes():
    assert all(TERMS[name].licence.startswith("non-commercial ") for name in ("mhp-v1", "mhp-v2"))


def test_an_unknown_licence_is_said_to_be_unknown(tmp_path):
    assert terms_of(tmp_path, "of-my-own") == Terms(None, None) == terms_of(tmp_path, "atr")
    assert terms_of(tmp_path, "cihp").licence is None
    assert "unknown to mhp" in licence_line(None)


def test_the_licence_of_a_label_file_comes_before_that_of_a_synthetic_folder(tmp_path):
    """A folder of mhp synth, into which files of one's own were copied."""
    src, labels = tmp_path / "src", tmp_path / "src/mine.json"
    synthesize(src, 2, 0, 1, scale=0.05, layout="folder")
    drawn = (
        "SYNTHETIC.txt: the pack will say that mhp synth drew the images; delete the file if the images are your own"
    )
    assert drawn in mhpdata.verify_source(src, labels=labels, allow_empty=True, workers=1).remarks
    content = json.loads(labels.read_text())
    labels.write_text(json.dumps(content | {"licence": "CC BY 4.0", "citation": "We, 2026"}))
    assert drawn not in mhpdata.verify_source(src, labels=labels, allow_empty=True, workers=1).remarks
    manifest = mhpdata.pack(src, tmp_path / "rec", size=0, workers=1, labels=labels, allow_empty=True)
    assert (manifest.licence, manifest.citation) == ("CC BY 4.0", "We, 2026")
