"""manifest.json: exact round trip, atomic writes, and validation of every value."""

from __future__ import annotations

import copy
import json

import make_golden
import pytest
from make_golden import GOLDEN, GOLDEN_2

import mhpdata
from mhpdata.errors import ManifestError
from mhpdata.storage import manifest as module
from mhpdata.storage.manifest import Manifest, dump, read_manifest
from mhpdata.storage.statistics import Statistics

MANIFEST = make_golden.manifest()
CONTENT = json.loads(MANIFEST.to_json())
OLD = json.loads((GOLDEN / "0.1/skipped/manifest.json").read_text())
OLD["notes"] = [{"split": "train", "name": "0001", "note": "trailer", "message": "9 bytes after the end"}]
OLD["renamed"] = ["images: 1 file taken under another name, such as 0001.JPG for 0001.jpg"]
OLD["splits"]["val"]["labelled"] = True
"""Return a manifest of version 1 with all optional fields."""


def test_there_and_back():
    text = MANIFEST.to_json()
    again = Manifest.from_json(text, "manifest.json")
    assert again == MANIFEST
    assert again.to_json() == text
    assert [file.file for file in again.files] == ["train-00000.rec", "train-00000.idx"]
    assert again.splits["train"].records == 2 and again.splits["train"].shards[0].stem == "train-00000"


def test_golden_bytes():
    golden = (GOLDEN_2 / "manifest.json").read_bytes()
    assert MANIFEST.to_json().encode() == golden
    assert Manifest.from_json(golden.decode(), "manifest.json") == MANIFEST


def test_dump_is_json_that_people_can_read():
    value = {"a": [1, 2], "b": [{"c": None}], "d": {}, "e": [], "f": ["ü", True]}
    assert json.loads(dump(value)) == value
    assert dump(value).splitlines()[1] == ' "a": [1, 2],'


def test_statistics_add_up():
    total = Statistics()
    total.add(Statistics(1, 2, 1, 1, 30, 20, [5, 6], [1, 1], 7))
    total.add(Statistics(1, 3, 0, 1, 10, 0, [1, 0], [1, 0], 0))
    assert total == Statistics(2, 5, 1, 2, 40, 20, [6, 6], [2, 1], 7)


def refuse(content, match=None):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(ManifestError, match=match) as caught:
        Manifest.from_json(text, "rec/manifest.json")
    assert caught.value.place == "rec/manifest.json" and caught.value.remedy


def changed(path, value, whole=CONTENT):
    """Return a manifest with one value replaced, or removed if ``value`` is ..."""
    content = copy.deepcopy(whole)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


