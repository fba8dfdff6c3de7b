"""The messages that docs/reliability.md quotes are those of mhp: each mistake is made, and its message compared.

Numbers may differ: they depend on the versions of encoders. A quote that ends in "..." is the beginning of a message.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from places import ROOT

import mhpdata
from mhpdata.errors import MhpError
from mhpdata.source import files
from mhpdata.synth.writing.folder import synthesize

pytestmark = pytest.mark.once

ROW = re.compile(
    r"^\| ([^|`]+) \| `((?:Folder|Mask|Image|Unreadable|Record|Shard|Manifest|Option|Output)Error: .*)` \|$"
)
DEFECTS = {
    "an image that a list names is missing": "missing-image",
    "a person's mask is missing": "missing-mask",
    "one mask too many": "extra-mask",
    "a mask whose size differs from its image": "mask-size",
    "a colour mask": "rgb-mask",
    "a label that does not exist": "label-19",
    "an empty file": "empty-image",
    "a truncated image": "truncated-image",
    "a truncated mask": "truncated-mask",
    "an image that declares a gigantic size": "huge-image",
    "a web page under the name of an image": "not-an-image",
    "a name that leads out of the folder": "list-traversal",
    "a name listed twice": "list-duplicate",
    "a list with CR LF line ends": "list-crlf",
}
"""Rows of the first table that ``mhp synth --defects`` makes."""


def quotes() -> dict[str, str]:
    """Return the messages of both tables by the words for the input."""
    lines = (ROOT / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    return {row[1]: row[2] for line in lines if (row := ROW.match(line))}


def same(quoted: str, message: str) -> bool:
    """Return whether a quote is a message, or its beginning; numbers do not count."""
    quoted, message = (re.sub(r"\d+", "0", text) for text in (quoted, message))
    return message.startswith(quoted.removesuffix("...").rstrip()) if quoted.endswith("...") else quoted == message


def raised(call: Callable[[], object]) -> str:
    """Return the class and the text of the error that a call raises."""
    with pytest.raises(MhpError) as caught:
        call()
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold a synthetic download D with one of each defect, a good one G, and G packed as rec."""
    root = tmp_path_factory.mktemp("quoted")
    for name, defects in (("D", True), ("G", False)):
        synthesize(root / name, images=16, scale=0.1, defects=defects, workers=1)
    mhpdata.pack(root / "G", root / "rec", size=0, workers=1)
    return root


@pytest.fixture
def place(folder, tmp_path, monkeypatch):
    """Go to a folder with copies of the good download and its pack."""
    shutil.copytree(folder / "G", tmp_path / "D")
    shutil.copytree(folder / "rec", tmp_path / "rec")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tables_have_what_is_tested_and_nothing_else():
    assert set(quotes()) == {*DEFECTS, *SOURCES, *PACKED}


def test_defects_of_a_download(folder, monkeypatch):
    monkeypatch.chdir(folder)
    ids = dict(line.split() for line in Path("D/DEFECTS.txt").read_text().splitlines())
    problems = [f"{type(error).__name__}: {error}" for error in mhpdata.verify_source("D", workers=1).findings]
    said = quotes()
    for words, defect in DEFECTS.items():
        if defect.startswith("list"):
            matching = [problem for problem in problems if same(said[words], problem)]
        else:
            matching = [one for one in problems if re.search(rf"\b{ids[defect]}[._ ]", one) and same(said[words], one)]
        assert matching, f"{words}: {said[words]} is none of {problems}"


def empty_split():
    for path in Path("D/images").iterdir():
        path.write_bytes(b"")
    mhpdata.pack("D", "new", on_error="skip")


def link_out():
    Path("D/images/0001.jpg").unlink()
    Path("D/images/0001.jpg").symlink_to("/etc/hostname")
    mhpdata.pack("D", "new")


def nearly_right():
    Path("D/images/0001.jpg").rename("D/images/0001.jpg.part")
    mhpdata.pack("D", "new")


