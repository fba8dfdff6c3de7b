"""Parts that are damaged, forged or of other libraries are found and made again; files of others stay."""

import contextlib
import json
import os
import random

import pytest
from fake_packs import WANTED, Source, fake_conversion, pack_whole, run_all
from folder import tree

import mhpdata
from mhpdata.errors import OutputError
from mhpdata.packing.tasks import assembly, maker, plan, work
from mhpdata.packing.tasks.assembly import merge_tasks
from mhpdata.packing.tasks.work import pack_task


@pytest.fixture
def source(tmp_path, monkeypatch):
    fake_conversion(monkeypatch)
    monkeypatch.setattr(plan, "BLOCK", 3)
    return Source(tmp_path / "source", 14, random.Random(1))


@pytest.fixture
def whole(source, tmp_path):
    return pack_whole(source.root, tmp_path / "whole")


@pytest.mark.parametrize("call", [lambda *args, **given: pack_task(*args, "2/2", **given), merge_tasks])
@pytest.mark.parametrize("library", ["OpenCV", "OpenCV's JPEG", "simplejpeg", "zlib", "mhp"])
def test_parts_of_other_libraries_are_refused(source, tmp_path, monkeypatch, call, library):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(work, "describe_maker", lambda: maker.describe_maker() | {library: "3.2.1"})
        run_all(source.root, out, 2)
    ours = maker.describe_maker()[library]
    with pytest.raises(OutputError) as caught:
        call(source.root, out, **WANTED)
    assert f"made by other libraries ({library} 3.2.1 instead of {ours})" in str(caught.value)
    assert f"rm -r {out}/.tasks" in caught.value.remedy


def test_a_single_part_of_another_opencv_is_found(source, tmp_path, monkeypatch):
    """Two tasks that begin at the same moment do not see each other's options."""
    out = tmp_path / "out"
    run_all(source.root, out, 4)
    note = out / ".tasks/part-000002.json"
    text = note.read_text()
    note.write_text(text.replace(maker.describe_maker()["OpenCV"], "4.1.0", 1))
    with pytest.raises(OutputError, match=r"holds parts of task 3/4 made by other libraries \(OpenCV 4\.1\.0 instead"):
        merge_tasks(source.root, out, **WANTED)
    note.write_text(text.replace('"size": 768', '"size": 64', 1))
    with pytest.raises(OutputError, match=r"holds parts of task 3/4 with other options \(--size 64, now 768\)"):
        merge_tasks(source.root, out, **WANTED)
    pack_task(source.root, out, "3/4", **WANTED)
    merge_tasks(source.root, out, **WANTED)


def test_the_maker_names_the_codecs():
    described = maker.describe_maker()
    assert set(described) == {"mhp", "OpenCV", "OpenCV's JPEG", "OpenCV's WEBP", "simplejpeg", "zlib"}
    assert "turbo" in described["OpenCV's JPEG"] and not any("/" in text for text in described.values())


def without(*names):
    return lambda note: {name: value for name, value in note.items() if name not in names}


def with_result(**fields):
    """Change the first record of a note."""

    def change(note):
        first = next(i for i, made in enumerate(note["made"]) if "length" in made)
        return note | {"made": [*note["made"][:first], note["made"][first] | fields, *note["made"][first + 1 :]]}

    return change


NO_NOTES = {
    "list": lambda note: [],
    "text": lambda note: "text",
    "null": lambda note: None,
    "no options": without("options"),
    "options are a list": lambda note: note | {"options": []},
    "of another version": lambda note: note | {"mhp_part": 2},
    "maker of numbers": lambda note: note | {"maker": {"OpenCV": 5}},
    "no tasks": lambda note: note | {"tasks": 0},
    "too many tasks": lambda note: note | {"tasks": 10**7},
    "a name too few": lambda note: note | {"names": note["names"][1:]},
    "an entry too few": lambda note: (
        note | {n: note[n][1:] for n in ("names", "made")} | {"sources": note["sources"][32:]}
    ),
    "file elsewhere": lambda note: note | {"file": "../../manifest.json"},
    "file of another block": lambda note: note | {"file": note["file"].replace("000001", "000000")},
    "bytes of more": lambda note: note | {"bytes": note["bytes"] + 1},
    "sources too few": lambda note: note | {"sources": note["sources"][32:]},
    "length is a text": with_result(length="100"),
    "length is below a header": with_result(length=3),
    "length is beyond": with_result(length=1 << 63),
    "label 256": with_result(pixels=[[256, 1]]),
    "more pixels than an image has": with_result(pixels=[[1, 1 << 40]]),
    "pixels are no pairs": with_result(pixels=[[1]]),
    "gray is a number": with_result(gray=1),
    "content is no digest": with_result(content="00"),
    "persons are less than none": with_result(persons=-1),
    "notes are texts": with_result(notes=["trailer"]),
    "a note of lists": with_result(notes=[["trailer", [[]]]]),
    "a result is a text": lambda note: note | {"made": ["BAD"] * len(note["made"])},
    "a skip without place": lambda note: note | {"made": [{"code": "damaged", "values": []}] * len(note["made"])},
}


