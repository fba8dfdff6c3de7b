"""Packs with a faked conversion, so that a thousand take seconds, and kills at a chosen step.

An image is a text that gives the length of its record, or BAD.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folder import tree

import mhpdata
from mhpdata.errors import ImageError
from mhpdata.packing import run
from mhpdata.packing.convert import Converted
from mhpdata.packing.sources import source_digest
from mhpdata.packing.tasks.work import pack_task
from mhpdata.source.files import read_file
from mhpdata.storage.content import record_digest

WANTED: dict[str, Any] = {"shard_mb": 1, "workers": 1, "on_error": "skip"}
"""Options of the packs of these tests."""


def convert(root, entry, labels, options):
    """Convert an entry whose image is a text, in place of mhpdata.packing.convert."""
    data = (root / entry.image.path).read_bytes() if isinstance(root, Path) else read_file(root, entry.image)
    if data.startswith(b"BAD"):
        raise ImageError(entry.image.path, "BAD", fault=("damaged",))
    size, digest = 24 + int(data[:6]), hashlib.sha256(data)
    record = bytearray(digest.digest() * (size // 32 + 1))[: size - 4] + b"mhp1"
    notes = {"trailer": (digest.hexdigest(),)} if size % 200 < 100 else {}
    content, source = record_digest(record), source_digest(root, entry, digest.digest())
    return Converted(record, digest.hexdigest(), content, source, False, 1, 0, 0, np.zeros(256, np.int64), notes)


class Source:
    """Make a folder of images that are texts; every write has its own time."""

    def __init__(self, root: Path, count: int, draw: random.Random) -> None:
        self.root, self._draw, self._clock = root, draw, 10**9
        for folder in ("images", "annotations"):
            (root / folder).mkdir(parents=True)
        names = [f"{i:04}" for i in range(count)]
        for name in names:
            self.write(name)
            (root / f"annotations/{name}_01_01.png").write_bytes(b"mask")
        (root / "train_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[:-2]))
        (root / "test_list.txt").write_text("".join(f"{name}.jpg\n" for name in names[-2:]))

    def write(self, name: str) -> None:
        size = self._draw.choice([30, 100, 200, 300, 500, 900, 1100])
        kind = b"BAD   " if self._draw.random() < 0.35 else b"%06d" % size
        path = self.root / f"images/{name}.jpg"
        path.write_bytes(kind + b"%030d" % self._draw.getrandbits(60))
        self._clock += 1
        os.utime(path, ns=(self._clock * 10**9,) * 2)


def fake_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packs convert texts, cut shards at a thousand bytes, and not wait for the disk."""
    monkeypatch.setattr(run, "convert", convert)
    monkeypatch.setattr(run, "MB", 1000)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def pack_whole(root: Path, out: Path) -> dict[str, bytes]:
    """Pack in one process with the options WANTED; return the files."""
    mhpdata.pack(root, out, **WANTED)
    return tree(out)


def run_all(root: Path, out: Path, count: int, **choices: Any) -> None:
    """Run each of ``count`` tasks with the options WANTED and ``choices``."""
    for number in range(1, count + 1):
        pack_task(root, out, f"{number}/{count}", **{**WANTED, **choices})


def killed_at(step: int, work: Callable[[], object], out: Path) -> int:
    """Run ``work`` in a child that exits at its ``step``-th change below ``out``; return 0 if it finishes before."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def watch(event: str, args: tuple) -> None:
            changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")
            changes |= event == "open" and isinstance(args[1], str) and bool(set(args[1]) & set("wax+"))
            if changes and out.name in str(args[0]):
                seen[0] += 1
                if seen[0] == step:
                    os._exit(9)

        sys.addaudithook(watch)
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9), f"the pack failed with {status}"
    return status
