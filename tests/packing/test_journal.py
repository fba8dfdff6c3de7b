"""Packs killed between any two steps, or whose source is broken and repaired meanwhile, end like a new pack.

Conversion is faked, so that a thousand packs take seconds: an image's text gives the length of its record, or BAD.
"""

import contextlib
import errno
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from fake_packs import Source, fake_conversion, killed_at

from mhpdata.errors import MhpError, OutputError
from mhpdata.filesystem import locks
from mhpdata.packing import journal
from mhpdata.packing import run as packing
from mhpdata.packing.pack import pack


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    fake_conversion(monkeypatch)


class Killed(BaseException):
    """Simulates SIGKILL: nothing in the library catches it."""


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "build.json"}


@pytest.mark.parametrize("seeds", [range(50), pytest.param(range(50, 5000), marks=pytest.mark.slow)])
def test_kills_breakages_and_repairs_in_any_order(tmp_path, monkeypatch, seeds):
    publish, finish = journal.Journal.publish, packing.Run.finish
    for seed in seeds:
        draw = random.Random(seed)
        base = tmp_path / str(seed)
        source, out = Source(base / "source", draw.randint(4, 14), draw), base / "out"
        for _ in range(draw.randint(1, 4)):
            _pack_and_die(monkeypatch, draw, source.root, out, publish, finish)
            if (out / "manifest.json").exists():
                shutil.rmtree(out)
            for i in draw.sample(range(4), draw.choice([0, 1, 1, 2])):
                source.write(f"{i:04}")
        for folder in (out, base / "fresh"):
            pack(source.root, folder, shard_mb=1, on_error="skip", workers=1, allow_empty=True)
        assert tree(out) == tree(base / "fresh"), f"seed {seed}"
        shutil.rmtree(base)


def _pack_and_die(monkeypatch, draw, source, out, publish, finish):
    """Pack; kill it before or after a shard is published, before the manifest, or not at all."""
    last, early, published = draw.choice([None, 1, 2, 3, 4]), draw.random() < 0.5, [0]

    def dying_publish(self, done, entries):
        if early and published[0] + 1 == last:
            raise Killed
        publish(self, done, entries)
        published[0] += 1
        if published[0] == last:
            raise Killed

    def dying_finish(self, *args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "publish", dying_publish)
        patch.setattr(packing.Run, "finish", dying_finish if last is None and early else finish)
        try:
            pack(source, out, shard_mb=1, on_error=draw.choice(["skip", "skip", "fail"]), workers=1, allow_empty=True)
        except (Killed, MhpError):
            return


BEFORE = ["nothing", "an unfinished pack"]
BEFORE += [pytest.param(name, marks=pytest.mark.slow) for name in ("a finished pack", "the same pack")]


@pytest.mark.parametrize("before", BEFORE)
def test_killed_at_every_step_on_the_disk(tmp_path, monkeypatch, before):
    source = Source(tmp_path / "source", 9, random.Random(1))
    wanted = {"shard_mb": 1, "workers": 1, "on_error": "skip", "overwrite": before != "nothing"}
    other = {"nothing": None, "a finished pack": 128, "an unfinished pack": 128, "the same pack": 768}[before]
    pack(source.root, tmp_path / "whole", **wanted)
    whole, start = tree(tmp_path / "whole"), tmp_path / "start"
    if other is not None:
        with monkeypatch.context() as patch:
            if before == "an unfinished pack":
                patch.setattr(packing.Run, "finish", lambda *args: (_ for _ in ()).throw(Killed))
            with contextlib.suppress(Killed):
                pack(source.root, start, shard_mb=1, on_error="skip", size=other)
    old = tree(start) if other is not None else {}
    for step in range(1, 1000):
        out = tmp_path / f"out{step}"
        if other is not None:
            shutil.copytree(start, out)
        if killed_at(step, lambda out=out: pack(source.root, out, **wanted), out) == 0:
            assert step > 15, "the steps were seen"
            return
        if (out / "manifest.json").exists():
            assert tree(out) in (whole, old), f"killed at step {step}: a dataset that is not whole"
        pack(source.root, out, **wanted)
        assert tree(out) == whole, f"killed at step {step}"
    pytest.fail("the pack never ended")


