"""The closing report of mhp-pack: what is in the manifest, in words."""

from __future__ import annotations

from dataclasses import replace

import make_golden

from mhpdata.packing.summary import SHOWN, report
from mhpdata.storage.manifest import Skipped
from mhpdata.wording import printable

MANIFEST = make_golden.manifest()


def test_counts_rule_copies_and_what_was_skipped():
    duplicates = (("train/1528", "train/0002"), ("train/1528", "val/0007"))
    text = report(replace(MANIFEST, duplicates=duplicates), "rec")
    lines = text.splitlines()
    assert lines[0] == "rec: mhp-v1, packed as recordio"
    assert [line.split()[:2] for line in lines[3:6]] == [["train", "2"], ["val", "0"], ["all", "2"]]
    assert any("the overlap rule is 'first'" in line for line in lines)
    assert "Byte-identical photos: 2 groups of 4 in all; all kept, listed in the manifest." in lines
    assert "  within a split: 1 group" in lines and "  train and val share: 1 group" in lines
    message = printable(MANIFEST.skipped[0].message)
    assert text.endswith(f"Skipped: 1, each recorded in the manifest.\n  MaskError: {message}") and "\\n" in message


def test_nothing_to_say_is_said():
    text = report(replace(MANIFEST, duplicates=(), skipped=()), "rec")
    assert text.endswith("No two photos are byte-identical.\nNothing was skipped.")


def test_only_the_first_of_many_skipped_are_shown():
    skipped = tuple(Skipped("train", str(i), "ImageError", f"no {i}") for i in range(SHOWN + 3))
    lines = report(replace(MANIFEST, skipped=skipped), "rec").splitlines()
    assert lines[-1] == "  ... and 3 more" and lines[-2] == f"  ImageError: no {SHOWN - 1}"


def test_remedies_name_the_download_and_not_its_placeholder():
    skipped = (Skipped("train", "1", "UnreadableError", "images/1.jpg: no. Run chmod u+rX SRC/images/1.jpg."),)
    manifest = replace(MANIFEST, skipped=skipped)
    assert "chmod u+rX MHP/images/1.jpg." in report(manifest, "rec", "MHP/")
    assert "chmod u+rX SRC/images/1.jpg." in report(manifest, "rec")
