"""A pack by tasks equals that of one process, for any number and order of tasks, killed, doubled, late or repeated.

Most tests fake the conversion (fake_packs), so that hundreds of packs take seconds.
"""

import contextlib
import json
import os
import random
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from fake_packs import WANTED, Source, convert, fake_conversion, killed_at, pack_whole, run_all
from folder import tree, write_folder

import mhpdata
from mhpdata.errors import FolderError, ImageError, MhpError, OptionError, OutputError, SourceChangedError
from mhpdata.options import FORMATS
from mhpdata.packing import run as packing
from mhpdata.packing.tasks import plan, work
from mhpdata.packing.tasks.assembly import merge_tasks
from mhpdata.packing.tasks.work import pack_task


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(plan, "BLOCK", 3)


@pytest.fixture
def fast(monkeypatch):
    fake_conversion(monkeypatch)


@pytest.fixture
def source(tmp_path, fast):
    return Source(tmp_path / "source", 14, random.Random(1))


@pytest.fixture
def whole(source, tmp_path):
    return pack_whole(source.root, tmp_path / "whole")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Hold a real download of 36 images, 3 of them broken."""
    root = write_folder(tmp_path_factory.mktemp("images") / "MHP_v1", images=36, size=(160, 224))
    for name in ("0004", "0013", "0036"):
        (root / f"images/{name}.jpg").write_bytes(b"")
    return root


@pytest.mark.parametrize("format", FORMATS)
def test_the_bytes_are_those_of_one_process_for_any_number_of_tasks(images, tmp_path, format):
    options = {"format": format, "image": "raw", "size": 0, "shard_mb": 1, "on_error": "skip", "workers": 2}
    manifest = mhpdata.pack(images, tmp_path / "one", **options)
    assert len(manifest.splits["train"].shards) > 2 and len(manifest.skipped) == 3
    for count in (1, 2, 7):
        out, numbers = tmp_path / str(count), [*range(1, count + 1), 1, count]
        random.Random(count).shuffle(numbers)
        done = [pack_task(images, out, f"{number}/{count}", **options) for number in numbers]
        assert sum(one.images for one in done) == 36 and sum(one.skipped for one in done) == 3
        assert not (out / "manifest.json").exists()
        assert merge_tasks(images, out, **options) == manifest
        assert tree(out) == tree(tmp_path / "one") and not (out / ".tasks").exists()
        assert pack_task(images, out, f"1/{count}", **options).complete
        assert merge_tasks(images, out, **options) == manifest


def test_only_the_machine_differs_in_the_description_of_the_build(images, tmp_path):
    options = {"size": 64, "on_error": "skip"}
    mhpdata.pack(images, tmp_path / "one", **options)
    pack_task(images, tmp_path / "two", "1/1", **options)
    merge_tasks(images, tmp_path / "two", **options)
    one, two = (json.loads((tmp_path / name / "build.json").read_text()) for name in ("one", "two"))
    assert {name for name in one if one[name] != two[name]} <= {"finished", "seconds_of_the_last_run"}


def test_a_task_that_is_killed_at_any_step_is_repeated(source, whole, tmp_path):
    for step in range(1, 1000):
        out = tmp_path / f"out{step}"
        killed = killed_at(step, lambda out=out: pack_task(source.root, out, "1/2", **WANTED), out)
        assert not (out / "manifest.json").exists()
        run_all(source.root, out, 2)
        merge_tasks(source.root, out, **WANTED)
        assert tree(out) == whole, f"killed at step {step}"
        assert not (out / ".tasks").exists()
        if not killed:
            assert step > 15, "the steps were seen"
            return
    pytest.fail("the task never ended")


def test_an_assembly_that_is_killed_at_any_step_is_repeated(source, whole, tmp_path):
    run_all(source.root, tmp_path / "parts", 3)
    for step in range(1, 1000):
        out = shutil.copytree(tmp_path / "parts", tmp_path / f"out{step}")
        killed = killed_at(step, lambda out=out: merge_tasks(source.root, out, **WANTED), out)
        if step % 3 == 0:  # a late task
            pack_task(source.root, out, "2/3", **WANTED)
        merge_tasks(source.root, out, **WANTED)
        assert tree(out) == whole, f"killed at step {step}"
        if not killed:
            assert step > 30, "the steps were seen"
            return
    pytest.fail("the assembly never ended")


def test_an_interrupted_assembly_keeps_its_shards_though_the_source_was_copied(source, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_all(source.root, out, 3)
    with monkeypatch.context() as patch:
        patch.setattr(packing.Run, "finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            merge_tasks(source.root, out, **WANTED)
    before = {path: path.stat().st_ino for path in out.glob("*.rec")}
    for path in source.root.rglob("*"):
        os.utime(path, ns=(1, 1))
    merge_tasks(source.root, out, **WANTED)
    assert len(before) > 2 and {path: path.stat().st_ino for path in out.glob("*.rec")} == before
    assert tree(out) == whole


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 1000), marks=pytest.mark.slow)])
def test_tasks_of_any_number_killed_and_repeated_while_the_source_changes(fast, tmp_path, seeds):
    for seed in seeds:
        draw, base = random.Random(seed), tmp_path / str(seed)
        source, out = Source(base / "source", draw.randint(4, 14), draw), base / "out"
        out.mkdir()
        choices = {**WANTED, "allow_empty": True}
        for _ in range(draw.randint(1, 4)):
            count = draw.randint(1, 5)
            for _ in range(draw.randint(1, 5)):
                given = {**choices, "on_error": draw.choice(["skip", "skip", "fail"])}
                task = partial(pack_task, source.root, out, f"{draw.randint(1, count)}/{count}", **given)
                _work_and_die(draw.randint(1, 30), task, out)
            for i in draw.sample(range(4), draw.choice([0, 1, 1, 2])):
                source.write(f"{i:04}")
        for _ in range(2):
            for number in draw.sample(range(1, 4), 3):
                pack_task(source.root, out, f"{number}/3", **choices)
            _work_and_die(draw.randint(1, 40), partial(merge_tasks, source.root, out, **choices), out)
        merge_tasks(source.root, out, **choices)
        mhpdata.pack(source.root, base / "fresh", **choices)
        assert tree(out) == tree(base / "fresh"), f"seed {seed}"
        shutil.rmtree(base)


def _work_and_die(step, call, out):
    """Run a call in a child that dies at a step; its own errors, as of a broken image, do not matter."""

    def without_errors():
        with contextlib.suppress(MhpError):
            call()

    killed_at(step, without_errors, out)


def test_the_same_task_several_times_at_once(source, whole, tmp_path):
    errors, out = [], tmp_path / "out"

    def again():
        try:
            run_all(source.root, out, 2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole


def test_a_pack_that_is_merged_while_a_task_of_it_still_runs(source, whole, tmp_path, monkeypatch):
    out, merged = tmp_path / "out", []
    run_all(source.root, out, 1)
    write = work.write_blocks

    def late(run, parts, blocks, *rest):
        if not merged:
            merged.append(merge_tasks(source.root, out, **WANTED))
        return write(run, parts, blocks, *rest)

    monkeypatch.setattr(work, "write_blocks", late)
    monkeypatch.setattr(work, "is_packed", lambda *args: False)
    assert pack_task(source.root, out, "1/2", **WANTED).complete
    assert tree(out) == whole


def test_a_repeated_task_converts_nothing(source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_all(source.root, out, 2)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr(packing, "convert", None)
    for path in source.root.rglob("*"):  # as in a copy of the folder
        os.utime(path, ns=(1, 1))
    done = pack_task(source.root, out, "2/5", **WANTED)
    assert (done.blocks, done.kept, done.images) == (1, 1, 0)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    merge_tasks(source.root, out, **WANTED)


def test_missing_parts_name_their_tasks(source, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(OptionError, match=r"out: folder .*/out not found; expected the folder that tasks packed to"):
        merge_tasks(source.root, out, **WANTED)
    assert not out.exists()
    out.mkdir()
    with pytest.raises(OutputError, match=r"\.tasks: holds no part; .* Run the command with --task 1/N"):
        merge_tasks(source.root, out, **WANTED)
    for number in (1, 3):
        pack_task(source.root, out, f"{number}/4", **WANTED)
    found = r"lacks 2 of 5 parts; .* Run --task 2/4, --task 4/4 again, then --merge\."
    with pytest.raises(OutputError, match=found):
        merge_tasks(source.root, out, **WANTED)
    assert {path.name for path in out.iterdir()} == {".tasks"}


def test_a_task_without_a_block_says_so_and_leaves_the_number_of_tasks(fast, tmp_path):
    source, out = Source(tmp_path / "source", 9, random.Random(1)), tmp_path / "out"
    done = pack_task(source.root, out, "4/4", **WANTED)
    assert done.text().startswith(
        "Task 4/4: nothing to convert, since there are fewer blocks of 64 images than tasks.\n"
    )
    with pytest.raises(
        OutputError, match=r"\.tasks: lacks 3 of 3 parts; .* Run --task 1/4, --task 2/4, --task 3/4 again"
    ):
        merge_tasks(source.root, out, **WANTED)
    note = json.loads((out / ".tasks/options.json").read_text())
    for damaged in ("3", -1, None):
        (out / ".tasks/options.json").write_text(json.dumps({**note, "tasks": damaged}))
        with pytest.raises(OutputError, match=r"\.tasks: holds no part; .* Run the command with --task 1/N"):
            merge_tasks(source.root, out, **WANTED)
    for number in (1, 2, 3):
        assert "converted" in pack_task(source.root, out, f"{number}/4", **WANTED).text()
    assert merge_tasks(source.root, out, **WANTED)


def test_many_missing_tasks_are_not_all_named(fast, tmp_path):
    source, out = Source(tmp_path / "source", 90, random.Random(1)), tmp_path / "out"
    pack_task(source.root, out, "1/30", **WANTED)
    with pytest.raises(OutputError, match=r"--task 2/30, .*--task 21/30 and 9 more again"):
        merge_tasks(source.root, out, **WANTED)


def test_a_source_that_changes_between_task_and_merge(source, tmp_path):
    out = tmp_path / "out"
    run_all(source.root, out, 4)
    (source.root / "annotations/0004_01_01.png").write_bytes(b"another")
    found = r"source/images/0004\.jpg: this image or its masks have changed since task 2/4 packed them; .*"
    with pytest.raises(SourceChangedError, match=found + r"Run --task 2/4 again, then --merge\."):
        merge_tasks(source.root, out, **WANTED)
    pack_task(source.root, out, "2/4", **WANTED)
    merge_tasks(source.root, out, **WANTED)
    mhpdata.pack(source.root, tmp_path / "fresh", **WANTED)
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_list_that_changes_between_task_and_merge(source, tmp_path):
    out, path = tmp_path / "out", source.root / "test_list.txt"
    run_all(source.root, out, 4)
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    found = r"the list of entries has changed since task 1/4 packed them.* Run --task 1/4 again"
    with pytest.raises(SourceChangedError, match=found):
        merge_tasks(source.root, out, **WANTED)
    pack_task(source.root, out, "1/4", **WANTED)
    merge_tasks(source.root, out, **WANTED)
    mhpdata.pack(source.root, tmp_path / "fresh", **WANTED)
    assert tree(out) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("call", [lambda *args, **given: pack_task(*args, "2/2", **given), merge_tasks])
def test_other_options_are_refused(source, tmp_path, call):
    out = tmp_path / "out"
    pack_task(source.root, out, "1/2", **WANTED)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(OutputError, match=r"with other options \(--size 768, now 64\); .* Pass --size 768 to"):
        call(source.root, out, size=64, **WANTED)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_skipped_entries_are_an_error_without_skip(source, whole, tmp_path):
    out, fail = tmp_path / "out", {**WANTED, "on_error": "fail"}
    run_all(source.root, out, 2)
    with pytest.raises(OutputError, match=r"blocks with skipped entries, such as images/\d+\.jpg; .* --on-error skip"):
        merge_tasks(source.root, out, **fail)
    with pytest.raises(ImageError, match="BAD"):
        run_all(source.root, out, 2, on_error="fail")
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole


def test_an_entry_that_could_not_be_read_is_tried_again(source, whole, tmp_path, monkeypatch):
    out, read = tmp_path / "out", convert

    def failing(root, entry, labels, options):
        if entry.name == "0001":
            raise ImageError(entry.image.path, "cannot be read", fault=("unreadable",))
        return read(root, entry, labels, options)

    with monkeypatch.context() as patch:
        patch.setattr(packing, "convert", failing)
        run_all(source.root, out, 2)
    done = [pack_task(source.root, out, f"{number}/2", **WANTED) for number in (1, 2)]
    assert sum(one.images for one in done) == 3, "one block"
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole


def test_a_split_of_which_nothing_is_left(fast, tmp_path):
    source, out = Source(tmp_path / "source", 9, random.Random(1)), tmp_path / "out"
    for path in (source.root / "images").iterdir():
        if path.stem in (source.root / "test_list.txt").read_text():
            path.write_bytes(b"BAD")
    run_all(source.root, out, 2)
    with pytest.raises(FolderError, match="split test: all 2 entries"):
        merge_tasks(source.root, out, **WANTED)
    manifest = merge_tasks(source.root, out, allow_empty=True, **WANTED)
    mhpdata.pack(source.root, tmp_path / "fresh", allow_empty=True, **WANTED)
    assert tree(out) == tree(tmp_path / "fresh") and manifest.splits["test"].records == 0


def test_a_pack_in_one_process_leaves_parts_alone_unless_asked(source, whole, tmp_path):
    out = tmp_path / "out"
    run_all(source.root, out, 2)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(
        OutputError, match=r"out: holds an unfinished pack by tasks; .* Pass --merge to complete it, --over"
    ):
        mhpdata.pack(source.root, out, **WANTED)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    mhpdata.pack(source.root, out, overwrite=True, **WANTED)
    assert tree(out) == whole and not (out / ".tasks").exists()


def test_tasks_begin_in_an_empty_folder_only(source, tmp_path):
    out = tmp_path / "out"
    mhpdata.pack(source.root, out, **WANTED)
    with pytest.raises(OutputError, match="holds a packed dataset; expected an empty folder"):
        pack_task(source.root, out, "1/2", size=64, **WANTED)
    (out / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"holds build\.json; .* Move build\.json elsewhere, or pass another --out\."):
        pack_task(source.root, out, "1/2", **WANTED)
    (out / ".packing").mkdir()
    with pytest.raises(OutputError, match=r"holds an unfinished pack; .* Run it again without --task to complete it"):
        pack_task(source.root, out, "1/2", **WANTED)
    assert not (out / ".tasks").exists()


def test_a_full_disk_is_one_error_and_the_task_goes_on(source, whole, tmp_path, monkeypatch):
    out, replace = tmp_path / "out", Path.replace
    moves = []

    def full(self, target):
        moves.append(target)
        if len(moves) == 4:
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\)"):
            run_all(source.root, out, 1)
    assert not list((out / ".tasks").glob(".*"))
    run_all(source.root, out, 1)
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole
