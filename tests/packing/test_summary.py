"""The final report of mhp pack: the manifest in words."""

from __future__ import annotations

from dataclasses import replace

import make_golden
from make_golden import GOLDEN

from mhpdata.packing.summary import FORMAT_1, SHOWN, report
from mhpdata.source.scan import flags_of
from mhpdata.storage.manifest import read_manifest
from mhpdata.storage.packed import Skipped

MANIFEST = replace(make_golden.manifest(), written=True)


def test_counts_rule_copies_and_what_was_skipped():
    duplicates = (("train/1528", "train/0002"), ("train/1528", "val/0007"))
    text = report(replace(MANIFEST, duplicates=duplicates), "rec")
    lines = text.splitlines()
    assert lines[0] == "rec: mhp-v1, packed as recordio"
    assert [line.split()[:2] for line in lines[4:7]] == [["train", "2"], ["val", "0"], ["all", "2"]]
    assert any("the overlap rule is 'first'" in line for line in lines)
    assert "Byte-identical images: 4 in 2 groups; all kept, listed in the manifest." in lines
    assert "  within a split: 1 group" in lines and "  train and val share: 1 group" in lines
    at = lines.index("Skipped: 2, each recorded in the manifest. Run mhp verify --src SRC for what to do about them.")
    assert lines[at + 1] == "  train/0003: annotations/0003_02_01.png: holds label 19; the highest is 18"
    assert lines[at + 2] == '  all splits/"\u00fc"\\n: train_list.txt line 7: does not name an image'
    assert lines[at + 4] == "  images: 2 files used under another name, such as 0007.JPG for 0007.jpg"
    assert "  bytes after the end of a JPEG removed: 1 image (train/0002)" in lines
    assert lines[1] == f"content {MANIFEST.content_id}"


def test_nothing_to_say_is_said():
    text = report(replace(MANIFEST, duplicates=(), skipped=(), notes=(), renamed=()), "rec")
    assert text.endswith("No two images are byte-identical.\nNothing was skipped.")


def test_only_the_first_of_many_skipped_are_shown():
    skipped = tuple(Skipped("train", str(i), f"{i}.jpg", "empty") for i in range(SHOWN + 3))
    lines = report(replace(MANIFEST, skipped=skipped, notes=(), renamed=()), "rec").splitlines()
    last = SHOWN - 1
    assert lines[-1] == "  ... and 3 more" and lines[-2] == f"  train/{last}: {last}.jpg: is an empty file"


def test_the_download_is_named_for_who_wants_to_know_more():
    assert "Run mhp verify --src MHP for what" in report(MANIFEST, "rec", "MHP/")
    flags = flags_of("auto", "my labels.json", True)
    assert flags == " --labels 'my labels.json' --follow-links" and flags_of("ccihp", None, False) == " --layout ccihp"
    assert f"Run mhp verify --src MHP{flags} for what" in report(MANIFEST, "rec", "MHP/", flags)


def test_a_folder_of_format_1_is_complete_and_says_what_may_be_done():
    lines = report(read_manifest(GOLDEN / "0.1/skipped"), "rec").splitlines()
    assert lines[0] == "rec: already complete; nothing was written. It holds:"
    assert lines[2] == f"Complete. {FORMAT_1}" and "--overwrite" in FORMAT_1
    assert any(line.startswith("  train/0003: annotations: image 0003 names 2 persons but has") for line in lines)
