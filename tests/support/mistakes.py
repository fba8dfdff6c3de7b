"""Make the mistakes whose messages docs/reliability.md quotes.

Each function makes one in the current folder, which holds D, a download, and rec, its pack, and ends with the error of
mhp. The keys of the three tables are the words of that page for the input.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mhpdata
from mhpdata.source import files

DEFECTS = {
    "an image that a list contains is missing": "missing-image",
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
    "a list with CRLF line endings": "list-crlf",
}
"""Rows of the first table that ``mhp synth --defects`` makes."""


def empty_split():
    for path in Path("D/images").iterdir():
        path.write_bytes(b"")
    mhpdata.pack("D", "new", on_error="skip")


def link_out():
    Path("D/images/0001.jpg").unlink()
    Path("D/images/0001.jpg").symlink_to("/etc/hostname")
    mhpdata.pack("D", "new")


def unfinished_copy():
    Path("D/images/0001.jpg").rename("D/images/0001.jpg.part")
    mhpdata.pack("D", "new")


def nearly_right():
    Path("D/images/0001.jpg").rename("D/images/1.jpg")
    mhpdata.pack("D", "new")


def disk_of_the_source():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_read", refuse)
        mhpdata.pack("D", "new")


def refuse(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def no_dataset():
    Path("thesis").mkdir()
    Path("thesis/thesis.txt").write_text("")
    mhpdata.pack("thesis", "new")


SOURCES = {
    "a split whose entries are all skipped": empty_split,
    "a link that points outside the folder": link_out,
    "an unfinished copy of a file": unfinished_copy,
    "a file with nearly the right name": nearly_right,
    "a disk that fails": disk_of_the_source,
    "a folder that is not a dataset": no_dataset,
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
    opened = mhpdata.open("rec", "train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", refuse)
        opened[0]


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
    "another program's file under a name that mhp uses": of_somebody_else,
    "other options for a finished pack": lambda: mhpdata.pack("D", "rec", size=64),
    "a state of a loader with another seed": other_seed,
    "a failing disk under a packed folder": disk_of_the_pack,
}