def paths(value, path=()):
    """Return the path to every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def as_text(path):
    return "/".join(map(str, path))


def checked(whole):
    """Return the path to every value, except options, which their users check, and values of codes."""
    return [path for path in paths(whole) if (path[0] != "options" or len(path) == 1) and "values" not in path[:-1]]


OPTIONAL = {"photos", "classes", "labelled", "notes", "renamed", "unlabelled_persons"}
"""Optional fields of a manifest of version 1."""
CASES = [
    pytest.param(whole, path, id=f"{i}/{as_text(path)}")
    for i, whole in ((2, CONTENT), (1, OLD))
    for path in checked(whole)
]


@pytest.mark.parametrize(("whole", "path"), CASES)
def test_a_value_of_another_type_is_refused(whole, path):
    """Replace every value in turn by one of each other type."""
    value = whole
    for key in path:
        value = value[key]
    for other in (None, True, -1, 1.5, "text", [None], {"a": None}):
        nothing = value is None or path == ("licence",)
        if (type(other) is not type(value) or other == -1) and not (
            nothing and (other is None or isinstance(other, str))
        ):
            refuse(changed(path, other, whole))


@pytest.mark.parametrize(("whole", "path"), CASES)
def test_a_missing_field_is_refused(whole, path):
    if isinstance(path[-1], str) and path[:-1] != ("splits",) and not (whole is OLD and path[-1] in OPTIONAL):
        refuse(changed(path, ..., whole))


@pytest.mark.parametrize("value", [None, True, -1, 1.5, [1], {"a": 1}])
def test_a_value_of_a_code_is_a_number_or_a_text(value):
    for field in ("skipped", "notes", "renamed"):
        refuse(changed((field, 0, "values"), [value]), f"{field}\\.values")
        Manifest.from_json(json.dumps(changed((field, 0, "values"), [7, "7"])), "manifest.json")


def test_codes_of_a_newer_mhp_are_taken():
    for field in ("skipped", "notes", "renamed"):
        found = Manifest.from_json(json.dumps(changed((field, 0, "code"), "of-tomorrow")), "manifest.json")
        assert getattr(found, field)[0].code == "of-tomorrow"
    assert found.renamed[0].text == "images: of-tomorrow 2 0007.JPG 0007.jpg"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("splits", "train", "content"), "0" * 64),
        (("content",), "0" * 64),
        (("layout",), "cihp"),
        (("classes",), ["background", "right shoe", "left shoe"]),
        (("flip_pairs",), []),
        (("splits", "val", "labelled"), True),
    ],
)
def test_a_content_that_is_not_that_of_what_it_stands_beside(path, value):
    refuse(changed(path, value), "content is not the digest")


SHARD = ("splits", "train", "shards", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*SHARD, "files", 0, "blocks"), "0b" * 32),
        ((*SHARD, "files", 0, "blocks"), "0b" * 32 * 3),
        ((*SHARD, "files", 0, "blocks"), "0B" * 64),
        ((*SHARD, "files", 0, "blocks"), " b" * 64),
        ((*SHARD, "files", 0, "blocks"), "\u0661" * 128),
        ((*SHARD, "files", 0, "bytes"), 1 << 62),
        ((*SHARD, "files", 0, "bytes"), 0),
        ((*SHARD, "photos"), "2c" * 63),
        ((*SHARD, "sources"), "00" * 64),
        ((*SHARD, "classes"), []),
    ],
)
def test_digests_that_are_not_as_many_as_they_should_be(path, value):
    refuse(changed(path, value), r"splits\.train\.shards\[0\]")


FIRST_FILE = ("splits", "train", "shards", 0, "files", 0, "file")


ASTRAY = [
    "../train-00000.rec", "/etc/passwd", "train/../../x.rec", "a/train-00000.rec", "..", "", "train-00000.rec\n",
    "train-00000", "train-00000.rec.bak", "TRAIN-00000.rec", "train-1.rec", "train-00000.json",
    "train-\u0660\u0660\u0660\u0660\u0660.rec", "x\0.rec",
]  # fmt: skip


@pytest.mark.parametrize("name", ASTRAY)
def test_file_names_that_lead_astray(name):
    refuse(changed(FIRST_FILE, name))


def test_counts_that_do_not_agree():
    refuse(changed(("splits", "train", "records"), 3))
    refuse(changed(("splits", "train", "shards", 0, "records"), 3))
    refuse(changed(("splits", "train", "shards", 0, "names"), ["1528"]))
    refuse(changed(("splits", "train", "shards", 0, "files"), []))
    refuse(changed(("flip_pairs",), [[1, 3]]))
    refuse(changed(("flip_pairs",), [[1, 2, 0]]))
    refuse(changed(("classes",), [f"class {i}" for i in range(256)]))


def shard_of_classes(bits):
    return changed(("splits", "train", "shards", 0, "classes"), [f"{bits:x}"] * 2)


def test_a_record_cannot_show_a_label_that_there_is_none_of():
    for bits in (-1, 1 << 255, 1 << 70_000):
        refuse(shard_of_classes(bits), "classes")
    found = Manifest.from_json(json.dumps(shard_of_classes(1 << 254)), "manifest.json")
    assert found.splits["train"].shards[0].classes == (1 << 254,) * 2


@pytest.mark.parametrize(
    ("field", "value"), [("format", "mhp-records"), ("format", ""), ("version", 0), ("version", 3)]
)
def test_another_format_or_version_says_update(field, value):
    says = f"manifest version {value}; expected 1 or 2. Install a newer mhpkit \\(build.json in the packed folder names"
    if field == "format":
        todo = "If the packed folder is a copy, copy manifest.json again"
        says = f'expected format "mhp-packed", version 1 or 2. {todo}'
    refuse(changed((field,), value), says)


@pytest.mark.parametrize(
    "text",
    ["", "{", "nul", "[]", "1", '"text"', "null", "{}", "\ufeff{}", "[" * 100_000, '{"a":' * 100_000, "1" * 5000,
     '{"format": "mhp-packed", "version": 1}', '{"format": "mhp-packed", "version": 2}',
     '{"format": "mhp-packed", "version": NaN}', '{"format": "mhp-packed", "version": true}'],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_no_manifest(text):
    refuse(text)


def test_deep_options_are_refused():
    refuse(MANIFEST.to_json().replace('"recordio"', "[" * 100_000 + "]" * 100_000))


def test_a_folder_without_one(tmp_path):
    with pytest.raises(ManifestError, match=r"manifest.json: missing.* run its command again"):
        read_manifest(tmp_path)
    with pytest.raises(
        ManifestError, match=r"nowhere: no such folder; expected a packed folder, the --out of mhp pack\. Co"
    ):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_file_of_bytes_that_are_no_text(tmp_path):
    (tmp_path / "manifest.json").write_bytes(bytes(range(256)))
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ManifestError, match="too large; expected at most 1000 bytes"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("format", [..., "nope", "..", "recordio.os", "__init__", "", 5, None, []])
def test_a_shard_format_that_does_not_exist(format, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(changed(("options", "format"), format)))
    with pytest.raises(ManifestError, match="format"):
        mhpdata.open(tmp_path, "train")


@pytest.mark.parametrize("overlap", [..., "best", "", 5, None, ["first"]])
def test_an_overlap_rule_that_does_not_exist(overlap, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(changed(("options", "overlap"), overlap)))
    with pytest.raises(ManifestError, match=r"options\.overlap.* pack again with mhp pack --overwrite"):
        mhpdata.open(tmp_path, "train")


@pytest.mark.parametrize(
    ("count", "value"),
    [("unlabelled_persons", 999), ("persons", 1 << 63), ("contested", 10**4300 - 1)],
)
def test_a_count_beyond_what_it_is_a_part_of_or_any_integer(count, value):
    content = copy.deepcopy(CONTENT)
    content["splits"]["train"]["statistics"][count] = value
    refuse(content, "statistics")


def test_a_shard_without_records():
    content = copy.deepcopy(CONTENT)
    shard = copy.deepcopy(content["splits"]["train"]["shards"][0])
    content["splits"]["train"]["shards"].append({**shard, "names": [], "records": 0})
    refuse(content, "no records")


def test_a_byte_that_is_no_utf8_is_damage(tmp_path):
    spoilt = (GOLDEN_2 / "manifest.json").read_bytes().replace(b"mhp-v1", b"mhp-v\xff", 1)
    (tmp_path / "manifest.json").write_bytes(spoilt)
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path)