def disk_of_the_source():
    patch = pytest.MonkeyPatch()
    patch.setattr(files, "_read", refuse)
    try:
        mhpdata.pack("D", "new")
    finally:
        patch.undo()


def refuse(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def no_dataset():
    Path("thesis").mkdir()
    Path("thesis/thesis.txt").write_text("")
    mhpdata.pack("thesis", "new")


SOURCES = {
    "a split of which everything is left out": empty_split,
    "a link that leads out of the folder": link_out,
    "a file with nearly the right name": nearly_right,
    "a disk that fails": disk_of_the_source,
    "a folder that is no dataset": no_dataset,
}


def shard(suffix="rec"):
    return next(Path("rec").glob(f"train-*.{suffix}"))


def read_all():
    for split in ("train", "val", "test"):
        for index in range(len(opened := mhpdata.open("rec", split))):
            opened[index]


def flipped():
    data = bytearray(shard().read_bytes())
    data[len(data) // 2] ^= 1
    shard().write_bytes(data)
    read_all()


def cut():
    os.truncate(shard(), shard().stat().st_size // 2)
    read_all()


def no_shard():
    shard().unlink()
    read_all()


def no_index():
    shard("idx").unlink()
    read_all()


def cut_index():
    os.truncate(shard("idx"), 11)
    read_all()


def other_names():
    manifest = json.loads(Path("rec/manifest.json").read_text())
    names = manifest["splits"]["train"]["shards"][0]["names"]
    names[0] = "0999"
    Path("rec/manifest.json").write_text(json.dumps(manifest))
    read_all()


def no_manifest():
    Path("rec/manifest.json").unlink()
    read_all()


def cut_manifest():
    os.truncate("rec/manifest.json", 300)
    read_all()


def later_version():
    text = Path("rec/manifest.json").read_text()
    Path("rec/manifest.json").write_text(re.sub(r'("version": )\d', r"\g<1>9", text, count=1))
    read_all()


def of_somebody_else():
    Path("new").mkdir()
    Path("new/.packing").symlink_to("/home/me/thesis")
    mhpdata.pack("D", "new")


def of_something_else():
    Path("new").mkdir()
    Path("new/thesis.txt").write_text("")
    mhpdata.pack("D", "new")


def other_seed():
    loader = mhpdata.Loader("rec", "train", batch_size=2, view=mhpdata.TrainCrop(64))
    loader.load_state_dict({**loader.state_dict(), "seed": 1})


def disk_of_the_pack():
    patch = pytest.MonkeyPatch()
    opened = mhpdata.open("rec", "train")
    patch.setattr(os, "pread", refuse)
    try:
        opened[0]
    finally:
        patch.undo()


PACKED: dict[str, Callable[[], object]] = {
    "a flipped bit in a shard": flipped,
    "a truncated shard": cut,
    "a shard of another pack": other_names,
    "a missing shard": no_shard,
    "a missing index": no_index,
    "a truncated index": cut_index,
    "no manifest": no_manifest,
    "a truncated manifest": cut_manifest,
    "a manifest of a later version": later_version,
    "a split that does not exist": lambda: mhpdata.open("rec", "trian"),
    "a folder that does not exist": lambda: mhpdata.open("nowhere", "train"),
    "an output folder with other files": of_something_else,
    "a foreign file under a name of mhp's": of_somebody_else,
    "other options for a finished pack": lambda: mhpdata.pack("D", "rec", size=64),
    "a state of other data": other_seed,
    "a failing disk under a packed folder": disk_of_the_pack,
}


@pytest.mark.parametrize("words", [*SOURCES, *PACKED])
def test_other_mistakes(words, place):
    message = raised({**SOURCES, **PACKED}[words])
    quoted = quotes()[words]
    assert same(quoted, message), f"{words}:\n  docs/reliability.md says {quoted}\n  mhp says {message}"