@pytest.mark.parametrize("change", NO_NOTES)
def test_json_that_is_no_note_is_a_missing_part(source, whole, tmp_path, change):
    out = tmp_path / "out"
    run_all(source.root, out, 5)
    note = out / ".tasks/part-000001.json"
    note.write_text(json.dumps(NO_NOTES[change](json.loads(note.read_text()))))
    with pytest.raises(OutputError, match=r"lacks 1 of 5 parts.* Run --task 2/5 again"):
        merge_tasks(source.root, out, **WANTED)
    if not note.read_text().startswith('{"mhp_part": 1, '):
        with pytest.raises(OutputError, match=r"part-000001\.json: was not written by mhp"):
            pack_task(source.root, out, "2/5", **WANTED)
        note.unlink()
    pack_task(source.root, out, "2/5", **WANTED)
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole


DAMAGE = {
    "truncated": lambda data: data[:-5],
    "longer": lambda data: data + b"x",
    "emptied": lambda data: b"",
    "a byte changed": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "nothing": lambda data: None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_made_again(source, whole, tmp_path, damage):
    out = tmp_path / "out"
    run_all(source.root, out, 5)
    part = next((out / ".tasks").glob("part-000001-*.bin"))
    data = DAMAGE[damage](part.read_bytes())
    part.unlink() if data is None else part.write_bytes(data)
    found = "is damaged: its records are not those" if damage == "a byte changed" else "lacks 1 of 5 parts"
    with pytest.raises(OutputError, match=rf"{found}.* Run --task 2/5 again"):
        merge_tasks(source.root, out, **WANTED)
    pack_task(source.root, out, "2/5", **WANTED)
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole


def test_a_part_that_is_replaced_during_the_assembly(source, whole, tmp_path, monkeypatch):
    """A late task that has read another source replaces a note that was already checked."""
    out, check = tmp_path / "out", assembly.check_parts
    run_all(source.root, out, 5)

    def check_then_change(*args):
        checked = check(*args)
        source.write("0004")
        pack_task(source.root, out, "2/5", **WANTED)
        return checked

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "check_parts", check_then_change)
        with pytest.raises(OutputError, match=r"part-000001-.*: has been replaced meanwhile\. Run --task 2/5 again"):
            merge_tasks(source.root, out, **WANTED)
    merge_tasks(source.root, out, **WANTED)
    mhpdata.pack(source.root, tmp_path / "fresh", **WANTED)
    assert tree(out) == tree(tmp_path / "fresh") != whole


@pytest.mark.parametrize("name", ["thesis.tex", "part-000000.json", "options.json", "part-000000-0123456789abcdef.bin"])
def test_files_of_others_among_the_parts_are_never_deleted(source, whole, tmp_path, name):
    out = tmp_path / "out"
    (out / ".tasks").mkdir(parents=True)
    (out / ".tasks" / name).write_bytes(b"mine")
    with contextlib.suppress(OutputError):
        run_all(source.root, out, 2)
        merge_tasks(source.root, out, **WANTED)
    with pytest.raises(OutputError, match=rf"{name}: was not written by mhp"):
        mhpdata.pack(source.root, out, overwrite=True, **WANTED)
    assert (out / ".tasks" / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", [".tasks", ".tasks/options.json", ".tasks/part-000000.json"])
def test_links_among_the_parts_are_not_followed(source, tmp_path, name):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run_all(source.root, out, 2)
    (out / name).rename(elsewhere)
    (out / name).symlink_to(elsewhere)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for call in (lambda: run_all(source.root, out, 2), lambda: merge_tasks(source.root, out, **WANTED)):
        with pytest.raises(OutputError, match="is a link to"):
            call()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path != tmp_path} == before


def test_a_pipe_in_place_of_a_note_is_not_waited_for(source, tmp_path):
    out = tmp_path / "out"
    run_all(source.root, out, 2)
    (out / ".tasks/part-000000.json").unlink()
    os.mkfifo(out / ".tasks/part-000000.json")
    with pytest.raises(OutputError, match=r"part-000000\.json: was not written by mhp"):
        merge_tasks(source.root, out, **WANTED)


def test_leftovers_of_killed_tasks_are_removed(source, whole, tmp_path):
    out = tmp_path / "out"
    run_all(source.root, out, 2)
    for name in ("part-000000.bin", "part-000001.json", "options.json"):
        (out / f".tasks/.{name}.{'0' * 32}.part").write_bytes(b"")
    merge_tasks(source.root, out, **WANTED)
    assert tree(out) == whole and not (out / ".tasks").exists()