def unfinished(tmp_path, monkeypatch):
    """Make a source, and a pack of it that was killed before it wrote the manifest."""
    source, out = Source(tmp_path / "source", 9, random.Random(1)), tmp_path / "out"
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(packing.Run, "finish", lambda *args: (_ for _ in ()).throw(Killed))
        pack(source.root, out, shard_mb=1, on_error="skip", workers=1)
    assert (out / ".packing/train-00001.json").exists() and not (out / "manifest.json").exists()
    return source, out


def without(*names):
    return lambda note: {name: value for name, value in note.items() if name not in names}


NO_NOTES = {
    "list": lambda note: [],
    "text": lambda note: "text",
    "empty": lambda note: {},
    "null": lambda note: None,
    "no stop": without("stop"),
    "no shard": without("shard"),
    "no skipped": without("skipped"),
    "no notes, as of an older mhp": without("notes"),
    "notes are texts": lambda note: note | {"notes": ["trailer"]},
    "stop is a text": lambda note: note | {"stop": "4"},
    "stop is beyond": lambda note: note | {"stop": 10**9},
    "shard is a list": lambda note: note | {"shard": []},
    "shard has no files": lambda note: note | {"shard": {"records": 0, "files": [], "names": []}},
    "statistics are none": lambda note: note | {"statistics": None},
    "skipped is a text": lambda note: note | {"skipped": ["0001"]},
    "skipped has another field": lambda note: note | {"skipped": [{"split": "train", "why": "no"}]},
    "no contents": without("contents"),
    "contents of another record more": lambda note: note | {"contents": note["contents"] + "00" * 32},
    "sources too few": lambda note: note | {"sources": note["sources"][32:]},
    "names of others": lambda note: note | {"names": note["names"][::-1]},
    "entries are no digest": lambda note: note | {"entries": "now"},
    "of version 1": lambda note: note | {"options": note["options"] | {"version": 1}},
}


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("change", NO_NOTES)
def test_json_that_is_no_note_is_packed_anew_from_there(tmp_path, monkeypatch, change, number):
    source, out = unfinished(tmp_path, monkeypatch)
    note = out / f".packing/train-{number:05d}.json"
    note.write_text(json.dumps(NO_NOTES[change](json.loads(note.read_text()))))
    for folder in (out, tmp_path / "fresh"):
        pack(source.root, folder, shard_mb=1, on_error="skip", workers=1)
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_note_too_deep_to_read_is_none(tmp_path, monkeypatch):
    source, out = unfinished(tmp_path, monkeypatch)
    (out / ".packing/train-00000.json").write_text("[" * 100_000)
    for folder in (out, tmp_path / "fresh"):
        pack(source.root, folder, shard_mb=1, on_error="skip", workers=1)
    assert tree(out) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("text", ["[]", '["format"]', "5", '"format"'])
def test_options_that_are_no_options_are_none(tmp_path, monkeypatch, text):
    source, out = unfinished(tmp_path, monkeypatch)
    (out / ".packing/options.json").write_text(text)
    before = sorted(out.rglob("*"))
    with pytest.raises(OutputError, match=r"\.packing/options\.json: was not written by mhp.* Move .* elsewhere"):
        pack(source.root, out, shard_mb=1, on_error="skip", workers=1, overwrite=True)
    assert sorted(out.rglob("*")) == before
    (out / ".packing").rename(tmp_path / "moved")
    with pytest.raises(OutputError, match=r"holds test-00000\.idx and .* expected an empty folder"):
        pack(source.root, out, shard_mb=1, on_error="skip", workers=1)


def open_files():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_a_folder_that_cannot_be_locked(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    source, out = Source(tmp_path / "source", 6, random.Random(0)), tmp_path / "out"
    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    before = open_files()
    with pytest.raises(
        OutputError, match=r"cannot be locked \(No locks available\)\. .* file system that supports locks"
    ):
        pack(source.root, out, on_error="skip")
    assert open_files() == before


def test_files_of_others_are_never_deleted(tmp_path):
    source, out = Source(tmp_path / "source", 6, random.Random(0)), tmp_path / "out"
    pack(source.root, out, on_error="skip")
    (out / "epoch-00105.h5").write_bytes(b"weights")
    with pytest.raises(MhpError, match=r"epoch-00105\.h5"):
        pack(source.root, out, on_error="skip", size=64, overwrite=True)
    assert (out / "epoch-00105.h5").read_bytes() == b"weights"


def test_a_repaired_list_is_packed_anew(tmp_path):
    source, out = Source(tmp_path / "source", 6, random.Random(0)), tmp_path / "out"
    lines = (source.root / "train_list.txt").read_bytes()
    (source.root / "train_list.txt").write_bytes(lines + b"../../etc/passwd\n")
    pack(source.root, out, on_error="skip")
    (source.root / "train_list.txt").write_bytes(lines)
    with pytest.raises(MhpError, match="--overwrite"):
        pack(source.root, out, on_error="skip")


def touch(source):
    """Give every file a new modification time, as in a copy of the folder."""
    for path in source.root.rglob("*"):
        os.utime(path, ns=(1, 1))


def inodes(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("*.rec")}


def test_shards_are_taken_over_from_a_source_of_other_times_but_the_same_content(tmp_path, monkeypatch):
    source, out = unfinished(tmp_path, monkeypatch)
    before = inodes(out)
    touch(source)
    converted = []
    monkeypatch.setattr(packing, "convert", lambda *args: converted.append(args))
    pack(source.root, out, shard_mb=1, on_error="skip", workers=1)
    assert inodes(out) == before and not converted
    assert not (out / ".packing").exists()


def test_a_mended_entry_is_packed_though_nothing_else_has_changed(tmp_path, monkeypatch):
    source, out = unfinished(tmp_path, monkeypatch)
    note = json.loads((out / ".packing/train-00000.json").read_text())
    left_out = note["skipped"][0]["name"]
    path = source.root / f"images/{left_out}.jpg"
    state = path.stat()
    path.write_bytes(b"%06d" % 100 + path.read_bytes()[6:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    for folder in (out, tmp_path / "fresh"):
        manifest = pack(source.root, folder, shard_mb=1, on_error="skip", workers=1)
        assert left_out not in [skip.name for skip in manifest.skipped]
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_changed_mask_is_seen_though_its_image_is_the_same(tmp_path, monkeypatch):
    source, out = unfinished(tmp_path, monkeypatch)
    before = inodes(out)
    touch(source)
    (source.root / "annotations/0001_01_01.png").write_bytes(b"another")
    pack(source.root, out, shard_mb=1, on_error="skip", workers=1)
    assert inodes(out) != before


def test_a_finished_pack_of_a_copied_source_is_done_already(tmp_path, monkeypatch):
    source, out = Source(tmp_path / "source", 9, random.Random(1)), tmp_path / "out"
    manifest = pack(source.root, out, shard_mb=1, on_error="skip")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    touch(source)
    copy = shutil.copytree(source.root, tmp_path / "copy")
    monkeypatch.setattr(packing, "convert", None)
    for root in (source.root, copy):
        assert pack(root, out, shard_mb=1, on_error="skip") == manifest
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    (copy / "annotations/0002_01_01.png").write_bytes(b"another")
    with pytest.raises(OutputError, match=r"packed from other files \(changed: train/0002, its annotation\)\. Pass"):
        pack(copy, out, shard_mb=1, on_error="skip")


def test_an_unfinished_pack_of_format_1_is_not_gone_on_with(tmp_path, monkeypatch):
    source, out = unfinished(tmp_path, monkeypatch)
    options = json.loads((out / ".packing/options.json").read_text())
    del options["version"], options["damaged"]
    (out / ".packing/options.json").write_text(json.dumps(options))
    before = tree(out)
    with pytest.raises(OutputError, match=r"an unfinished pack of another version of mhp.*Finish it with that version"):
        pack(source.root, out, shard_mb=1, on_error="skip")
    assert tree(out) == before
    pack(source.root, out, shard_mb=1, on_error="skip", overwrite=True)
    pack(source.root, tmp_path / "fresh", shard_mb=1, on_error="skip")
    assert tree(out) == tree(tmp_path / "fresh")
